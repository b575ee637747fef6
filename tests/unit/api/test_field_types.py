"""The fields of a record: checked by their types before anything is sent, and written as the API takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.field_types import (
    FIELD_TYPES,
    FieldType,
    require_field_types,
    require_record_fields,
)
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.tables import READY_TABLES, TYPED_TABLE

from .conftest import Driver

Drive = Callable[..., Driver]

WARSAW = timezone(timedelta(hours=1))
MOMENT = datetime(2026, 1, 31, 9, 15, tzinfo=WARSAW)
SECRET = "Kowalska"
TYPES = next(table for table in READY_TABLES if table.id == TYPED_TABLE).fields

#: A type, a value of it, and what is sent.
TAKEN: list[tuple[FieldType, Any, Any]] = [
    ("date", date(1985, 1, 31), "1985-01-31"),
    ("date", "1985-01-31", "1985-01-31"),
    ("datetime", MOMENT, "2026-01-31T08:15:00Z"),
    ("datetime", MOMENT.replace(microsecond=5), "2026-01-31T08:15:00.000005Z"),
    ("datetime", "2026-01-31T08:15:00Z", "2026-01-31T08:15:00Z"),
    ("datetime", "2026-01-31T08:15:00.123+0100", "2026-01-31T08:15:00.123+0100"),
    ("datetime", "2026-01-31T08:15", "2026-01-31T08:15"),
    ("number", 1, 1),
    ("number", 1.5, 1.5),
    ("number", Decimal("19.99"), 19.99),
    ("number", Decimal("1E+3"), 1000),
    ("number", Decimal("0E+999"), 0),
    ("number", 10**400, 10**400),
    ("integer", 10**20, 10**20),
    ("integer", Decimal(7), 7),
    ("text", "007", "007"),
    ("text", "", ""),
    ("checkbox", False, False),
    ("json", {"a": [1, None]}, {"a": [1, None]}),
    ("json", "text", "text"),
    ("array", (1, "a"), [1, "a"]),
    ("array", [], []),
    ("singleSelect", "LOW", "LOW"),
    ("multiselect", ("PEP", "MEDIA"), ["PEP", "MEDIA"]),
    ("assignee", "ada@example.com", "ada@example.com"),
    ("idField", "0042", "0042"),
    *((kind, None, None) for kind in FIELD_TYPES),
]
#: A type, a value that is not of it, and the reason.
REFUSED: list[tuple[FieldType, Any, str]] = [
    ("date", MOMENT, "must be a date, as a Python date or as text such as 2026-01-31, not datetime"),
    ("date", "31.01.1985", "its text is another"),
    ("date", "1985-02-30", "its text is another"),
    ("date", "1985-01-31T00:00", "its text is another"),
    ("date", 19850131, "not int"),
    ("datetime", MOMENT.replace(tzinfo=None), "has no time zone"),
    ("datetime", date(2026, 1, 31), "not date"),
    ("datetime", "2026-01-31", "its text is another"),
    ("datetime", "2026-01-31T25:00Z", "its text is another"),
    ("datetime", "2026-01-31 08:15", "its text is another"),
    ("datetime", 1769847300, "not int"),
    ("number", "1.5", "must be a number, not str"),
    ("number", True, "not bool"),
    ("number", float("nan"), "infinite or not a number"),
    ("number", Decimal("Infinity"), "infinite or not a number"),
    ("number", Decimal("sNaN"), "infinite or not a number"),
    ("number", Decimal("1E+999999999"), "more than 300 digits"),
    ("number", Decimal("1E-400"), "more digits"),
    ("number", Decimal("0.1234567890123456789"), "more digits"),
    ("integer", 1.0, "must be a whole number, not float"),
    ("integer", Decimal("1.5"), "must be a whole number, not Decimal"),
    ("integer", True, "not bool"),
    ("integer", "1", "not str"),
    ("text", 7, "must be text, not int"),
    ("checkbox", 1, "must be True or False, not int"),
    ("checkbox", "yes", "not str"),
    ("array", "a", "must be a list, not str"),
    ("array", {"a": 1}, "not dict"),
    ("array", {1}, "not set"),
    ("singleSelect", ["LOW"], "must be text, not list"),
    ("multiselect", "PEP", "must be a list of texts, not str"),
    ("multiselect", ["PEP", 1], "has an item that is int"),
    ("assignee", 5, "must be text"),
    ("idField", 42, "must be text"),
]


@pytest.mark.parametrize(("kind", "value", "sent"), TAKEN)
def test_a_value_of_its_type_is_written_as_the_api_takes_it(kind: FieldType, value: Any, sent: Any) -> None:
    (written,) = require_record_fields({"field": value}, {"field": kind}).values()

    assert (written, type(written)) == (sent, type(sent))


@pytest.mark.parametrize(("kind", "value", "reason"), REFUSED)
def test_a_value_of_another_type_is_refused_by_its_name(kind: FieldType, value: Any, reason: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        require_record_fields({"harmless": 1, "field": value}, {"field": kind})

    assert str(raised.value).startswith("fields.field ")
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    "kind", sorted(set(FIELD_TYPES) - {"text", "json", "singleSelect", "assignee", "idField"})
)
def test_no_error_repeats_the_value(kind: FieldType) -> None:
    with pytest.raises(InvalidInput) as raised:
        require_record_fields({"field": SECRET}, {"field": kind})

    assert SECRET not in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(
        InvalidInput, match=r"^fields\.born .*; fields\.active must be True or False, not str$"
    ):
        require_record_fields({"born": 1, "active": "no"}, {"born": "date", "active": "checkbox"})


@pytest.mark.parametrize(
    ("value", "sent"),
    [(date(1985, 1, 31), "1985-01-31"), (MOMENT, "2026-01-31T08:15:00Z"), (Decimal("1.5"), 1.5), (b"", None)],
)
def test_a_field_without_a_type_is_written_by_that_of_its_value(value: Any, sent: Any) -> None:
    if sent is None:
        with pytest.raises(InvalidInput, match=r"fields\.field is bytes, which is not a JSON value"):
            require_record_fields({"field": value})
        return

    assert require_record_fields({"field": value}) == {"field": sent}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["date"], "must be a dict"),
        ({5: "date"}, "has a name that is int"),
        ({"born": "day"}, "field_types.born must be one of date, datetime, number"),
        ({"born": ["date"]}, "field_types.born must be one of"),
    ],
)
def test_types_that_there_are_not_are_refused(given: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        require_field_types(given)


def with_records(sandbox: Sandbox) -> Any:
    return dataclasses.replace(sandbox.settings, key="", secret=sandbox.organization_token, api_generation=3)


def test_the_service_takes_what_is_taken_here(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(with_records(sandbox))
    assert TYPES is not None
    names = {kind: name for name, kind in TYPES.items()}
    taken = [(kind, value) for kind, value, _ in TAKEN]

    for kind, value in taken:
        client("create_record", TYPED_TABLE, {names[kind]: value}, TYPES)

    assert sandbox.counts.records == len(taken)


def test_nothing_is_sent_of_what_is_refused_here(drive: Drive, sandbox: Sandbox) -> None:
    client = drive(with_records(sandbox))
    assert TYPES is not None
    names = {kind: name for name, kind in TYPES.items()}

    for kind, value, _ in REFUSED:
        with pytest.raises(InvalidInput, match=names[kind]):
            client("create_record", TYPED_TABLE, {names[kind]: value}, cast("Any", TYPES))

    assert sandbox.counts.total_requests == 0
