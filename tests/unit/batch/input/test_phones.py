"""Phones as people write them become a calling code and a number; what could be read in two ways is refused."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.calling_codes import CALLING_CODES
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.phones import require_country_code, split_phone
from airflow_provider_workflows.batch.input.rows import BadRow, Row

phonenumbers = pytest.importorskip("phonenumbers")
_KINDS = (
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    phonenumbers.PhoneNumberType.VOIP,
)
_FORMS = (
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.NATIONAL,
)


def read(row: dict[str, Any], **options: Any) -> Row | BadRow:
    (found,) = read_items([row], InputOptions(**options))
    return found


def phone_of(row: Row | BadRow) -> dict[str, str]:
    assert isinstance(row, Row), row.problems
    phone: dict[str, str] = row.case["phone"]
    return phone


@pytest.mark.parametrize(
    ("text", "code", "number"),
    [
        ("+48 600 700 800", "48", "600700800"),
        ("+48600700800", "48", "600700800"),
        ("0048600700800", "48", "600700800"),
        ("00 48 600-700-800", "48", "600700800"),
        ("(600) 700-800", "48", "600700800"),
        ("600.700.800", "48", "600700800"),
        ("(48) 600 700 800", "48", "600700800"),
        ("48600700800", "48", "600700800"),
        (" 600\u00a0700\u00a0800 ", "48", "600700800"),
        ("+1 (212) 555-0100", "1", "2125550100"),
        ("+44 (0)20 7946 0018", "44", "2079460018"),
        ("+44 020 7946 0018", "44", "2079460018"),
        ("+39 06 6982", "39", "066982"),
        ("+49 171/1234567", "49", "1711234567"),
    ],
)
def test_a_phone_is_split(text: str, code: str, number: str) -> None:
    assert split_phone(text, "48") == {"country_code": code, "number": number}


@pytest.mark.parametrize(
    ("code", "text", "number"),
    [
        ("49", "0171 1234567", "1711234567"),
        ("7", "8 (912) 345-67-89", "9123456789"),
        ("7", "812 345-67-89", "8123456789"),
        ("36", "06 30 123 4567", "301234567"),
        ("1", "1-212-555-0100", "2125550100"),
        ("39", "06 69821234", "0669821234"),
    ],
)
def test_what_is_written_in_front_within_a_country_is_left_away(code: str, text: str, number: str) -> None:
    assert split_phone(text, code) == {"country_code": code, "number": number}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("600700800.0", "a spreadsheet has changed"),
        ("4.86E+10", "is not a phone number"),
        ("600 700 800 ext. 5", "is not a phone number"),
        ("600700800 / 600700801", "is not a phone number"),
        ("600700800, 600700801", "is not a phone number"),
        ("+48 600 700 800 +48 600 700 801", "is not a phone number"),
        ("22 123 45 67/68", "is not a phone number"),
        ("tel:+48600700800", "is not a phone number"),
        ("\u0666\u0660\u0660700800", "is not a phone number"),
        ("1" * 5000, "is not a phone number"),
        ("49600700800", "has 11 digits behind the calling code, and numbers of +48 have 9"),
        ("486007008000", "has 10 digits behind the calling code"),
        ("+48 48 600 700 800", "has 11 digits behind the calling code"),
        ("+48 60070080", "has 8 digits"),
        ("60070080", "has 8 digits"),
        ("060 070 080", "begins with 0"),
        ("+48 (0)600 700 800", "has (0) behind +48"),
        ("+210 600700800", "is not the calling code of a country"),
        ("+", "is not the calling code of a country"),
    ],
)
def test_what_is_not_certain_is_refused_without_the_number(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        split_phone(text, "48")

    assert words in str(raised.value)
    assert text not in str(raised.value) or len(text) < 2


def test_a_number_without_calling_code_needs_a_default() -> None:
    row = read({"phone": "600 700 800"})

    assert isinstance(row, BadRow)
    assert "set default_country_code" in row.problems[0][1]


@pytest.mark.costly(40)
@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_no_number_is_split_otherwise_than_by_the_tables_of_google(region: str) -> None:
    examples = [phonenumbers.example_number_for_type(region, kind) for kind in _KINDS]

    for example in filter(None, examples):
        code, number = str(example.country_code), phonenumbers.national_significant_number(example)
        for form in _FORMS:
            try:
                found = split_phone(phonenumbers.format_number(example, form), code)
            except InvalidInput:
                continue
            assert found == {"country_code": code, "number": number}


def test_numbers_of_europe_are_understood_in_each_form() -> None:
    for region in ("PL", "DE", "FR", "GB", "ES", "IT", "CZ", "SK", "UA", "LT", "NL", "SE", "HU", "RO", "US"):
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        code = str(example.country_code)
        for form in _FORMS:
            assert split_phone(phonenumbers.format_number(example, form), code)["country_code"] == code


def test_no_calling_code_begins_with_another() -> None:
    assert not [code for code in CALLING_CODES for other in CALLING_CODES - {code} if code.startswith(other)]


@pytest.mark.parametrize("code", ["+48", "0048", "48", "+ 48", 48])
def test_a_country_code_of_its_own_is_digits_alone(code: object) -> None:
    row = read({"phone_country_code": code, "phone_number": "600700800"})

    assert phone_of(row) == {"countryCode": "48", "number": "600700800"}


@pytest.mark.parametrize(
    "row",
    [
        {"phone_number": "+48 600 700 800"},
        {"phone_number": "600700800"},
        {"phone_country_code": "48", "phone_number": "+48600700800"},
        {"phone_country_code": "+48", "phone_number": "0048 600700800"},
        {"phone": {"number": "+48600700800"}},
        {"phone": {"countryCode": "+48", "number": "600700800"}},
        {"phone": "+48600700800"},
    ],
)
def test_parts_and_objects_come_to_the_same(row: dict[str, Any]) -> None:
    found = read(row, default_country_code="+48")

    assert phone_of(found) == {"countryCode": "48", "number": "600700800"}


@pytest.mark.parametrize(
    ("code", "number", "reason"),
    [
        ("49", "+48600700800", "has another calling code than its country code says"),
        ("48", "48600700800", "begins with its calling code, and is too long with it"),
        ("48", "48 600 700 800", "begins with its calling code, and is too long with it"),
        ("48", "600700\u0668\u0660\u0660", "has digits of another script"),
    ],
)
def test_a_number_that_is_no_phone_of_its_country_code_is_a_bad_row(
    code: str, number: str, reason: str
) -> None:
    row = read({"phone_country_code": code, "phone_number": number})

    assert isinstance(row, BadRow)
    ((column, problem),) = row.problems
    assert (column, problem[: len(reason)]) == ("phone_number", reason)


@pytest.mark.parametrize("code", ["PL", "", "999", "+", "4 8 0 0", "800", 48, True])
def test_a_default_that_is_no_calling_code_is_refused(code: object) -> None:
    with pytest.raises(InvalidInput, match="default_country_code must be the digits"):
        require_country_code(code)
