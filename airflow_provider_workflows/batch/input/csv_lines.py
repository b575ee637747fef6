"""The lines of a CSV, read no further than a row may be long."""

from __future__ import annotations

import csv
import io
import re
from collections import deque

from airflow_provider_workflows.batch.input.encodings import UNDECODED_CHARACTERS
from airflow_provider_workflows.batch.input.rows import ROW_CHARACTERS

#: What stands for a NUL, which the csv module of Python 3.10 refuses.
NUL = "\ud800"
UNDECODED = re.compile(f"[{NUL}{UNDECODED_CHARACTERS}]")
"""What stands for bytes that cannot be decoded, and for a NUL."""
_ENDS = ("\n", "\r")


class RowTooLong(Exception):
    """A row has more characters than are read of one."""


class CsvLines:
    """The lines of a CSV, as the csv module takes them.

    :param text: the file
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._ahead: deque[str] = deque()
        #: Number of lines that were read to their end.
        self._ended = 0
        #: Characters of which none may stand outside of quotes, since they would be a delimiter there.
        self.refused: re.Pattern[str] | None = None
        self.begin_row()

    def begin_row(self) -> None:
        """Take the next line for the first of a row."""
        #: The line at which the row begins.
        self.first = self._ended + 1
        self._characters = self._quotes = 0
        self.undecoded = self.is_refused = False

    def first_row(self) -> str:
        """Return the first row that is not blank, as text, without taking it; cut where it is too long."""
        row = ""
        while line := self._text.readline(ROW_CHARACTERS + 1):
            self._ahead.append(line)
            row = row + line if row or not line.isspace() else ""
            if (row and row.count('"') % 2 == 0) or len(row) > ROW_CHARACTERS:
                break
        return row

    def take_first_row(self) -> None:
        """Pass over the row that ``first_row`` has returned, and the blank lines before it."""
        self._ended += sum(line.endswith(_ENDS) for line in self._ahead)
        self._ahead.clear()
        self.begin_row()

    def __iter__(self) -> CsvLines:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else self._text.readline(ROW_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self._ended += line.endswith(_ENDS)
        self._characters += len(line)
        self._quotes += line.count('"')
        if self._characters > ROW_CHARACTERS:
            self._pass_over(line)
            raise RowTooLong
        if "\0" in line:
            line = line.replace("\0", NUL)
        if not line.isascii() and UNDECODED.search(line):
            self.undecoded = True
        if self.refused is not None and self.refused.search(line):
            self.is_refused = True
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
