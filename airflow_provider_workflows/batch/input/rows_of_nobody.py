"""Rows of a table that are about nobody: its header once more, and the totals that reports put below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_workflows.batch.input.cells import is_header

_WORDS = (
    *("total", "totals", "grand total", "subtotal", "sub-total", "sum", "count", "average"),
    *("razem", "suma", "suma końcowa", "suma częściowa", "ogółem", "łącznie", "podsumowanie"),
    *("summe", "gesamt", "gesamtsumme", "gesamtergebnis", "ergebnis", "zwischensumme", "insgesamt"),
    *("celkem", "celkový součet", "součet", "spolu", "celkom", "súčet"),
    *("total général", "total general", "totale", "totaal", "итого", "всего", "разом", "всього"),
)
#: Each as it may be written.
_SPELLINGS = frozenset(
    spelling + mark
    for word in _WORDS
    for spelling in (word, word.capitalize(), word.title(), word.upper())
    for mark in ("", ":")
)
#: Digits of a number by which somebody is known: with such a one beside it, the word may be a name.
_DIGITS_OF_SOMEBODY = 8
_TEXT_OR_NONE = {str, type(None)}


def why_nobody(cells: Mapping[Any, Any], *, of_table: bool) -> str:
    """Return why a row is about nobody; empty if it may be about somebody.

    :param cells: the value of each column
    :param of_table: whether the row is one of a table, which may have totals
    """
    if is_header(cells):
        return "repeats the names of the columns"
    if of_table and _is_totals(cells):
        return "has totals of the table, and is about nobody: remove it"
    return ""


def _is_totals(cells: Mapping[Any, Any]) -> bool:
    """Return whether a row has a word for totals first, and beside it nothing but counts or sums."""
    if len(cells) < 2:
        return False
    given = (each for each in cells.values() if not _is_empty(each))
    first = next(given, None)
    return type(first) is str and first.strip() in _SPELLINGS and all(map(_is_amount, given))


def places_of_totals(columns: Iterable[Sequence[Any]]) -> Iterator[int]:
    """Yield the places of rows that may be such ones, of which ``why_nobody`` says whether they are.

    :param columns: the cells of each column
    """
    for cells in columns:
        if not set(map(type, cells)) <= _TEXT_OR_NONE or not _SPELLINGS.isdisjoint(cells):
            yield from (place for place, cell in enumerate(cells) if type(cell) is str and cell in _SPELLINGS)
        if all(cells):
            # In none of the rows, a later cell is the first.
            return


def _is_empty(cell: Any) -> bool:
    return cell is None or (type(cell) is str and (not cell or cell.isspace()))


def _is_amount(cell: Any) -> bool:
    text = cell if type(cell) is str else str(cell)
    return not any(map(str.isalpha, text)) and sum(map(str.isdigit, text)) < _DIGITS_OF_SOMEBODY
