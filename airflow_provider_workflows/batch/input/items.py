"""Read the items of a batch as a stream, and check each row, before the first call."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells, each_row, together
from airflow_provider_workflows.batch.input.checked_columns import (
    Checked,
    OrdinaryRows,
    checked_columns,
    each_checked,
)
from airflow_provider_workflows.batch.input.keys import Clash, Keys
from airflow_provider_workflows.batch.input.object_names import with_names_shown
from airflow_provider_workflows.batch.input.options import AS_IT_IS, InputOptions
from airflow_provider_workflows.batch.input.reading import Note, Reading, no_note
from airflow_provider_workflows.batch.input.row_functions import PASSED_OVER, ROWS_READ_TWICE
from airflow_provider_workflows.batch.input.rows import BadRow, Cells, Row, checked
from airflow_provider_workflows.batch.input.shard_digest import compared
from airflow_provider_workflows.batch.input.shard_reference import ShardReference
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.input.table_items import TableItems
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.storage import ObjectStoragePath, storage_path

Items: TypeAlias = "Sequence[Mapping[str, Any]] | str | ObjectStoragePath | Mapping[str, Any] | SqlQuery"
"""A list of rows, a file of them, the JSON of a ``ShardReference``, or a query."""


def read_items(
    items: Items, options: InputOptions = AS_IT_IS, *, note: Note = no_note, warn: Note = no_note
) -> Iterator[Row | BadRow]:
    """Return an iterator over all rows in order, each checked: those of ``read_together``, one by one.

    :param items: as ``read_together`` takes them
    :param options: how they are read
    :param note: is told what is left out, without a value of a row
    :param warn: is told what is probably a mistake, without a value of a row
    :raises InvalidInput: as ``read_together``
    :raises DatabaseFailed: if the database of a query cannot be used
    """
    return each_checked(read_together(items, options, note=note, warn=warn))


def read_together(
    items: Items, options: InputOptions = AS_IT_IS, *, note: Note = no_note, warn: Note = no_note
) -> Iterator[Checked]:
    """Return an iterator over all rows in order, checked, that reads the input as a stream.

    Of a large table it has many rows together, as ``OrdinaryRows``.

    The keys of rows that can be run are unique.

    :param items: list of rows; URI or path of a file, of a folder of files, or a pattern of their names; a shard's
        reference; or a query
    :param options: how they are read
    :param note: is told what is left out, without a value of a row
    :param warn: is told what is probably a mistake, without a value of a row; of a shard ``shard`` has said it
    :raises InvalidInput: if the arguments cannot be right, and while reading, if the input as a whole cannot be
        read or has no rows
    :raises DatabaseFailed: if the database of a query cannot be used
    """
    if isinstance(items, SqlQuery):
        options = dataclasses.replace(options, columns=items.columns(options.columns))
        reading = Reading(options, note, warn, requires_key=True)
        reading.take_header(items.header)
        return reading.warned(_read(items.rows(), reading))
    shard = ShardReference.from_json(items) if isinstance(items, Mapping) else None
    key = None if shard is None else shard.key
    if key is not None:
        options = dataclasses.replace(options, columns={**(options.columns or {}), key: "key"})
    reading = Reading(options, note, warn, requires_key=key is not None)
    if isinstance(items, TableItems):
        reading.take_header(items.columns)
    if isinstance(items, Sequence) and not isinstance(items, str | bytes):
        listed = ((None, cast("Cells", cells)) for cells in items)
        return reading.warned(_read(with_names_shown(listed, reading), reading))
    # What a DAG imports when it is parsed has no need of what reads files.
    from airflow_provider_workflows.batch.input.files import read_files  # noqa: PLC0415

    path = storage_path("items", items if shard is None else shard.items)
    first_row, rows = (1, None) if shard is None else (shard.first_row, shard.rows)
    found = read_files(path, first_row - 1, reading)
    if key is not None:
        from airflow_provider_workflows.batch.input.query_file import rows_with_header  # noqa: PLC0415

        found = rows_with_header(found, reading)
    all_rows = _read(found, reading, first_row=first_row, rows=rows)
    return reading.warned(all_rows) if shard is None else compared(shard, all_rows)


def version_of(items: Items) -> str | None:
    """Return what tells one version of the items' file from another; None if they are from no file.

    :param items: as ``read_items`` takes them
    :raises InvalidInput: if there is no such file
    """
    if isinstance(items, SqlQuery) or (isinstance(items, Sequence) and not isinstance(items, str | bytes)):
        return None
    from airflow_provider_workflows.batch.input.files import file_version  # noqa: PLC0415

    path = ShardReference.from_json(items).items if isinstance(items, Mapping) else items
    return file_version(storage_path("items", path))


def sharding_of(items: Items) -> dict[str, Any] | None:
    """Return what ``merge`` compares over all shards; None if items are not a reference that ``shard`` made.

    :param items: as ``read_items`` takes them
    :raises InvalidInput: if they are a dict, and not a shard's reference
    """
    return ShardReference.from_json(items).sharding if isinstance(items, Mapping) else None


def _read(
    source: Iterator[ReadCells],
    reading: Reading,
    *,
    first_row: int = 1,
    rows: int | None = None,
) -> Iterator[Checked]:
    """Yield the rows that are not passed over, ``rows`` of them at most; each has its number in the whole input."""
    keys = Keys(first_row)
    # Asked once: there are as many rows as there are.
    are_changed = bool(reading.functions.names)
    count, number = 0, first_row - 1
    for line, cells in each_row(source) if are_changed else together(source):
        if isinstance(cells, CellColumns):
            taken = cells if rows is None else cells.between(0, rows - count)
            yield from _together(number + 1, line, taken, reading, keys)
            number += len(taken)
            count += len(taken)
        else:
            number += 1
            row = (
                _changed(number, line, cells, reading, is_first=number < first_row + ROWS_READ_TWICE)
                if are_changed
                else checked(
                    number, cells, reading.fields, flat=reading.is_table, rules=reading.rules, line=line
                )
            )
            if row is None:
                continue
            count += 1
            yield _with_own_key(row, keys.clash(row), cells, reading)
        if count == rows:
            break
    if passed_over := max(number - first_row + 1 - count, 0):
        reading.note(f"items: where has passed over {counted(passed_over, 'row')}, as if not in the input")
    if count == 0 and passed_over and rows is None:
        raise InvalidInput(
            f"where has passed over all of items ({counted(passed_over, 'row')}): there is nothing to run"
        )
    if count < (rows or 1):
        raise InvalidInput(
            "items has fewer rows than when it was sharded"
            if rows
            else "items has no rows: there is nothing to run"
        )


def _together(
    number: int, line: int | None, cells: CellColumns, reading: Reading, keys: Keys
) -> Iterator[Checked]:
    """Yield rows of which none is passed over or changed; those in which all is as it should be stay together."""
    for checked_rows in checked_columns(number, line, cells, reading):
        if not isinstance(checked_rows, OrdinaryRows):
            row = checked_rows
            if clash := keys.clash(row):
                row = _with_own_key(row, clash, cells.row(row.number - number), reading)
            yield row
            continue
        start = 0
        for place, clash in keys.clashes(checked_rows).items():
            if place > start:
                yield checked_rows.between(start, place)
            row = checked_rows.row(place)
            yield _with_own_key(row, clash, cells.row(row.number - number), reading)
            start = place + 1
        if start == 0:
            yield checked_rows
        elif start < len(checked_rows):
            yield checked_rows.between(start, len(checked_rows))


def _with_own_key(row: Row | BadRow, clash: Clash | None, cells: object, reading: Reading) -> Row | BadRow:
    """Return a row, as a bad one if there is a reason why it cannot have its key."""
    if clash is None:
        return row
    columns = cells if isinstance(cells, Mapping) else ()
    column = next((str(name) for name in columns if reading.fields.of(name) == "key"), "")
    problems = row.problems if isinstance(row, BadRow) else ()
    kept = columns if reading.rules.keeps_cells and columns else None
    found = (*problems, (column, clash.reason))
    return BadRow(
        row.number, row.key if row.has_key else "", found, row.has_key, row.line, kept, clash.earlier
    )


def _changed(
    number: int, line: int | None, cells: object, reading: Reading, *, is_first: bool
) -> Row | BadRow | None:
    """Return a row as the user's functions have it; None if it is passed over."""
    row = _row(number, line, cells, reading)
    if is_first:
        reading.functions.require_same(number, line, row, _row(number, line, cells, reading))
    return row


def _row(number: int, line: int | None, cells: object, reading: Reading) -> Row | BadRow | None:
    """Return a row as it can be run, or what is wrong with it; None if it is passed over."""
    applied = reading.functions.applied(number, line, cells)
    if applied is PASSED_OVER:
        return None
    return checked(number, applied, reading.fields, flat=reading.is_table, rules=reading.rules, line=line)
