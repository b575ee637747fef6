"""Rows of ordinary text are seen to be right at once, and come out as a closer check has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from airflow_provider_workflows.batch.input import rows
from airflow_provider_workflows.batch.input.columns import fields_of
from airflow_provider_workflows.batch.input.ordinary_rows import ordinary_row
from airflow_provider_workflows.batch.input.rows import Row, checked
from airflow_provider_workflows.batch.input.value_rules import NO_RULES, ValueRules

ORDINARY = {
    "key": "C1",
    "first_name": "Łukasz",
    "company_name": "O'Neil & Sons",
    "email": "ada@example.com",
    "personal_number": "90010112345",
    "phone_country_code": "48",
    "phone_number": "600700800",
}
NAMES = (*ORDINARY, "case_id", "phone", "company_number", "documents", "parameters")
VALUES = (
    some.sampled_from(
        ["", " ", "00", "0048", "48", " 7", "7 ", "NULL", "nan", "12E10", "1.0", "+48", "\0", "a\nb"]
    )
    | some.text(max_size=5)
    | some.sampled_from([None, 7, 7.0, True, [], {}, {"number": "1"}])
    | some.text("0123456789", min_size=1, max_size=12)
)


def closely_checked(cells: dict[str, Any], rules: ValueRules = NO_RULES) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "ordinary_row", lambda *_: None)
        return checked(1, cells, fields_of(None), flat=True, rules=rules)


def test_one_is_taken_without_a_closer_check() -> None:
    columns = {name: name for name in ORDINARY}

    assert ordinary_row(ORDINARY, columns, NO_RULES) is not None
    assert checked(1, ORDINARY, fields_of(None), flat=True) == closely_checked(ORDINARY)
    assert isinstance(closely_checked(ORDINARY), Row)


@pytest.mark.thorough
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(some.dictionaries(some.sampled_from(NAMES), VALUES, max_size=8), some.booleans())
def test_any_other_comes_out_as_a_closer_check_has_it(cells: dict[str, Any], is_whole: bool) -> None:
    cells = {**ORDINARY, **cells} if is_whole else cells

    for rules in (
        NO_RULES,
        ValueRules(default_country_code="48"),
        ValueRules(zero_pad={"personal_number": 11}),
    ):
        assert checked(1, cells, fields_of(None), flat=True, rules=rules) == closely_checked(cells, rules)


@pytest.mark.parametrize(
    "second", [{"first_name": "Ada"}, {"name": "Ada"}, {"first_name": "Ada", "firstName": "Ada"}], ids=str
)
def test_columns_are_those_of_each_row(second: dict[str, Any]) -> None:
    fields = fields_of(None)
    checked(1, ORDINARY, fields)

    assert checked(2, second, fields) == checked(2, second, fields_of(None))
