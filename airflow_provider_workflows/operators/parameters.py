"""Create parameters, for a workflow that needs some of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.arguments import templated_json, templated_text
from airflow_provider_workflows.operators.base import Text, WorkflowsOperator
from airflow_provider_workflows.operators.creation import create_parameters_once
from airflow_provider_workflows.operators.redaction import redact_parameters, unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.task_arguments import OperatorArguments


class CreateParametersOperator(WorkflowsOperator):
    """Create a set of parameters for a workflow definition (``POST /parameters``) and return its id.

    A request whose response was lost is sent again: a set of parameters too many costs nothing. A retry or a clear
    of the task returns the id that it has returned before, as long as definition and parameters are the same.

    :param workflow_definition_id: id of the workflow definition (templated)
    :param parameters: JSON values by name (templated); a template that is a single expression keeps its value's
        type, so numbers stay numbers. Values under the name of a personal field, of a case or of those that the
        connection adds, are redacted in the log and in the view of rendered templates
    :param workflows_conn_id: id of the connection (templated)
    :return: the parameters' id
    :raises InvalidInput: naming the path of a value that is not JSON, before anything is sent
    :raises NotFound: if no definition has that id
    """

    template_fields: Sequence[str] = ("workflow_definition_id", "parameters", "workflows_conn_id")
    template_fields_renderers = {"parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        workflow_definition_id: Text,
        parameters: Mapping[str, Any] | Text,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_definition_id = templated_text("workflow_definition_id", workflow_definition_id)
        self.parameters: Any = templated_json("parameters", parameters)

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its definition."""
        return self.workflow_definition_id

    def call(self, client: WorkflowsClient, context: Context) -> str:
        """Return the id of the parameters."""
        return create_parameters_once(
            context, client, self.workflow_definition_id, unwrap(self.parameters), self.log
        )

    def redact_arguments(self, *, rendered: bool) -> None:
        """Redact the personal fields of the parameters."""
        self.parameters = redact_parameters(self.parameters, self.personal_fields, rendered=rendered)
