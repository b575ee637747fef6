"""Five people as a colleague's table has them, in the forms in which spreadsheets and programs write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row

HEADER = ["Nr klienta", "Imię", "Nazwisko", "PESEL", "Telefon"]
#: What the header's columns are; the phones are the subject of other tests.
COLUMNS: Mapping[str, str | None] = {
    "Nr klienta": "key",
    "Imię": "first_name",
    "Nazwisko": "last_name",
    "PESEL": "personal_number",
    "Telefon": None,
}
PEOPLE = [
    ["00001", "Łucja", "Żak", "08211402156", "+48 600 700 801"],
    ["00002", "Józef", "Śliwa", "02250100101", "0048600700802"],
    ["00003", "Ewa", "Nowak", "44051401359", "600-700-803"],
    ["00004", "Zoë", "Gąska", "85010112345", "(48) 600 700 804"],
    ["00005", "Jan", "Źdźbło", "99123198763", ""],
]


def table(delimiter: str = ";", line_end: str = "\r\n", rows: list[list[str]] = PEOPLE) -> str:
    """Return a table as text."""
    return "".join(delimiter.join(row) + line_end for row in [HEADER, *rows])


def people_in(path: Path | str, **options: Any) -> list[list[str]]:
    """Return key, names and personal number of each row of a file, none of which is bad."""
    rows = good_rows(path, **{"columns": COLUMNS, **options})
    return [
        [row.key, row.case["firstName"], row.case.get("lastName", ""), row.case["personalNumber"]]
        for row in rows
    ]


def good_rows(path: Path | str, **options: Any) -> list[Row]:
    """Return the rows of a file, none of which is bad."""
    rows = list(read_items(str(path), InputOptions(**options)))
    assert not [row.problems for row in rows if isinstance(row, BadRow)]
    return [row for row in rows if isinstance(row, Row)]


def problems_in(items: Path | str | list[Any], **options: Any) -> list[tuple[int, str, str]]:
    """Return row, column and reason of each problem of a file, or of a list of rows."""
    rows = read_items(items if isinstance(items, list) else str(items), InputOptions(**options))
    return [(row.number, *problem) for row in rows if isinstance(row, BadRow) for problem in row.problems]


def notes_of(path: Path | str, **options: Any) -> list[str]:
    """Return what is noted of a file's reading."""
    notes: list[str] = []
    list(read_items(str(path), InputOptions(**options), note=notes.append))
    return notes


def refusal_of(path: Path | str, **options: Any) -> str:
    """Return why a file is refused as a whole, having seen that no person of the table is named."""
    with pytest.raises(InvalidInput) as raised:
        list(read_items(str(path), InputOptions(**options)))
    message = str(raised.value)
    assert not [cell for row in PEOPLE for cell in row if len(cell) > 2 and cell in message]
    return message
