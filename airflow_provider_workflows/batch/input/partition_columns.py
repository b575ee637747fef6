"""The columns that rows have by the names of the folders of Hive and Spark: ``day=2026-01-31``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import REDACTED
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells
from airflow_provider_workflows.batch.input.columns import Fields, named, plain_name
from airflow_provider_workflows.batch.input.empty_rows import is_empty_row, with_empty_rows_alone
from airflow_provider_workflows.batch.input.unreadable import Unreadable

#: The name of a folder for the rows that have one value in a column.
_PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_FOLDER = re.compile(r"(?:^|(?<=/))([^/=]+)=[^/]*(?=/)")
#: What Hive and Spark write where that is no value, or an empty text.
_MISSING = "__HIVE_DEFAULT_PARTITION__"


def is_partition(folder: str) -> bool:
    """Return whether a folder is one for the rows that have one value in a column.

    :param folder: the folder's name
    """
    return _PARTITION.fullmatch(folder) is not None


def partition_of(folders: Sequence[str]) -> dict[str, str | None]:
    """Return the value of each column that is in the names of folders; None for one that is missing.

    :param folders: the names of the folders that a file is in, the outermost first
    :raises InvalidInput: if two of them are of one column, or a name cannot be decoded
    """
    partition: dict[str, str | None] = {}
    for folder in folders:
        if not (found := _PARTITION.fullmatch(folder)):
            continue
        try:
            name, value = (unquote(part, errors="strict") for part in found.groups())
        except UnicodeDecodeError:
            raise InvalidInput(
                f"items: the name of a folder, {named(found[1])}=..., has bytes behind % that are not UTF-8"
            ) from None
        if plain_name(name) in map(plain_name, partition):
            raise InvalidInput(f"items: two folders, one in the other, are of the column {named(name)}")
        partition[name] = None if value == _MISSING else value
    return partition


def without_values(path: str, fields: Fields) -> str:
    """Return a path as messages show it: the folders of a case's fields hold values of people.

    :param path: of a file
    :param fields: the field of each column
    """
    return _FOLDER.sub(
        lambda found: f"{found[1]}={REDACTED}" if fields.of(unquote(found[1])) else found[0], path
    )


def with_partition(
    rows: Iterator[ReadCells],
    partition: Mapping[str, str | None],
    fields: Fields,
    *,
    first_row: int,
) -> Iterator[ReadCells]:
    """Yield the rows of a file with the columns that are in the names of its folders.

    :param rows: the line of each row, and its cells; or those of many rows
    :param partition: what ``partition_of`` returned
    :param fields: the field of each column
    :param first_row: the number in its file of the first of the rows
    :raises InvalidInput: if a row has another value in such a column, unless that is left out
    """
    names: tuple[Any, ...] | None = None
    added: dict[str, str | None] = {}
    repeated: list[tuple[str, str]] = []
    number = first_row
    for line, cells in with_empty_rows_alone(rows, fields):
        # An empty row stays one: its folder alone is nothing to run.
        if isinstance(cells, Unreadable) or (isinstance(cells, Mapping) and is_empty_row(cells, fields)):
            yield line, cells
            number += 1
            continue
        found = tuple(cells.names if isinstance(cells, CellColumns) else cells)
        if found != names:
            names = found
            own = {plain_name(name): name for name in names}
            added = {name: value for name, value in partition.items() if plain_name(name) not in own}
            repeated = [
                (name, own[plain_name(name)])
                for name in partition
                if name not in added and not _is_left_out(name, fields)
            ]
        for name, column in repeated:
            values = cells.named()[column] if isinstance(cells, CellColumns) else (cells[column],)
            _require_same(values, partition[name], column, number)
        if isinstance(cells, CellColumns):
            yield line, cells.with_columns(added)
            number += len(cells)
        else:
            yield line, {**cells, **added}
            number += 1


def _require_same(values: Sequence[Any], value: str | None, column: str, first_row: int) -> None:
    for number, cell in enumerate(values, first_row):
        if not _is_same(cell, value):
            raise InvalidInput(
                f"items: row {number} of a file has another value in {named(column)} than the name of its folder "
                f"says: correct the file or the folder, or leave both out, as in columns={{{named(column)}: None}}"
            )


def _is_left_out(name: str, fields: Fields) -> bool:
    """Return whether the user has said that a column is left out."""
    return fields.of(name) is None and plain_name(name) in map(plain_name, fields.mapped)


def _is_same(cell: Any, value: str | None) -> bool:
    """Return whether a cell has the value of a folder's name, which is text whatever the column is."""
    if isinstance(cell, Unreadable):
        # What is wrong with it is said of its row.
        return True
    text = "" if cell is None else str(cell).strip()
    if not text or value is None:
        return text == (value or "")
    if isinstance(cell, bool):
        return text.lower() == value.lower()
    if isinstance(cell, int | float | Decimal):
        with contextlib.suppress(InvalidOperation):
            return Decimal(text) == Decimal(value)
    return text == value.strip()
