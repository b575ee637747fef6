"""The rows of the input that are due, in order, each compared with what was checked."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.input.rows import BadRow, Row

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.row_digests import CheckedRows

_ROWS_READ_AT_ONCE = 256


class DueRows:
    """Hands out the rows that are due, read ahead in a thread: storage may be slow.

    :param rows: all rows of the input, in order
    :param is_due: returns whether a row is due
    :param checked: the rows as they were checked; None if they are not compared
    """

    def __init__(
        self, rows: Iterator[Row | BadRow], is_due: Callable[[Row], bool], checked: CheckedRows | None
    ) -> None:
        self._due = self._those_due(rows, is_due)
        self._checked = checked
        self._last_row = 0
        self._read: deque[Row] = deque()
        self._reading = asyncio.Lock()

    async def next(self) -> Row | None:
        """Return the next row that is due; None after the last.

        :raises InvalidInput: if the row has changed since the input was checked
        """
        async with self._reading:
            if not self._read:
                self._read.extend(
                    await asyncio.to_thread(lambda: list(itertools.islice(self._due, _ROWS_READ_AT_ONCE)))
                )
            row = self._read.popleft() if self._read else None
        if row is not None and self._checked is not None:
            self._checked.require(row)
        return row

    def require_all(self) -> None:
        """Return if all rows that were checked have been read.

        :raises InvalidInput: if the input has ended before
        """
        if self._checked is not None:
            self._checked.require_last(self._last_row)

    def _those_due(self, rows: Iterator[Row | BadRow], is_due: Callable[[Row], bool]) -> Iterator[Row]:
        for row in rows:
            if self._checked is not None:
                self._checked.require_passed_over(self._last_row + 1, row.number - 1)
            self._last_row = row.number
            if isinstance(row, BadRow):
                if self._checked is not None:
                    self._checked.require_skipped(row)
            elif is_due(row):
                yield row
