"""The rows of an input that cannot be run, as an error names them: equal ones together."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.reasons import row_ranges

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.rows import BadRow

#: This many reasons are shown.
SHOWN_REASONS = 20


class BadRows:
    """Collects bad rows. Each takes a few bytes, and of its content nothing is kept."""

    def __init__(self) -> None:
        self.number = 0
        self._rows: dict[str, array[int]] = {}
        self._lines: dict[str, array[int]] = {}
        self._earlier: dict[str, array[int]] = {}

    def add(self, row: BadRow) -> None:
        """Take note of a bad row.

        :param row: the row
        """
        self.number += 1
        reason = "; ".join(map(_problem, row.problems))
        if reason not in self._rows and len(self._rows) == SHOWN_REASONS:
            return
        self._rows.setdefault(reason, array("L")).append(row.number)
        if row.line is not None:
            self._lines.setdefault(reason, array("L")).append(row.line)
        if row.earlier is not None:
            self._earlier.setdefault(reason, array("L")).append(row.earlier)

    def require_none(self, rows: int) -> None:
        """Return if there is no bad row.

        :param rows: number of all rows
        :raises InvalidInput: with the number, column and reason of bad rows, never a value
        """
        if not self.number:
            return
        shown = [
            f"{named_rows(found, self._lines.get(reason, ()))}: {reason}{self._earlier_rows(reason)}"
            for reason, found in self._rows.items()
        ]
        others = self.number - sum(map(len, self._rows.values()))
        summary = (
            f"{self.number} of {rows} rows of items cannot be run, so nothing was sent. "
            'Correct them, or leave them out with on_bad_row="skip":'
        )
        raise InvalidInput("\n".join([summary, *shown, *([f"and {others} more"] if others else [])]))

    def _earlier_rows(self, reason: str) -> str:
        earlier = set(self._earlier.get(reason, ()))
        return f": {named_rows(earlier)}" if earlier else ""


def named_rows(rows: Iterable[int], lines: Iterable[int] = ()) -> str:
    """Return the words for rows, and where they are in their file: ``row 7 (line 8 of the file)``.

    :param rows: their numbers
    :param lines: the lines of the file at which they begin, if they are from one that has lines
    """
    numbers, places = list(rows), list(lines)
    several = "s" if len(numbers) > 1 else ""
    place = f" (line{several} {row_ranges(places)} of the file)" if places else ""
    return f"row{several} {row_ranges(numbers)}{place}"


def _problem(problem: tuple[str, str]) -> str:
    column, reason = problem
    return f"{column}: {reason}" if column else reason
