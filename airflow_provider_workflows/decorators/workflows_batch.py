"""``@task.workflows_batch``: run a workflow for each row that a function returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory
from typing_extensions import Required

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.item_sources import require_items_or_template, source_of
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.input.table_items import items_of_table
from airflow_provider_workflows.decorators.function_task import FunctionTask
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.mapped_options import require_options
from airflow_provider_workflows.operators.redaction import Redacted
from airflow_provider_workflows.operators.task_arguments import DecoratorArguments, InputTypes, OutputTypes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from airflow.sdk.bases.decorator import FParams, FReturn, Task
    from typing_extensions import Unpack

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.batch.input.items import Items
    from airflow_provider_workflows.operators.base import Text


class WorkflowsBatchTask(FunctionTask, RunWorkflowBatchOperator):
    """Run a workflow for each row that a function returns; all else is as with ``RunWorkflowBatchOperator``.

    The function is called in each try, before anything is sent, and not when the task is resumed. It must return
    the same rows each time, or rows with keys: what has changed since the first try is treated as changed items.

    :param python_callable: the function; it returns what the operator takes as ``items``, or a table
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in RunWorkflowBatchOperator.template_fields if name != "items"),
    )
    template_fields_renderers = {  # noqa: RUF012
        **DecoratedOperator.template_fields_renderers,
        **RunWorkflowBatchOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.workflows_batch"

    #: What the items were read from, as the process says that has deferred the task.
    _source_before: str | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(items=(), **kwargs)

    def call(self, client: WorkflowsClient, context: Context) -> dict[str, Any]:
        """Run the batch of what the function has returned."""
        self._take(self.returned)
        return super().call(client, context)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any], source: str | None = None
    ) -> dict[str, Any]:
        """Collect and judge after the wait in the triggerer, or raise the error that ended it."""
        self._source_before = source
        return super().execute_complete(context, event)

    @property
    def resume_arguments(self) -> dict[str, Any]:
        """What the resumed task is told: where the items were read from."""
        return {"source": self._source}

    @property
    def _source(self) -> str | None:
        return self._source_before or super()._source

    def _read_items(self, context: Context) -> Items:
        if not self._has_returned:
            self._take(self.call_function(context))
        return self._items

    def _take(self, returned: Any) -> None:
        if returned is None:
            raise InvalidInput(
                "the function returned None, as one without a return does; it must return rows or a file's URI"
            )
        items = items_of_table(returned)
        require_items_or_template(items)
        if isinstance(items, SqlQuery):
            items = items.copy()
        self.items = items if source_of(items) is not None else Redacted(items)


class BatchTaskArguments(DecoratorArguments, InputTypes, OutputTypes, total=False):
    """The arguments of ``RunWorkflowBatchOperator``, which documents them, but ``items``."""

    workflow_definition_id: Required[Text]
    output_path: Required[Text | ObjectStoragePath]
    parameters: Mapping[str, Any] | XComArg | None
    table_id: Text | None
    locale: Text | None
    expires_at: datetime | timedelta | Text | None
    max_failed_share: float
    resubmit_failed: bool
    on_clear: Literal["repair", "start_over"]
    on_unknown_outcome: Literal["fail", "resubmit"]
    max_concurrency: int | None
    requests_per_second: float | None
    deferrable: bool
    poll_interval: float | timedelta | None
    max_poll_interval: float | timedelta | None
    max_outage: float | timedelta | None
    hash_personal_numbers: bool
    partition_key: Text | None


def workflows_batch(
    python_callable: None = None, **arguments: Unpack[BatchTaskArguments]
) -> Callable[[Callable[FParams, FReturn]], Task[FParams, FReturn]]:
    """Make a batch task of a function that returns the batch's items.

    It is ``@task.workflows_batch``, with types. The function may take arguments, values of other tasks and parts of
    the context. It returns rows (a list of dicts, a DataFrame of pandas or polars, an Arrow table, a cursor after
    its query, or a generator of dicts, whose rows are kept in memory), the URI of a file, or what ``shard``
    returns.

    :param python_callable: nothing: it is there for ``@task.workflows_batch`` without arguments, which is refused
    :param arguments: the arguments of ``RunWorkflowBatchOperator`` but ``items``
    :raises InvalidInput: without arguments; if an option of ``[workflows]`` cannot be right that stands for one;
        when the function is called in a DAG, if one cannot be right
    """
    if python_callable is not None:
        raise InvalidInput("@task.workflows_batch needs workflow_definition_id and output_path")
    require_options(WorkflowsBatchTask, arguments)
    # What a function's return type says of several outputs is about what it returns, not about what the task does.
    given: dict[str, Any] = {**arguments, "multiple_outputs": False}
    decorator: Any = task_decorator_factory(decorated_operator_class=WorkflowsBatchTask, **given)
    return cast("Callable[[Callable[FParams, FReturn]], Task[FParams, FReturn]]", decorator)
