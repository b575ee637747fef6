"""What the items of a batch are read from, which is known before any row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_workflows.arguments import is_resolved_later, refuse
from airflow_provider_workflows.batch.input.shard_reference import ShardReference, is_shard_reference
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.input.table_items import refuse_table
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.storage import ObjectStoragePath, shown


def require_items_or_template(items: object) -> None:
    """Check the type of a batch's items when the DAG is parsed; the items are read when the task runs.

    :param items: as ``read_items`` takes them, or what is resolved later
    :raises InvalidInput: if it is neither
    """
    refuse_table(items)
    is_items = isinstance(items, (str, ObjectStoragePath, Sequence, Mapping, SqlQuery)) and not isinstance(
        items, bytes
    )
    if not is_items and not is_resolved_later(items):
        refuse("items", "a list of rows, the URI of a file, a shard's reference, or a SqlQuery", items)


def source_of(items: object) -> str | None:
    """Return the URI or path that items are read from; None if they are the rows themselves, or not items.

    Of a query it is what a page calls it.
    """
    if isinstance(items, SqlQuery):
        return items.source
    if isinstance(items, Mapping):
        items = items["items"] if is_shard_reference(items) else None
    text = str(items).strip() if isinstance(items, (str, ObjectStoragePath)) else ""
    # Rows that a template has made text of are not a path, and must not show either.
    return None if not text or text[0] in "[{(" or not text.isprintable() else text


def tables_of(items: object) -> tuple[tuple[str, str], ...]:
    """Return namespace and name of each table that ``shard`` has read items from.

    :param items: as ``source_of`` takes them
    """
    if not isinstance(items, Mapping) or not is_shard_reference(items):
        return ()
    return tuple((namespace, name) for namespace, name in ShardReference.from_json(items).tables)


def short_name_of(items: object) -> str | None:
    """Return a name for items that a page has room for: the file's, and of a shard its rows.

    :param items: as ``source_of`` takes them
    :return: such as ``"cases.csv"`` or ``"rows 5,001 to 10,000 of cases.csv"``; None without a file
    """
    source = source_of(items)
    if source is None:
        return None
    name = shown(source).rstrip("/").rpartition("/")[2]
    if not isinstance(items, Mapping):
        return name
    first, number = items["first_row"], items["rows"]
    if not (isinstance(first, int) and isinstance(number, int)):
        return name
    if "rows_before" in items:
        return f"{counted(number, 'row')} from row {first:,} of {name}"
    return f"rows {first:,} to {first + number - 1:,} of {name}"
