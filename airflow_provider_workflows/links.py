"""The link from a task to the page of its run or batch, which is in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from airflow_provider_workflows.airflow_internals.configuration import option
from airflow_provider_workflows.xcom_keys import WORKFLOW_LINK_KEY

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

#: The part of the page's address by which Airflow finds it.
PAGE_ROUTE = "workflow"


class WorkflowLink(BaseOperatorLink):
    """The page of a task's run or batch: a tab of the task instance.

    Airflow asks for it on the worker after each exit of the task, and stores what it gets over what was there. A
    task that waits sets it before its wait begins.
    """

    @property
    def name(self) -> str:
        """The text of the link."""
        return "Workflow"

    @property
    def xcom_key(self) -> str:
        """The key of the XCom that holds the link."""
        return WORKFLOW_LINK_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the page of a task instance."""
        return page_url(ti_key.dag_id, ti_key.run_id, ti_key.task_id, ti_key.map_index)


def page_url(dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> str:
    """Return the address of the page of a task's run or batch.

    :param dag_id: id of the DAG
    :param run_id: id of the DAG run
    :param task_id: id of the task
    :param map_index: its map index; -1 or None for a task that is not mapped
    """
    return f"{airflow_url(dag_id, run_id, task_id, map_index)}/plugin/{PAGE_ROUTE}"


def airflow_url(dag_id: object, run_id: str, task_id: str | None = None, map_index: int | None = None) -> str:
    """Return the address of Airflow's own page of a DAG run, or of one of its tasks.

    :param dag_id: id of the DAG
    :param run_id: id of the DAG run
    :param task_id: id of the task; None for the run
    :param map_index: its map index; -1 or None for a task that is not mapped
    """
    # As Airflow makes a task instance's own ``log_url``.
    base = option("api", "base_url") or "http://localhost:8080/"
    task = "" if task_id is None else f"/tasks/{task_id}"
    mapped = "" if map_index is None or map_index < 0 else f"/mapped/{map_index}"
    return f"{base.rstrip('/')}/dags/{dag_id}/runs/{quote(run_id)}{task}{mapped}"


def set_link(context: Context) -> None:
    """Set the task's link now, so that it is there while the task runs.

    :param context: the task's context
    """
    ti = context["ti"]
    link = page_url(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
    ti.xcom_push(key=WORKFLOW_LINK_KEY, value=link)
