"""The lines of a CSV, read no further than a row may be long, or many of them as one block."""

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
BLOCK_CHARACTERS = 64 * 1024
"""Characters of a block, and characters that are read of the file at once: what a processor has at hand.

Blocks of four times as many took 5 % more time, and of a quarter 15 %.
"""
_ENDS = ("\n", "\r")


class RowTooLong(Exception):
    """A row has more characters than are read of one."""


class CsvLines:
    """The lines of a CSV, as the csv module takes them.

    :param text: the file
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        #: What was read of the file, the place in it of what was not taken yet, and of its beginning in the file.
        self._read = ""
        self._place = self._start = 0
        self._has_ended = False
        #: Lines that were read and not yet taken.
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
        while line := self._line(ROW_CHARACTERS + 1):
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

    @property
    def place(self) -> int:
        """The place in the file, in characters, behind what was taken."""
        return self._start + self._place

    def block(self, characters: int) -> str:
        """Return the whole lines that come next, as text, without taking them.

        Called where a row has ended, so that the first of them begins a row.

        :param characters: of the block, at most
        :return: empty at the end of the file, or where the next line is longer
        """
        if self._ahead:
            return ""
        while len(self._read) - self._place < characters and self._fill():
            pass
        stop = self._place + characters
        if self._has_ended and stop >= len(self._read):
            return self._read[self._place :]
        return self._read[self._place : self._read.rfind("\n", self._place, stop) + 1]

    def take_block(self, block: str, lines: int) -> None:
        """Pass over a block.

        :param block: what ``block`` has returned
        :param lines: number of its lines
        """
        self._place += len(block)
        self._ended += lines if block.endswith(_ENDS) else lines - 1
        self.begin_row()

    def __iter__(self) -> CsvLines:
        return self

    def __next__(self) -> str:
        line = self._ahead.popleft() if self._ahead else self._line(ROW_CHARACTERS + 1)
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

    def _line(self, limit: int) -> str:
        """Take the next line with its end, or the first characters of a long one."""
        searched = self._place
        while True:
            end = self._end_of_line(searched)
            if end < 0 and len(self._read) - self._place < limit:
                before = len(self._read) - self._place
                if self._fill():
                    # A carriage return at the end may belong to the line feed that comes now.
                    searched = self._place + max(before - 1, 0)
                    continue
            if end < 0:
                end = len(self._read)
            line = self._read[self._place : min(end, self._place + limit)]
            self._place += len(line)
            return line

    def _end_of_line(self, start: int) -> int:
        """Return the place behind the end of a line; -1 if it is not known yet where that is."""
        feed = self._read.find("\n", start)
        carriage = self._read.find("\r", start, len(self._read) if feed < 0 else feed)
        if carriage < 0:
            return feed + 1 if feed >= 0 else -1
        if carriage + 1 == len(self._read):
            return -1
        return carriage + 2 if carriage + 1 == feed else carriage + 1

    def _fill(self) -> bool:
        """Return whether the file has more text, which is then behind what was read before."""
        if self._has_ended:
            return False
        more = self._text.read(BLOCK_CHARACTERS)
        self._has_ended = not more
        self._read = self._read[self._place :] + more
        self._start += self._place
        self._place = 0
        return bool(more)

    def _pass_over(self, line: str) -> None:
        """Read on to the end of the row, which is the first line's end outside of quotes."""
        while self._quotes % 2 or not line.endswith(_ENDS):
            line = self._ahead.popleft() if self._ahead else self._line(ROW_CHARACTERS)
            self._ended += line.endswith(_ENDS)
            if not line and self._quotes % 2:
                raise csv.Error
            if not line:
                return
            self._quotes += line.count('"')
