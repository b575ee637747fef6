"""A link from a task to its workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_workflows.hooks.workflows import WorkflowsHook

XCOM_KEY = "workflow_link"


class WorkflowLink(BaseOperatorLink):
    """The workflow's page in the dashboard where the connection has ``dashboard_url``, else its API address.

    Airflow asks for it on the worker after each exit of the task, and stores what it gets over what was there.
    So the task sets it before its wait begins, and what is stored is given back after the task has resumed.
    """

    @property
    def name(self) -> str:
        """What the link is called."""
        return "Workflow"

    @property
    def xcom_key(self) -> str:
        """The XCom that holds the link."""
        return XCOM_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the link that the task set, or the one that is stored already."""
        link = getattr(operator, XCOM_KEY, None)
        return str(link or XCom.get_value(ti_key=ti_key, key=XCOM_KEY) or "")


def set_link(operator: BaseOperator, context: Context, hook: WorkflowsHook, workflow_id: str) -> None:
    """Set the task's link now, so that it is there while the task waits."""
    link = hook.workflow_url(workflow_id)
    setattr(operator, XCOM_KEY, link)
    context["ti"].xcom_push(key=XCOM_KEY, value=link)
