"""Fetch the result of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.api.personal import personal_values
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.masking import mask_in_logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_workflows.api import WorkflowsClient


class GetWorkflowResultOperator(WorkflowsOperator):
    """Fetch the result of a completed workflow (``GET /workflows/{workflowId}/result``) and return all of it.

    The result holds the case's personal data, and travels as an XCom: see the README on who can read it.

    :param workflow_id: id of the workflow (templated)
    :param workflows_conn_id: id of the connection
    :raises WorkflowNotCompleted: naming the status; ``WorkflowFailed`` where it is a failure status
    :raises NotFound: when there is no workflow of that id
    """

    template_fields: Sequence[str] = ("workflow_id", "workflows_conn_id")

    def __init__(self, *, workflow_id: Text, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow_id = cast("str", workflow_id)

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Return the result under the API's names, unknown fields included."""
        result = client.read_result(self.workflow_id).json_object()
        mask_in_logs(personal_values(result))
        self.log.info("Fetched the result of workflow %s.", self.workflow_id)
        return result
