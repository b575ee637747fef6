"""Read rows out of CSV, in bounded memory whatever the file holds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.csv_lines import NUL, UNDECODED, CsvLines, RowTooLong
from airflow_provider_workflows.batch.input.delimiters import (
    USUAL_DELIMITERS,
    find_delimiter,
    named_in_first_line,
    shown_delimiter,
)
from airflow_provider_workflows.batch.input.empty_rows import without_empty_end
from airflow_provider_workflows.batch.input.encodings import as_text
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import ROW_CHARACTERS, ROW_TOO_LONG, Cells, Unreadable

#: Rows by which a header is told from a person where no column has a field.
_SAMPLE_ROWS = 20

Record = tuple[int, "list[Any] | Unreadable"]
"""The line at which a row begins, and its cells."""


def csv_rows(
    stream: io.BufferedReader[Any], skip: int, reading: Reading
) -> Iterator[tuple[int | None, Cells]]:
    """Yield the line at which each row begins that is not blank, and its cells.

    :param stream: the file
    :param skip: data rows at the beginning to pass over
    :param reading: how it is read
    :raises InvalidInput: if the file as a whole cannot be read
    """
    file = as_text(stream, reading.options.encoding, newline="")
    lines = CsvLines(file.text)
    delimiter = _delimiter(lines, reading, file.undecoded)
    records = _records(lines, delimiter, file.undecoded)
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
        rows = _rows(records, names, without_name)
        yield from islice(without_empty_end(rows, reading), skip, None)


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


def _rows(
    records: Iterator[Record], names: list[str], without_name: list[int]
) -> Iterator[tuple[int | None, Cells]]:
    for line, cells in records:
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


def _sample(records: Iterator[Record]) -> list[list[str]]:
    return [
        [cell for cell in cells if isinstance(cell, str)]
        for _, cells in islice(records, _SAMPLE_ROWS)
        if isinstance(cells, list)
    ]


def _records(lines: CsvLines, delimiter: str, undecoded: Callable[[], str]) -> Iterator[Record]:
    """Yield the first line and the cells of the header, then those of each row that is not blank."""
    # The limit holds for the whole process, so it is only ever raised. CsvLines bounds the rows.
    csv.field_size_limit(max(csv.field_size_limit(), ROW_CHARACTERS))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows = 0
    while True:
        lines.begin_row()
        try:
            cells: Any = next(reader)
        except StopIteration:
            return
        except RowTooLong:
            cells = Unreadable(ROW_TOO_LONG)
        except csv.Error:
            row = f"row {rows} (line {lines.first} of the file)" if rows else "the header"
            raise InvalidInput(
                f"items: a quote in {row} is never closed, or a cell goes on after it; a quote within a quoted "
                "cell is written twice"
            ) from None
        if not cells:
            continue
        rows += 1
        if lines.undecoded and isinstance(cells, list):
            cells = [_decoded(cell, undecoded) for cell in cells]
        if lines.is_refused:
            cells = Unreadable(
                "has a character that may separate cells, where the header has one column: put the cell in "
                'quotes, or say what separates cells, as in delimiter=","'
            )
        yield lines.first, cells


def _decoded(cell: str, undecoded: Callable[[], str]) -> str | Unreadable:
    if not (found := UNDECODED.search(cell)):
        return cell
    return Unreadable("holds a NUL byte" if found[0] == NUL else undecoded())
