"""Read rows out of CSV, in bounded memory whatever the file holds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.columns import CheckHeader
from airflow_provider_workflows.batch.input.rows import ROW_CHARACTERS, ROW_TOO_LONG, Cells, Unreadable

NOT_UTF_8 = "is not UTF-8: save the file as UTF-8"
_ENDS = ("\n", "\r")
#: What stands for a NUL, which the csv module of Python 3.10 refuses.
_NUL = "\ud800"
UNDECODED = re.compile(f"[{_NUL}\udc80-\udcff]")
"""Bytes that are not UTF-8, as "surrogateescape" decodes them, and what stands for a NUL."""


def csv_rows(
    stream: io.BufferedReader, skip: int, check_header: CheckHeader
) -> Iterator[tuple[int | None, Cells]]:
    """Yield the line at which each row begins that is not blank, and its cells.

    :param stream: the file
    :param skip: data rows at the beginning to pass over
    :param check_header: called with the columns
    :raises InvalidInput: if the file as a whole cannot be read
    """
    records = _records(io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline=""))
    names = []
    for _, header in islice(records, 1):
        for name in header if isinstance(header, list) else [header]:
            if isinstance(name, Unreadable):
                raise InvalidInput(f"items: the header {name.reason}")
            names.append(name.strip())
        check_header(names)
    for line, cells in islice(records, skip, None):
        if isinstance(cells, Unreadable):
            yield line, cells
        elif len(cells) != len(names):
            yield line, Unreadable(f"has {len(cells)} cells where the header has {len(names)}")
        else:
            yield line, dict(zip(names, cells, strict=True))


def _records(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str | Unreadable] | Unreadable]]:
    """Yield the first line and the cells of the header, then those of each row that is not blank."""
    # The limit holds for the whole process, so it is only ever raised. _Lines bounds the rows.
    csv.field_size_limit(max(csv.field_size_limit(), ROW_CHARACTERS))
    lines = _Lines(text)
    reader = csv.reader(lines, strict=True)
    rows = 0
    while True:
        lines.begin_row()
        try:
            cells: Any = next(reader)
        except StopIteration:
            return
        except _RowTooLong:
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
            cells = [_decoded(cell) for cell in cells]
        yield lines.first, cells


def _decoded(cell: str) -> str | Unreadable:
    if not (found := UNDECODED.search(cell)):
        return cell
    return Unreadable("holds a NUL byte" if found[0] == _NUL else NOT_UTF_8)


class _RowTooLong(Exception):
    pass


class _Lines:
    """The lines of a CSV, read no further than a row may be long."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        #: Number of lines that were read to their end.
        self._ended = 0
        self.begin_row()

    def begin_row(self) -> None:
        #: The line at which the row begins.
        self.first = self._ended + 1
        self._characters = self._quotes = 0
        self.undecoded = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(ROW_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self._ended += line.endswith(_ENDS)
        self._characters += len(line)
        self._quotes += line.count('"')
        if self._characters > ROW_CHARACTERS:
            self._pass_over(line)
            raise _RowTooLong
        if "\0" in line:
            line = line.replace("\0", _NUL)
        if not line.isascii() and UNDECODED.search(line):
            self.undecoded = True
        return line

    def _pass_over(self, line: str) -> None:
        """Read on to the end of the row, which is the first line's end outside of quotes."""
        while self._quotes % 2 or not line.endswith(_ENDS):
            line = self._text.readline(ROW_CHARACTERS)
            self._ended += line.endswith(_ENDS)
            if not line and self._quotes % 2:
                raise csv.Error
            if not line:
                return
            self._quotes += line.count('"')
