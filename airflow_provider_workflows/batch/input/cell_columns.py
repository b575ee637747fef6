"""The cells of many rows of a table, column by column: a whole column is checked at the cost of a few cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_provider_workflows.batch.input.rows import Cells

#: Rows that are put together, and those that are left alone.
_MOST_ROWS = 1000
_LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class CellColumns:
    """The cells of rows that follow on each other, each at the line after that of the row before.

    :param names: of the columns
    :param columns: the cells of each column, as many in each
    :param are_texts: whether each of them surely is text
    """

    names: Sequence[str]
    columns: Sequence[Sequence[Any]]
    are_texts: bool = False

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def row(self, place: int) -> dict[str, Any]:
        """Return the value of each column of a row.

        :param place: of the row in here, from 0
        """
        return {name: column[place] for name, column in zip(self.names, self.columns, strict=True)}

    def between(self, start: int, stop: int) -> CellColumns:
        """Return the rows from a place to another, the first being 0."""
        return CellColumns(self.names, [column[start:stop] for column in self.columns], self.are_texts)

    def with_columns(self, values: Mapping[str, Any]) -> CellColumns:
        """Return the rows with further columns, each of which has one value in all of them.

        :param values: the value of each column
        """
        columns = [*self.columns, *([value] * len(self) for value in values.values())]
        are_texts = self.are_texts and all(isinstance(value, str) for value in values.values())
        return CellColumns([*self.names, *values], columns, are_texts)

    def named(self) -> dict[str, Sequence[Any]]:
        """Return the cells of each column by its name."""
        return dict(zip(self.names, self.columns, strict=True))


ReadCells: TypeAlias = "tuple[int | None, Cells | CellColumns]"
"""The line at which a row begins, None where a file has no lines, and its cells; or those of several rows."""


def each_row(read: Iterator[ReadCells]) -> Iterator[tuple[int | None, Cells]]:
    """Yield each row by itself.

    :param read: what a reader yields
    """
    for line, cells in read:
        if isinstance(cells, CellColumns):
            for place in range(len(cells)):
                yield None if line is None else line + place, cells.row(place)
        else:
            yield line, cells


def together(read: Iterator[ReadCells]) -> Iterator[ReadCells]:
    """Yield rows that come one by one together, as far as they have the same columns in the same order.

    :param read: what a reader yields
    :raises Exception: what the reader raises, behind the rows before it
    """
    group = _Group()
    try:
        for line, cells in read:
            if type(cells) is not dict or not cells:
                yield from group.taken()
                yield line, cells
            elif not group.has_taken(line, cells):
                yield from group.taken()
                group.begin(line, cells)
    except Exception:
        yield from group.taken()
        raise
    yield from group.taken()


class _Group:
    """Rows with the same columns that follow on each other."""

    def __init__(self) -> None:
        self._line: int | None = None
        self._names: tuple[Any, ...] = ()
        self._rows: list[dict[str, Any]] = []

    def begin(self, line: int | None, cells: dict[str, Any]) -> None:
        """Begin with a row."""
        self._line = line
        self._names = tuple(cells)
        self._rows = [cells]

    def has_taken(self, line: int | None, cells: dict[str, Any]) -> bool:
        """Return whether a row is one of the group, and add it then."""
        rows = self._rows
        follows = line is None if self._line is None else line == self._line + len(rows)
        if not (follows and 0 < len(rows) < _MOST_ROWS and tuple(cells) == self._names):
            return False
        rows.append(cells)
        return True

    def taken(self) -> Iterator[ReadCells]:
        """Yield the rows, and forget them."""
        rows, self._rows = self._rows, []
        if len(rows) >= _LEAST_ROWS:
            columns = list(zip(*[row.values() for row in rows], strict=True))
            yield self._line, CellColumns(self._names, columns)
        else:
            for place, row in enumerate(rows):
                yield None if self._line is None else self._line + place, row


def behind(read: Iterator[ReadCells], skip: int) -> Iterator[ReadCells]:
    """Yield rows without the first ones.

    :param read: what a reader yields
    :param skip: number of rows to pass over
    """
    for line, cells in read:
        if skip <= 0:
            yield line, cells
        elif not isinstance(cells, CellColumns):
            skip -= 1
        elif skip >= len(cells):
            skip -= len(cells)
        else:
            yield None if line is None else line + skip, cells.between(skip, len(cells))
            skip = 0
