"""Run a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.operators.base import WorkflowsOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_workflows.api import WorkflowsClient


class RunWorkflowOperator(WorkflowsOperator):
    """Start a run of a workflow for a case (``POST /workflows/run``) and return the workflow's id.

    A run is billed, so the request is repeated only when it surely was not carried out. Where that cannot be
    known the task fails without a retry, and says what to look for.

    :param workflow_definition_id: id of the workflow definition (templated)
    :param case_id: id of the case (templated)
    :param parameters_id: id of the parameters, for a workflow that needs some (templated); when it is given
        it must not turn out empty
    :param workflows_conn_id: id of the connection
    :raises InvalidInput: naming the id that is none, before anything is sent
    :raises NotFound: when the definition or the case is unknown
    :raises AirflowFailException: when it is unknown whether the run was started
    """

    template_fields: Sequence[str] = (
        "workflow_definition_id",
        "case_id",
        "parameters_id",
        "workflows_conn_id",
    )

    def __init__(
        self,
        *,
        workflow_definition_id: str,
        case_id: str,
        parameters_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_definition_id = workflow_definition_id
        self.case_id = case_id
        self.parameters_id = parameters_id
        self._with_parameters = parameters_id is not None

    def call(self, client: WorkflowsClient, context: Context) -> str:  # noqa: ARG002
        """Return the id of the workflow that was started."""
        if self._with_parameters and self.parameters_id is None:
            raise InvalidInput(
                "parameters_id was given but turned out to be None: the task or template that it comes from "
                "brought nothing. Leave it away to run without parameters"
            )
        workflow = client.run_workflow(self.workflow_definition_id, self.case_id, self.parameters_id)
        self.log.info(
            "Started workflow %s of definition %s for case %s, status %s.",
            workflow.id,
            self.workflow_definition_id,
            self.case_id,
            workflow.status,
        )
        return workflow.id
