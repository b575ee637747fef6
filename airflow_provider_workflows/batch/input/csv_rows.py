"""Read rows out of CSV, in bounded memory whatever the file holds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells, behind
from airflow_provider_workflows.batch.input.csv_blocks import columns_of_block
from airflow_provider_workflows.batch.input.csv_lines import (
    BLOCK_CHARACTERS,
    NUL,
    UNDECODED,
    CsvLines,
    RowTooLong,
)
from airflow_provider_workflows.batch.input.delimiters import (
    USUAL_DELIMITERS,
    find_delimiter,
    named_in_first_line,
    shown_delimiter,
)
from airflow_provider_workflows.batch.input.empty_rows import without_empty_end
from airflow_provider_workflows.batch.input.encodings import as_text
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import ROW_CHARACTERS, ROW_TOO_LONG
from airflow_provider_workflows.batch.input.unreadable import Unreadable

#: Rows by which a header is told from a person where no column has a field.
_SAMPLE_ROWS = 20
#: Around a row that is read by itself, smaller blocks are taken, down to this, so that fewer others are too.
_LEAST_CHARACTERS = 4096

Record = tuple[int, "list[Any] | Unreadable"]
"""The line at which a row begins, and its cells."""


def csv_rows(stream: io.BufferedReader[Any], skip: int, reading: Reading) -> Iterator[ReadCells]:
    """Yield the line at which each row begins that is not blank, and its cells; or those of many rows.

    :param stream: the file
    :param skip: data rows at the beginning to pass over
    :param reading: how it is read
    :raises InvalidInput: if the file as a whole cannot be read
    """
    file = as_text(stream, reading.options.encoding, newline="")
    lines = CsvLines(file.text)
    delimiter = _delimiter(lines, reading, file.undecoded)
    records = _Records(lines, delimiter, file.undecoded)
    for _, header in islice(records, 1):
        names: list[str] = []
        for name in header if isinstance(header, list) else [header]:
            if isinstance(name, Unreadable):
                raise InvalidInput(f"items: the header {name.reason}")
            names.append(name.strip())
        without_name = reading.take_header(names, lambda: _sample(records))
        if len(names) == 1 and reading.options.delimiter is None:
            # What is one column by its header may have several cells in a row, which would be one value.
            others = "".join(mark for mark in USUAL_DELIMITERS if mark != delimiter)
            lines.refused = re.compile(f'^[^"]*[{re.escape(others)}]')
        yield from behind(without_empty_end(_rows(records, names, without_name), reading), skip)


def _delimiter(lines: CsvLines, reading: Reading, undecoded: Callable[[], str]) -> str:
    """Return what separates the cells, having taken a first line that names it."""
    given = reading.options.delimiter
    first = lines.first_row()
    if named := named_in_first_line(first):
        if given not in (None, named):
            raise InvalidInput(
                f"items: the first line of the file says that {shown_delimiter(named)} is between the cells, and "
                f"delimiter says {shown_delimiter(given or '')}: leave the argument out"
            )
        lines.take_first_row()
        return named
    if given is not None:
        return given
    if UNDECODED.search(first):
        raise InvalidInput(f"items: the header {undecoded()}")
    return find_delimiter(first, reading.fields)


def _rows(records: _Records, names: list[str], without_name: list[int]) -> Iterator[ReadCells]:
    while True:
        line, columns = records.take_block(len(names), without_name)
        if columns is not None:
            yield line, CellColumns(names, columns, are_texts=True)
            continue
        record = next(records, None)
        if record is None:
            return
        line, cells = record
        if isinstance(cells, Unreadable):
            yield line, cells
        elif len(cells) != len(names) and all(map(_is_empty, cells)):
            yield line, {}
        elif len(cells) != len(names):
            yield line, Unreadable(f"has {len(cells)} cells where the header has {len(names)}")
        elif without_name and (places := [place for place in without_name if not _is_empty(cells[place])]):
            yield line, Unreadable(f"has a value in a column without a name, at position {places[0] + 1}")
        else:
            yield line, dict(zip(names, cells, strict=True))


def _is_empty(cell: Any) -> bool:
    return isinstance(cell, str) and (not cell or cell.isspace())


def _are_empty(cells: Sequence[str]) -> bool:
    text = "".join(cells)
    return not text or text.isspace()


def _sample(records: _Records) -> list[list[str]]:
    return [
        [cell for cell in cells if isinstance(cell, str)]
        for _, cells in islice(records, _SAMPLE_ROWS)
        if isinstance(cells, list)
    ]


class _Records:
    """The first line and the cells of the header, then those of each row that is not blank.

    :param lines: the lines of the file
    :param delimiter: what is between the cells
    :param undecoded: returns the reason why a cell with undecoded bytes cannot be read
    """

    def __init__(self, lines: CsvLines, delimiter: str, undecoded: Callable[[], str]) -> None:
        # The limit holds for the whole process, so it is only ever raised. CsvLines bounds the rows.
        csv.field_size_limit(max(csv.field_size_limit(), ROW_CHARACTERS))
        self._lines = lines
        self._delimiter = delimiter
        self._undecoded = undecoded
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._rows = 0
        self._block_characters = BLOCK_CHARACTERS
        #: Characters of a block that is read row by row, as far as that is not done.
        self._row_by_row = 0

    def take_block(
        self, width: int, without_name: Sequence[int]
    ) -> tuple[int, Sequence[Sequence[str]] | None]:
        """Take many rows, each of which is a line.

        :param width: number of columns
        :param without_name: the places of the columns in which no row may have a value
        :return: the line at which the first begins, and the cells of each column; None instead of these where the
            next row has to be taken by itself
        """
        lines = self._lines
        lines.begin_row()
        if lines.place < self._row_by_row:
            return lines.first, None
        block = lines.block(self._block_characters)
        columns = columns_of_block(block, self._delimiter, width)
        if not block:
            # The next line is longer than a block.
            self._block_characters = min(self._block_characters * 2, BLOCK_CHARACTERS)
            return lines.first, None
        if columns is None or any(not _are_empty(columns[place]) for place in without_name):
            self._row_by_row = lines.place + len(block)
            self._block_characters = max(self._block_characters // 4, _LEAST_CHARACTERS)
            return lines.first, None
        first, rows = lines.first, len(columns[0])
        lines.take_block(block, rows)
        self._rows += rows
        self._block_characters = min(self._block_characters * 2, BLOCK_CHARACTERS)
        return first, columns

    def __iter__(self) -> _Records:
        return self

    def __next__(self) -> Record:
        lines = self._lines
        while True:
            lines.begin_row()
            try:
                cells: Any = next(self._reader)
            except RowTooLong:
                cells = Unreadable(ROW_TOO_LONG)
            except csv.Error:
                row = f"row {self._rows} (line {lines.first} of the file)" if self._rows else "the header"
                raise InvalidInput(
                    f"items: a quote in {row} is never closed, or a cell goes on after it; a quote within a quoted "
                    "cell is written twice"
                ) from None
            if not cells:
                continue
            self._rows += 1
            if lines.undecoded and isinstance(cells, list):
                cells = [_decoded(cell, self._undecoded) for cell in cells]
            if lines.is_refused:
                cells = Unreadable(
                    "has a character that may separate cells, where the header has one column: put the cell in "
                    'quotes, or say what separates cells, as in delimiter=","'
                )
            return lines.first, cells


def _decoded(cell: str, undecoded: Callable[[], str]) -> str | Unreadable:
    if not (found := UNDECODED.search(cell)):
        return cell
    return Unreadable("holds a NUL byte" if found[0] == NUL else undecoded())
