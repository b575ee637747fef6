"""The empty rows with which a spreadsheet's table often ends: they are nobody, and are left out with a word."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_workflows.batch.input.columns import Fields
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import Cells


def without_empty_end(
    rows: Iterator[tuple[int | None, Cells]], reading: Reading
) -> Iterator[tuple[int | None, Cells]]:
    """Yield rows without the empty ones at the end; one that has others after it stays, and is a bad row.

    :param rows: the line at which each begins, and its cells
    :param reading: is told of what is left out
    """
    empty = array("Q")
    for line, cells in rows:
        if isinstance(cells, Mapping) and _is_empty(cells, reading.fields):
            empty.append(line or 0)
            continue
        for place in empty:
            yield place or None, {}
        del empty[:]
        yield line, cells
    if empty:
        several = "s" if len(empty) > 1 else ""
        reading.note(f"items: {len(empty)} empty row{several} at the end of the table left out")


def _is_empty(cells: Mapping[str, Any], fields: Fields) -> bool:
    """Return whether no column that is read has a value: a spreadsheet may have numbered its empty rows."""
    for column, value in cells.items():
        is_value = value is not None and not (isinstance(value, str) and (not value or value.isspace()))
        if is_value and fields.get(column, "") is not None:
            return False
    return True
