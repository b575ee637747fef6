"""The lists that a batch writes for spreadsheets, when they are read as items: their cells as they were before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_workflows.batch import unknown_rows
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.output_row import COLUMNS, columns_of_output
from airflow_provider_workflows.batch.spreadsheet_lines import APOSTROPHE, value_of


def without_apostrophes(rows: Iterator[ReadCells], reading: Reading) -> Iterator[ReadCells]:
    """Yield rows, those of a batch's own list without the apostrophes that keep its cells from being formulas.

    :param rows: the line at which each begins, and its cells
    :param reading: which knows the header once there is a row
    """
    is_own: bool | None = None
    for line, cells in rows:
        if is_own is None:
            is_own = _is_written_by_a_batch(tuple(reading.header))
        yield line, _restored(cells) if is_own else cells


def _is_written_by_a_batch(header: tuple[str, ...]) -> bool:
    # Nobody else writes all of these columns in this order; a spreadsheet that has saved the list keeps them.
    return header in (unknown_rows.COLUMNS, columns_of_output(header[len(COLUMNS) :]))


def _restored(cells: Any) -> Any:
    if isinstance(cells, CellColumns):
        return CellColumns(cells.names, [*map(_values, cells.columns)], cells.are_texts)
    return {name: _value(cell) for name, cell in cells.items()} if isinstance(cells, Mapping) else cells


def _values(column: Sequence[Any]) -> Sequence[Any]:
    return [*map(_value, column)]


def _value(cell: Any) -> Any:
    return value_of(cell) or "" if isinstance(cell, str) and cell.startswith(APOSTROPHE) else cell
