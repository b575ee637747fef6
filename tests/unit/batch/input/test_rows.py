"""Bad rows of a batch: found, placed and explained, without a word of what stands in them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.bad_rows import BadRows
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow

#: Stands in every cell, and never in a message.
SECRET = "Kowalska"
GOOD = {"first_name": SECRET}
LOST_ZEROS = (
    "is a number, so its leading zeros may be lost; read the column as text, or set "
    "zero_pad={'personal_number': 11}"
)
NOT_UTF_8 = (
    "is not UTF-8: save the file as UTF-8, or say its encoding: "
    'encoding="cp1250" or "cp1252" or "cp1254" is likely'
)
NOT_A_PHONE = (
    "is not a phone number as +48 600 700 800: it has other characters, an extension, or more than one number"
)
CASE_ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
DEEP: dict[str, Any] = {}
for _ in range(sys.getrecursionlimit()):
    DEEP = {"a": DEEP}
ROUND: dict[str, Any] = {}
ROUND["a"] = ROUND


def bad_rows(items: Any, columns: Any = None) -> list[tuple[int, str, str]]:
    """Return row, column and reason of each problem, having seen that no message holds a cell."""
    rows = list(read_items(items, InputOptions(columns)))
    bad = [row for row in rows if isinstance(row, BadRow)]
    if bad:
        collected = BadRows()
        for row in bad:
            collected.add(row)
        with pytest.raises(InvalidInput) as raised:
            collected.require_none(len(rows))
        assert SECRET not in str(raised.value) + repr(rows)
    return [(row.number, column, reason) for row in bad for column, reason in row.problems]


def refusal(items: Any, columns: Any = None) -> str:
    """Return the error about the input as a whole, having seen that it holds no cell."""
    with pytest.raises(InvalidInput) as raised:
        list(read_items(items, InputOptions(columns)))
    assert SECRET not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (SECRET, "", "must be a dict, not str"),
        (None, "", "must be a dict, not NoneType"),
        ({}, "", "has no field of a case or a record, and no case_id or record_id"),
        (
            {"first_name": " ", "key": SECRET},
            "",
            "has no field of a case or a record, and no case_id or record_id",
        ),
        ({"first_name": 1}, "first_name", "must be text, not int"),
        ({"firstName": [SECRET]}, "firstName", "must be text, not list"),
        ({"personal_number": 1.0}, "personal_number", LOST_ZEROS),
        ({"company_number": True}, "company_number", "must be text, not bool"),
        ({"email": float("nan")}, "", "has no field of a case or a record, and no case_id or record_id"),
        ({"last_name": SECRET + "\ud800"}, "last_name", "is not valid"),
        ({"last_name": SECRET, "personal_number": 10**5000}, "personal_number", LOST_ZEROS),
        (
            {"phone": 600700800},
            "phone",
            "is a number, so a + or zeros in front may be lost; read the column as text",
        ),
        ({"phone": SECRET}, "phone", NOT_A_PHONE),
        ({"phone": {"number": SECRET}}, "phone", "country_code is missing"),
        ({"phone": {"country_code": "48", "number": 1.5}}, "phone", "number must be text, not float"),
        ({"phone": {"number": None}}, "", "has no field of a case or a record, and no case_id or record_id"),
        (
            {"phone": {"country_code": "48", "number": "1", SECRET: 1}},
            "phone",
            "holds a name that the API does not have",
        ),
        ({"phone_number": SECRET}, "phone_number", "country_code is missing"),
        ({"phone_country_code": 1.5, "phoneNumber": "1"}, "phone_country_code", "must be text, not float"),
        (
            {"phone": {"country_code": "1", "number": "2"}, "phone_number": "2"},
            "phone",
            "is given both whole and in parts",
        ),
        ({"documents": SECRET}, "documents", "must be a list, not str"),
        (
            {"documents": [{}, {"resourceId": 1}]},
            "documents",
            "item 2, resource_id must be text, not int",
        ),
        ({"documents": [SECRET]}, "documents", "item 1 must be an object, not str"),
        (
            {"documents": [{SECRET: 1}]},
            "documents",
            "item 1, holds a name that the API does not have",
        ),
        (
            {"first_name": SECRET, "firstName": SECRET},
            "firstName",
            "is the same field as 'first_name'",
        ),
        (
            {**GOOD, "nickname": SECRET},
            "nickname",
            "is not a field of a case: rename it, or map or drop it with columns",
        ),
        (
            {SECRET: 1, "x": 1},
            "",
            "has no name that is a field of a case: rename them, or map them with columns",
        ),
        (
            {"case_id": CASE_ID, **GOOD},
            "case_id",
            "case_id and case fields together: a case that exists is not changed",
        ),
        (
            {"caseId": SECRET},
            "caseId",
            f"has 8 characters and not the form of an id; an id is written like {CASE_ID}",
        ),
        ({"case_id": 8}, "case_id", "must be an id as text, not int"),
        ({**GOOD, "parameters": SECRET}, "parameters", "must be a dict of JSON values, not str"),
        (
            {**GOOD, "parameters": {"a": [float("nan")]}},
            "parameters",
            "parameters.a[0] is nan, which JSON cannot express",
        ),
        ({**GOOD, "parameters": DEEP}, "parameters", "is nested too deeply"),
        (
            {**GOOD, "parameters": ROUND},
            "parameters",
            "parameters.a contains itself, which JSON cannot express",
        ),
        ({**GOOD, "parameters": {"a": SECRET * 20_000}}, "parameters", "has more than 100,000 characters"),
        ({"first_name": SECRET * 20_000}, "first_name", "has more than 100,000 characters"),
        (
            {"phone_number": SECRET * 20_000, "phone_country_code": "1"},
            "phone_number",
            "has more than 100,000 characters",
        ),
        ({"documents": [{"resource_id": SECRET * 20_000}]}, "documents", "has more than 100,000 characters"),
        ({**GOOD, "key": SECRET * 26}, "key", "has more than 200 characters"),
        ({**GOOD, "key": 10**5000}, "key", "has more than 200 characters"),
        ({**GOOD, "key": f"{SECRET}\x07"}, "key", "holds a character that cannot be printed"),
        ({**GOOD, "key": f"{SECRET}\ud800"}, "key", "holds a character that cannot be printed"),
        ({**GOOD, "key": 1.0}, "key", "must be text or a whole number, not float"),
        ({**GOOD, "key": True}, "key", "must be text or a whole number, not bool"),
    ],
)
def test_a_bad_row_of_a_list_is_reported_by_number_column_and_reason(
    row: Any, column: str, reason: str
) -> None:
    assert bad_rows([GOOD, row, GOOD]) == [(2, column, reason)]


def test_all_problems_of_a_row_are_reported() -> None:
    problems = bad_rows([{"first_name": 1, "email": 2, "key": 1.5, "nickname": SECRET}])

    assert {column for _, column, _ in problems} == {"first_name", "email", "key", "nickname"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"first_name": "Kowalska', "is not valid JSON, or ends in the middle of it"),
        (b"Kowalska", "is not valid JSON, or ends in the middle of it"),
        (b'["Kowalska"]', "is not a JSON object"),
        (b'"Kowalska"', "is not a JSON object"),
        (b'{"email": "Kowalska", "email": "Kowalska"}', "holds an object with the same name twice"),
        (
            b'{"email": "Kowalska", "personal_number": NaN}',
            "holds NaN or Infinity, which JSON cannot express",
        ),
        (b'{"personal_number": ' + b"1" * 5000 + b"}", "is not valid JSON, or ends in the middle of it"),
        (
            b'{"email": "Kowalska\xf3"}',
            NOT_UTF_8,
        ),
        (b'{"email": "Kowalska\0"}', "is not valid JSON, or ends in the middle of it"),
        (b"[" * 200_000, "is JSON nested too deeply"),
        (b'{"email": "%s"}' % (b"x" * 1_000_000), "has more than 1,000,000 characters"),
        (b'{"email": "%s"}' % ("ó" * 5_000_000).encode(), "has more than 1,000,000 characters"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else None,
)
def test_a_bad_line_of_json_is_reported_by_row_and_the_next_is_read(
    line: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(GOOD).encode()
    path.write_bytes(b"\n".join([good, b"", line, good]))

    assert bad_rows(str(path)) == [(2, "", reason)]
