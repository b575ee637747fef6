"""The link from a task to the page of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.xcom_keys import WORKFLOW_LINK_KEY

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_workflows.hooks.workflows import WorkflowsHook


class WorkflowLink(BaseOperatorLink):
    """The workflow's page in the dashboard where the connection has ``dashboard_url``, else its API address.

    Airflow asks for it on the worker after each exit of the task, and stores what it gets over what was there.
    So the task sets it before its wait begins, and what is stored is given back after the task has resumed.
    """

    @property
    def name(self) -> str:
        """The text of the link."""
        return "Workflow"

    @property
    def xcom_key(self) -> str:
        """The key of the XCom that holds the link."""
        return WORKFLOW_LINK_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link that the task set, or the one that is stored already."""
        link = getattr(operator, WORKFLOW_LINK_KEY, None)
        return str(link or xcom.value_of(ti_key, WORKFLOW_LINK_KEY) or "")


def set_link(operator: BaseOperator, context: Context, hook: WorkflowsHook, workflow_id: str) -> None:
    """Set the task's link now, so that it is there while the task waits.

    :param operator: the operator that runs
    :param context: its context
    :param hook: the hook of its connection
    :param workflow_id: id of the run
    """
    link = hook.workflow_url(workflow_id)
    setattr(operator, WORKFLOW_LINK_KEY, link)
    context["ti"].xcom_push(key=WORKFLOW_LINK_KEY, value=link)
