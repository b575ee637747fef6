"""The rows of a table that were checked column by column: those in which all is as it should be stay together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_workflows.batch.input.cell_columns import CellColumns
from airflow_provider_workflows.batch.input.cells import is_header
from airflow_provider_workflows.batch.input.columns import PHONE_PARTS, columns_of
from airflow_provider_workflows.batch.input.ordinary_columns import Texts, ordinary_columns
from airflow_provider_workflows.batch.input.ordinary_rows import BODY_NAMES
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import BadRow, Row, checked
from airflow_provider_workflows.batch.input.rows_of_nobody import places_of_totals

#: Fewer rows than this are no faster together.
_LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class OrdinaryRows:
    """Rows of ordinary text that can be run, and follow on each other.

    :param number: of the first of them in the whole input, from 1
    :param rows: how many they are
    :param values: by field, the text of each row, empty where it has none
    :param line: the line of its file at which the first begins, as each other one does at the line after that of
        the row before; None if they are from no file that has lines
    """

    number: int
    rows: int
    values: Mapping[str, Texts] = field(repr=False)
    line: int | None = None

    def __len__(self) -> int:
        """Return how many they are."""
        return self.rows

    def __iter__(self) -> Iterator[Row]:
        """Yield each row by itself."""
        return map(self.row, range(self.rows))

    @property
    def own_keys(self) -> Texts | None:
        """The key of each row, empty where it has none of its own; None if no row has one."""
        return self.values.get("key")

    @property
    def keys(self) -> Texts:
        """The key of each row, its number where it has none of its own."""
        numbers = map(str, range(self.number, self.number + self.rows))
        if self.own_keys is None:
            return [*numbers]
        if all(self.own_keys):
            return self.own_keys
        return [key or number for key, number in zip(self.own_keys, numbers, strict=True)]

    def row(self, place: int) -> Row:
        """Return a row.

        :param place: of the row in here, from 0
        """
        given = {name: text for name, texts in self.values.items() if (text := texts[place])}
        key = given.pop("key", "")
        phone = {part: given.pop(name) for name, part in PHONE_PARTS.items() if name in given}
        case: dict[str, Any] = {BODY_NAMES[name]: text for name, text in given.items()}
        if phone:
            case["phone"] = {"countryCode": phone["country_code"], "number": phone["number"]}
        number = self.number + place
        line = None if self.line is None else self.line + place
        return Row(number, key or str(number), None, case, None, bool(key), line)

    def between(self, start: int, stop: int) -> OrdinaryRows:
        """Return the rows from a place to another, the first being 0."""
        return OrdinaryRows(
            self.number + start,
            stop - start,
            {name: texts[start:stop] for name, texts in self.values.items()},
            None if self.line is None else self.line + start,
        )


Checked: TypeAlias = Row | BadRow | OrdinaryRows
"""A row that was checked, or several in which all is as it should be."""


def each_checked(rows: Iterable[Checked]) -> Iterator[Row | BadRow]:
    """Yield each row by itself.

    :param rows: rows that were checked
    """
    for row in rows:
        if isinstance(row, OrdinaryRows):
            yield from row
        else:
            yield row


def checked_columns(number: int, line: int | None, cells: CellColumns, reading: Reading) -> Iterator[Checked]:
    """Yield rows as they can be run, or what is wrong with them.

    :param number: of the first of them, from 1
    :param line: the line of its file at which the first begins, if it is from one that has lines
    :param cells: the cells of the rows
    :param reading: how they are read
    """
    named = cells.named()
    columns, wrong = columns_of(named, reading.fields)
    found = None
    if not wrong:
        found = ordinary_columns(
            {name: named[column] for name, column in columns.items()},
            reading.rules,
            are_texts=cells.are_texts,
        )
    values, odd = ({}, set(range(len(cells)))) if found is None else found
    if cells.names and cells.names[0] in cells.columns[0]:
        odd.update(place for place in range(len(cells)) if is_header(cells.row(place)))
    if reading.is_table:
        odd.update(places_of_totals(cells.columns))
    sent = {name: texts for name, texts in values.items() if name in _SENT}
    together = OrdinaryRows(number, len(cells), sent, line)
    start = 0
    for place in (*sorted(odd), len(cells)):
        if place - start == len(cells):
            yield together
        elif place - start >= _LEAST_ROWS:
            yield together.between(start, place)
        else:
            yield from map(together.row, range(start, place))
        if place < len(cells):
            yield checked(
                number + place,
                cells.row(place),
                reading.fields,
                flat=reading.is_table,
                rules=reading.rules,
                line=None if line is None else line + place,
            )
        start = place + 1


_SENT = frozenset({*BODY_NAMES, *PHONE_PARTS, "key"})
