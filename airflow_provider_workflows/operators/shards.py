"""Tasks for a batch in parts: ``shard`` gives each mapped batch task its rows, ``merge`` lists their output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import get_current_context

from airflow_provider_workflows.airflow_internals.configuration import integer
from airflow_provider_workflows.airflow_internals.rendering import redacting_task
from airflow_provider_workflows.airflow_internals.retries import policy_argument
from airflow_provider_workflows.arguments import choice, file_mode, is_resolved_later, whole_number
from airflow_provider_workflows.batch.input.items import Items
from airflow_provider_workflows.batch.input.options import OPTION_CHECKS, InputOptions
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.sharding import references, write_index
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.operators.redaction import Redacted, unwrap
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import XComArg
    from airflow.sdk.bases.decorator import TaskDecorator

    from airflow_provider_workflows.api.field_types import FieldType
    from airflow_provider_workflows.batch.input.row_functions import Transform, Where


def _redacted(value: Any) -> Any:
    return Redacted(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _own(value: Any) -> Any:
    # Airflow renders a query in its place, where another run of the DAG in this process would find the text.
    return value.copy() if isinstance(value, SqlQuery) else value


def _task(check: Callable[..., None] | None = None) -> TaskDecorator:
    # Rows that come as an argument would be stored in the view of rendered templates.
    return redacting_task(
        _redacted, check, _own, multiple_outputs=False, **policy_argument(WorkflowsRetryPolicy())
    )


def _check_shard(*, size: object = 1, on_bad_row: object = "fail", **given: object) -> None:
    if not _is_resolved_later(size):
        whole_number("size", size, at_least=1)
    if not _is_resolved_later(on_bad_row):
        choice("on_bad_row", on_bad_row, ("fail", "skip"))
    for name, check in OPTION_CHECKS.items():
        if name in given and not _is_resolved_later(given[name]):
            check(given[name])


def _is_resolved_later(value: object) -> bool:
    parts = value.values() if isinstance(value, Mapping) else ()
    return is_resolved_later(value) or any(map(is_resolved_later, parts))


@_task(_check_shard)
def shard(
    items: Items | XComArg,
    size: int | XComArg = 5000,
    *,
    columns: Mapping[str, str | None] | XComArg | None = None,
    on_bad_row: Literal["fail", "skip"] | XComArg = "fail",
    zero_pad: Mapping[str, int] | XComArg | None = None,
    encoding: str | XComArg | None = None,
    delimiter: str | XComArg | None = None,
    sheet: str | XComArg | None = None,
    default_country_code: str | XComArg | None = None,
    checks: Mapping[str, str | Sequence[str]] | None = None,
    where: Where | None = None,
    transform: Transform | None = None,
    defaults: Mapping[str, Any] | XComArg | None = None,
    field_types: Mapping[str, FieldType] | XComArg | None = None,
    folder: str | XComArg | None = None,
) -> list[dict[str, Any]]:
    """Check all items, and return references to ``size`` of them each, for ``.expand(items=shard(...))``.

    :param items: as in ``RunWorkflowBatchOperator`` (templated)
    :param size: rows in a shard
    :param columns: as in ``RunWorkflowBatchOperator``, which needs them too
    :param on_bad_row: ``"fail"``, or ``"skip"`` to leave the bad rows to the batch tasks' own ``on_bad_row``. A key
        that two rows have is refused in any case
    :param zero_pad: as in ``RunWorkflowBatchOperator``, which needs it too
    :param encoding: as in ``RunWorkflowBatchOperator``, which needs it too
    :param delimiter: as in ``RunWorkflowBatchOperator``, which needs it too
    :param sheet: as in ``RunWorkflowBatchOperator``, which needs it too
    :param default_country_code: as in ``RunWorkflowBatchOperator``, which needs it too
    :param checks: as in ``RunWorkflowBatchOperator``, which needs them too
    :param where: as in ``RunWorkflowBatchOperator``, which needs it too: rows that it passes over are in no shard
    :param transform: as in ``RunWorkflowBatchOperator``, which needs it too
    :param defaults: as in ``RunWorkflowBatchOperator``, which needs them too
    :param field_types: as in ``RunWorkflowBatchOperator``, which needs them too
    :param folder: where to write items that come as a list or from a query, for the shards to read (templated).
        The file holds what the rows hold, and stays there until you remove it
    :raises InvalidInput: if the items cannot be right, or there are more shards than Airflow maps over
    :raises DatabaseFailed: if the database of a query cannot be used
    """
    given = unwrap(items)
    found = references(
        given,
        unwrap(size),
        options=InputOptions(
            columns=unwrap(columns),
            zero_pad=unwrap(zero_pad),
            encoding=unwrap(encoding),
            delimiter=unwrap(delimiter),
            sheet=unwrap(sheet),
            default_country_code=unwrap(default_country_code),
            checks=unwrap(checks),
            where=where,
            transform=transform,
            defaults=unwrap(defaults),
            field_types=unwrap(field_types),
        ),
        on_bad_row=unwrap(on_bad_row),
        folder=unwrap(folder),
        max_shards=integer("core", "max_map_length", default=1024),
        again=_has_run_before(),
    )
    tables = _tables_read(given) if isinstance(given, SqlQuery) else []
    return [{**reference, "tables": tables} for reference in found] if tables else found


def _tables_read(query: SqlQuery) -> list[list[str]]:
    try:
        from airflow_provider_workflows.lineage.tables import tables_read  # noqa: PLC0415  (not while parsing)
    except ModuleNotFoundError:
        # Without the extra [openlineage] nobody asks for the tables.
        return []
    return [[table.namespace, table.name] for table in tables_read(query.conn_id, query.sql)]


def _has_run_before() -> bool:
    try:
        return get_current_context()["ti"].try_number > 1
    except RuntimeError:
        # Called as a function, where no task runs.
        return False


def _check_merge(*, output_mode: object = OWNER_ONLY, **_: object) -> None:
    if not _is_resolved_later(output_mode):
        file_mode("output_mode", output_mode)


@_task(_check_merge)
def merge(
    summaries: Sequence[Mapping[str, Any]] | XComArg,
    output: str | XComArg,
    shards: Sequence[Mapping[str, Any]] | XComArg | None = None,
    *,
    output_mode: int | XComArg = OWNER_ONLY,
) -> dict[str, Any]:
    """Write one index of what all shards wrote, ``index.json``, and return its URI and the sums.

    :param summaries: what the batch tasks returned: ``run.output``
    :param output: URI of the folder to write the index to (templated)
    :param shards: what ``shard`` returned last, to see whether each batch task has run these rows
    :param output_mode: as in ``RunWorkflowBatchOperator``, for the index
    :raises InvalidInput: if a shard has no summary, or the outputs together lack a row or have a key twice
    """
    return write_index(
        unwrap(summaries), unwrap(output), unwrap(shards), mode=file_mode("output_mode", output_mode)
    )
