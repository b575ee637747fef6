"""The empty rows with which a spreadsheet's table often ends: they are nobody, and are left out with a word."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells, each_row
from airflow_provider_workflows.batch.input.columns import Fields
from airflow_provider_workflows.batch.input.reading import Reading


def without_empty_end(rows: Iterator[ReadCells], reading: Reading) -> Iterator[ReadCells]:
    """Yield rows without the empty ones at the end; one that has others after it stays, and is a bad row.

    :param rows: the line at which each begins, and its cells
    :param reading: is told of what is left out
    """
    empty = array("Q")
    for line, cells in with_empty_rows_alone(rows, reading.fields):
        if isinstance(cells, Mapping) and is_empty_row(cells, reading.fields):
            empty.append(line or 0)
            continue
        for place in empty:
            yield place or None, {}
        del empty[:]
        yield line, cells
    if empty:
        several = "s" if len(empty) > 1 else ""
        reading.note_of_file(f"items: {len(empty)} empty row{several} at the end of the table left out")


def with_empty_rows_alone(rows: Iterator[ReadCells], fields: Fields) -> Iterator[ReadCells]:
    """Yield rows, and those that are together one by one if any of them is empty.

    :param rows: the line at which each begins, and its cells
    :param fields: the field of each column
    """
    for line, cells in rows:
        if isinstance(cells, CellColumns) and _has_empty_row(cells, fields):
            yield from each_row(iter([(line, cells)]))
        else:
            yield line, cells


def _has_empty_row(cells: CellColumns, fields: Fields) -> bool:
    read = [column for name, column in cells.named().items() if fields.get(name, "") is not None]
    if any(map(_is_filled, read)):
        return False
    return not read or any(all(map(_is_nothing, values)) for values in zip(*read, strict=True))


def _is_filled(column: Sequence[Any]) -> bool:
    """Return whether each row surely has a value: whether the column is text, and more than white space."""
    try:
        return all(map(str.strip, column))
    except TypeError:
        return not any(map(_is_nothing, column))


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def is_empty_row(cells: Mapping[str, Any], fields: Fields) -> bool:
    """Return whether no column that is read has a value: a spreadsheet may have numbered its empty rows.

    :param cells: the value of each column
    :param fields: the field of each column
    """
    return all(_is_nothing(value) for column, value in cells.items() if fields.get(column, "") is not None)
