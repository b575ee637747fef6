"""The names in objects that have no name of a field: those that surely are names of columns may be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.input.columns import FIELD_NAMES, named

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.reading import Reading
    from airflow_provider_workflows.batch.input.rows import Cells

_ROWS = 20
_SHOWN_NAMES = 50


def with_names_shown(
    rows: Iterator[tuple[int | None, Cells]], reading: Reading
) -> Iterator[tuple[int | None, Cells]]:
    """Yield rows, having found out by the first ones which names may be shown where none is a field's.

    :param rows: the line and the cells of each
    :param reading: is told what is wrong with rows of such names
    """
    first = list(islice(rows, 1))
    if any(_has_no_field(cells, reading) for _, cells in first):
        first += islice(rows, _ROWS - 1)
        reading.fields.reasons_of_names.update(_reasons([cells for _, cells in first], reading))
    yield from chain(first, rows)


def _has_no_field(cells: object, reading: Reading) -> bool:
    return isinstance(cells, Mapping) and not any(map(reading.fields.of, cells))


def _reasons(rows: list[Any], reading: Reading) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the names of rows in which none is a field's, where they may be shown, and what is wrong with them."""
    from airflow_provider_workflows.batch.input.header_names import (  # noqa: PLC0415  (for an error)
        are_names,
        are_words,
    )

    alike: dict[tuple[Any, ...], list[list[str]]] = {}
    for cells in rows:
        if _has_no_field(cells, reading):
            alike.setdefault(tuple(cells), []).append([_text(value) for value in cells.values()])
    for names, values in alike.items():
        texts = [name for name in names if isinstance(name, str)]
        # A name in one object alone may be that of a person, whom the object is about.
        if len(texts) == len(names) and (are_words(texts) if len(values) == 1 else are_names(texts, values)):
            yield names, _reason(texts)


def _reason(names: list[str]) -> str:
    return (
        f"has no name that is a field of a case. Its names are {', '.join(map(named, names[:_SHOWN_NAMES]))}. The "
        f"fields are {', '.join(FIELD_NAMES)}. Say which is which, as in "
        'columns={"PESEL": "personal_number", "note": None}'
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
