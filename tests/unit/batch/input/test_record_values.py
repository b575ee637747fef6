"""A record's field whose name stands for a field of a case has its values checked as that one's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.input.value_rules import ValueRules

LOST_ZEROS = (
    "its leading zeros may be lost; read the column as text, or set zero_pad={'record.personalNumber': 11}"
)
CHANGED = "a spreadsheet or a data frame has changed, so digits may be lost"


def read(items: Any, **options: Any) -> Row | BadRow:
    (found,) = read_items(items, InputOptions(**options))
    return found


def reasons(row: Row | BadRow) -> dict[str, str]:
    assert isinstance(row, BadRow), "the row would be sent"
    return dict(row.problems)


def record(row: Row | BadRow) -> Any:
    assert isinstance(row, Row), "the row is bad"
    return row.record


DAMAGED = [
    ("personalNumber", 79071212345.0, LOST_ZEROS),
    ("personalNumber", 79071212345, LOST_ZEROS),
    ("personalNumber", Decimal(79071212345), LOST_ZEROS),
    ("personalNumber", "7.90712E+10", CHANGED),
    (
        "personalNumber",
        "79071212345.0",
        f"{CHANGED}; read the column as text, or set zero_pad={{'record.pers",
    ),
    ("personalNumber", "NaN", "stands for an empty cell"),
    ("personalNumber", "none", "stands for an empty cell"),
    ("personalNumber", "7907 1212345", "has blanks between its digits"),
    ("personalNumber", '="79071212345"', "a spreadsheet has put it there"),
    ("personal_number", "7.90712E+10", CHANGED),
    ("Personal Number", "7.90712E+10", CHANGED),
    ("companyNumber", 8567346215.0, "its leading zeros may be lost"),
    ("company number", "8,56734E+09", CHANGED),
    ("phone", 48600700800, "a + or zeros in front may be lost"),
    ("phone", "4.860070E+10", CHANGED),
    ("phoneNumber", 600700800.0, "digits may be lost"),
    ("phone_country_code", "48.0", CHANGED),
    ("e-mail", "undefined", "stands for an empty cell"),
]


class TestARecordsFieldThatStandsForAFieldOfACase:
    @pytest.mark.parametrize(("name", "value", "words"), DAMAGED)
    def test_is_bad_where_that_one_would_be(self, name: str, value: Any, words: str) -> None:
        found = reasons(read([{f"record.{name}": value, "record.city": "Warsaw"}]))

        assert words in found[f"record.{name}"]
        assert str(value) not in found[f"record.{name}"]

    @pytest.mark.parametrize(("name", "value", "words"), DAMAGED)
    def test_is_bad_within_a_whole_record_too(self, name: str, value: Any, words: str) -> None:
        found = reasons(read([{"record": {name: value, "city": "Warsaw"}}]))

        assert found["record"].startswith(f"record.{name} ")
        assert words in found["record"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("personalNumber", "79071212345"),
            ("personalNumber", "AB-123"),
            ("company_number", "0000123456"),
            ("phone", "+48 600 700 800"),
            ("phone", {"countryCode": "48", "number": "600700800"}),
            ("phoneCountryCode", 48),
            ("email", "ada@example.com"),
        ],
    )
    def test_is_sent_as_it_is_where_nothing_is_wrong(self, name: str, value: Any) -> None:
        assert record(read([{f"record.{name}": value}])) == {name: value}
        assert record(read([{"record": {name: value}}])) == {name: value}

    @pytest.mark.parametrize("value", [None, "", " "])
    def test_may_be_empty(self, value: Any) -> None:
        found = read([{"record": {"personalNumber": value, "city": "Warsaw"}}])

        assert record(found) == {"personalNumber": value, "city": "Warsaw"}

    def test_of_a_csv_is_bad_where_a_spreadsheet_has_changed_it(self, tmp_path: Path) -> None:
        path = tmp_path / "cases.csv"
        path.write_text("Name,Number\nAda,7.90712E+10\n", encoding="utf-8")

        found = read(str(path), columns={"Name": "record.firstName", "Number": "record.personalNumber"})

        assert CHANGED in reasons(found)["Number"]


@pytest.mark.parametrize("value", [79071212345.0, 7, "7.90712E+10", "12.0"])
def test_a_records_field_of_another_name_is_left_as_it_is(value: Any) -> None:
    assert record(read([{"record.limit": value}])) == {"limit": value}
    assert record(read([{"record": {"limit": value}}])) == {"limit": value}


def test_a_number_is_right_in_a_field_that_field_types_calls_a_number() -> None:
    found = read([{"record.companyNumber": 8567346215}], field_types={"companyNumber": "integer"})

    assert record(found) == {"companyNumber": 8567346215}


@pytest.mark.parametrize("form", ["parts", "whole"])
@pytest.mark.parametrize("kind", ["text", "idField"])
def test_a_float_is_bad_in_a_field_that_field_types_calls_text(form: str, kind: str) -> None:
    rows = {"parts": {"record.customer": 7.0}, "whole": {"record": {"customer": 7.0}}}

    assert "must be text" in str(reasons(read([rows[form]], field_types={"customer": kind})))


class TestZeroPadOfARecordsField:
    @pytest.mark.parametrize(
        "named", ["record.personalNumber", "record.personal_number", "Record. PersonalNumber"]
    )
    @pytest.mark.parametrize(
        "value", [2070803628, 2070803628.0, "2070803628.0", "2070803628", Decimal(2070803628)]
    )
    def test_gives_zeros_back_in_either_form(self, named: str, value: Any) -> None:
        options = {"zero_pad": {named: 11}}

        assert record(read([{"record.personalNumber": value}], **options)) == {
            "personalNumber": "02070803628"
        }
        assert record(read([{"record": {"personalNumber": value}}], **options)) == {
            "personalNumber": "02070803628"
        }

    def test_is_of_a_field_of_any_name(self) -> None:
        assert record(read([{"record.PESEL": 2070803628.0}], zero_pad={"record.PESEL": 11})) == {
            "PESEL": "02070803628"
        }

    def test_finds_what_it_cannot_correct(self) -> None:
        found = reasons(read([{"record.PESEL": "7.90712E+10"}], zero_pad={"record.PESEL": 11}))

        assert CHANGED in found["record.PESEL"]

    def test_refuses_more_digits(self) -> None:
        found = reasons(read([{"record.PESEL": "123456"}], zero_pad={"record.PESEL": 5}))

        assert found["record.PESEL"] == "has 6 digits, and zero_pad says 5 for record.PESEL"

    @pytest.mark.parametrize(
        "zero_pad", [{"record.": 11}, {"record": 11}, {"recordPESEL": 11}, {"record.PESEL": "x"}]
    )
    def test_of_what_is_no_field_is_refused(self, zero_pad: Any) -> None:
        with pytest.raises(InvalidInput, match=r"^zero_pad must have .*'record.NAME'"):
            ValueRules.of(InputOptions(zero_pad=zero_pad))

    def test_under_two_names_that_are_one_is_refused(self) -> None:
        with pytest.raises(
            InvalidInput, match=r"^zero_pad names record\.A and record\.a, which are one field"
        ):
            ValueRules.of(InputOptions(zero_pad={"record.A": 5, "record.a": 6}))


class TestChecksOfARecordsField:
    CHECKS: ClassVar[dict[str, str]] = {"record.personalNumber": "PL-PESEL", "record.contact": "EMAIL"}

    @pytest.fixture(autouse=True)
    def _stdnum(self) -> None:
        pytest.importorskip("stdnum")

    def test_let_what_may_be_right_pass(self) -> None:
        row = {"record.personalNumber": "44051401359", "record.contact": "ada@example.com"}

        assert record(read([row], checks=self.CHECKS)) == {
            "personalNumber": "44051401359",
            "contact": "ada@example.com",
        }

    @pytest.mark.parametrize("form", ["parts", "whole"])
    def test_make_a_bad_row_of_what_cannot_be_right(self, form: str) -> None:
        wrong = {"personalNumber": "44051401358", "contact": "ada"}
        rows = {
            "parts": {f"record.{name}": value for name, value in wrong.items()},
            "whole": {"record": wrong},
        }

        found = str(reasons(read([rows[form]], checks=self.CHECKS)))

        assert "has a wrong check digit, so it is not a PL-PESEL" in found

    def test_ask_for_text(self) -> None:
        found = reasons(read([{"record.PESEL": 44051401359}], checks={"record.PESEL": "PL-PESEL"}))

        assert found["record.PESEL"] == "is int, and checks asks for text: read the column as text"

    def test_see_the_zeros_that_were_given_back(self) -> None:
        found = read(
            [{"record.PESEL": 2070803628.0}],
            checks={"record.PESEL": "PL-PESEL"},
            zero_pad={"record.PESEL": 11},
        )

        assert record(found) == {"PESEL": "02070803628"}

    def test_of_what_is_no_format_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match=r"^checks"):
            ValueRules.of(InputOptions(checks={"record.PESEL": "PL-NOTHING"}))
