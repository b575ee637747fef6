"""What the operators have in common."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.sdk import BaseOperator

from airflow_provider_workflows.airflow_internals.configuration import boolean
from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.rendering import RendersArguments
from airflow_provider_workflows.airflow_internals.retries import failing_for_good, with_default_policy
from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.api.redaction import ALL_FIELDS, PersonalFields
from airflow_provider_workflows.arguments import templated_text, true_or_false
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.links import WorkflowLink
from airflow_provider_workflows.operators.mapped_options import ChecksMappedOptions
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy, is_lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, XComArg
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.lineage.task import TaskLineage
    from airflow_provider_workflows.operators.task_arguments import TaskArguments

#: An argument that may come from another task: ``case_id=create_case.output``.
Text: TypeAlias = "str | XComArg"


def is_deferrable(deferrable: object) -> bool:
    """Return whether a task that waits for one run does so in the triggerer.

    :param deferrable: the operator's argument; None for what ``[operators] default_deferrable`` says
    :raises InvalidInput: if it is neither a bool nor None
    """
    if deferrable is None:
        return boolean("operators", "default_deferrable", default=False)
    return true_or_false("deferrable", deferrable)


class WorkflowsOperator(RendersArguments, ChecksMappedOptions, BaseOperator):
    """An operator that makes calls of the Workflows API.

    What comes from other tasks is data, and is not rendered. A template that is a single expression keeps its
    value's type; any other becomes text, whatever ``render_template_as_native_obj`` says.

    :param workflows_conn_id: id of the connection (templated)
    """

    template_fields: Sequence[str] = ("workflows_conn_id",)
    #: The connection says which fields are personal, so it must be rendered before they are redacted.
    fields_rendered_first: Sequence[str] = (WorkflowsHook.conn_name_attr,)
    ui_color = "#e3edf7"
    operator_extra_links = (WorkflowLink(),)

    def __init__(
        self, *, workflows_conn_id: str = WorkflowsHook.default_conn_name, **kwargs: Unpack[TaskArguments]
    ) -> None:
        arguments: dict[str, Any] = {**kwargs}
        with_default_policy(arguments, WorkflowsRetryPolicy())
        super().__init__(**arguments)
        self.require_rendering()
        self.workflows_conn_id = templated_text("workflows_conn_id", workflows_conn_id)
        #: What the task has read and brought about, as far as it has come.
        self.lineage: TaskLineage | None = None

    @functools.cached_property
    def hook(self) -> WorkflowsHook:
        """The hook of the operator's connection."""
        return WorkflowsHook(self.workflows_conn_id)

    @property
    def personal_fields(self) -> PersonalFields:
        """The names of fields whose values are personal; all names if the connection cannot be read."""
        try:
            return self.hook.settings.all_personal_fields
        except Exception:  # noqa: BLE001  (the task's first call says what is wrong with it)
            return ALL_FIELDS

    def execute(self, context: Context) -> Any:
        """Make the operator's calls, and return what they bring.

        :raises WorkflowsError: what went wrong
        :raises AirflowFailException: where a retry could do the same thing twice
        """
        with failing_for_good(is_lasting):
            try:
                return self.call(self.hook.get_conn(), context)
            except OutcomeUnknown as error:
                raise self.unknown_outcome(error) from error

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a wait in the triggerer; raises as ``execute``."""
        with failing_for_good(is_lasting):
            return super().resume_execution(next_method, next_kwargs, context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the task has read and brought about, once it has succeeded."""
        from airflow_provider_workflows.lineage.openlineage import operator_lineage  # noqa: PLC0415

        return operator_lineage(self.lineage, self.outlets)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:  # noqa: ARG002
        """Return what the task has read, and brought about before it failed."""
        from airflow_provider_workflows.lineage.openlineage import operator_lineage  # noqa: PLC0415

        return operator_lineage(self.lineage, self.outlets, failed=True)

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Return nothing: what the task reads and brings about shows when it has run."""
        from airflow_provider_workflows.lineage.openlineage import operator_lineage  # noqa: PLC0415

        return operator_lineage(None)

    def unknown_outcome(self, error: OutcomeUnknown) -> Exception:
        """Return the error to fail with if nobody knows whether a call was carried out: no retry may repeat it."""
        return AirflowFailException(str(error))

    def call(self, client: WorkflowsClient, context: Context) -> Any:
        """Make the operator's calls with ``client``, and return what they bring."""
        raise NotImplementedError
