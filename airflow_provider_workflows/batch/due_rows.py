"""The rows of the input that are due, in order, each compared with what was checked."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.input.checked_columns import OrdinaryRows
from airflow_provider_workflows.batch.input.rows import BadRow, Row

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import Checked
    from airflow_provider_workflows.batch.row_digests import CheckedRows

_ROWS_READ_AT_ONCE = 256


class DueRows:
    """Hands out the rows that are due, read ahead in a thread: storage may be slow.

    :param rows: all rows of the input, in order
    :param is_due: returns whether the row of a number is due
    :param checked: the rows as they were checked; None if they are not compared
    """

    def __init__(
        self, rows: Iterator[Checked], is_due: Callable[[int], bool], checked: CheckedRows | None
    ) -> None:
        self._due = self._those_due(rows, is_due)
        self._checked = checked
        self._last_row = 0
        #: Rows, and whether they were seen to be what was checked.
        self._read: deque[tuple[Row, bool]] = deque()
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
            if not self._read:
                return None
            row, is_same = self._read.popleft()
        if self._checked is not None and not is_same:
            self._checked.require(row)
        return row

    def require_all(self) -> None:
        """Return if all rows that were checked have been read.

        :raises InvalidInput: if the input has ended before
        """
        if self._checked is not None:
            self._checked.require_last(self._last_row)

    def _those_due(
        self, rows: Iterator[Checked], is_due: Callable[[int], bool]
    ) -> Iterator[tuple[Row, bool]]:
        for row in rows:
            if self._checked is not None:
                self._checked.require_passed_over(self._last_row + 1, row.number - 1)
            if isinstance(row, OrdinaryRows):
                self._last_row = row.number + len(row) - 1
                yield from self._those_due_of(row, is_due)
                continue
            self._last_row = row.number
            if isinstance(row, BadRow):
                if self._checked is not None:
                    self._checked.require_skipped(row)
            elif is_due(row.number):
                yield row, False

    def _those_due_of(self, rows: OrdinaryRows, is_due: Callable[[int], bool]) -> Iterator[tuple[Row, bool]]:
        due = [place for place in range(len(rows)) if is_due(rows.number + place)]
        # One that has changed is refused when it is its turn: those before it are sent.
        is_same = bool(due) and self._checked is not None and self._checked.are_same(rows)
        for place in due:
            yield rows.row(place), is_same
