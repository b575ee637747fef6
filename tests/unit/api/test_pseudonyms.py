"""Personal numbers: which one is found and how it is hashed; and expressions that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.pseudonyms import find_personal_number, personal_number_hash
from airflow_provider_workflows.api.redaction import PersonalFields
from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.results import require_selection, select_fields

SECRET = "k" * 32


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ({"owner": {"personalNumber": "1"}, "partyDetails": {"personal": {"personalNumber": "2"}}}, "2"),
        ({"personalNumber": "1", "partyDetails": {"personal": {"firstName": "Ada"}}}, None),
        ({"personalNumber": "1", "partyDetails": None}, None),
        ({"personalNumber": " ", "person": {"personalNumber": "2"}}, "2"),
        ({"personalNumber": True, "person": {"personalNumber": 2}}, 2),
    ],
)
def test_the_number_is_that_of_whom_the_result_is_about(result: Any, found: object) -> None:
    assert find_personal_number(result) == found


@pytest.mark.parametrize("missing", [None, float("nan"), "", " \n"])
def test_what_a_table_has_for_no_number_has_no_hash(missing: object) -> None:
    assert personal_number_hash(missing, SECRET) is None


@pytest.mark.parametrize("number", [44051401359.0, [44051401359], b"44051401359"])
def test_what_is_neither_text_nor_a_whole_number_is_refused_without_the_value(number: object) -> None:
    with pytest.raises(InvalidInput, match=f"not {type(number).__name__}") as raised:
        personal_number_hash(number, SECRET)

    assert "44051401359" not in str(raised.value)


def test_text_that_is_no_unicode_has_a_hash() -> None:
    assert personal_number_hash("\ud800", SECRET) != personal_number_hash("\ud801", SECRET)


def test_white_space_around_the_secret_does_not_matter() -> None:
    assert personal_number_hash("1", f" {SECRET}\n") == personal_number_hash("1", SECRET)


@pytest.mark.parametrize(
    ("added", "name"), [("imie\u0328", "IMIĘ"), ("straße", "STRASSE"), ("nr_PESEL", "nrPesel")]
)
def test_names_are_the_same_however_they_are_written(added: str, name: str) -> None:
    assert name in PersonalFields([added])
    assert "other" not in PersonalFields([added])


def test_a_personal_field_without_a_letter_is_refused() -> None:
    with pytest.raises(InvalidInput, match="personal_fields has a name without a letter"):
        Settings(secret="tot_x", personal_fields=("pesel", "_"))


@pytest.mark.parametrize("expression", ["contains(name, `1`)", "abs(name)", "unknown(name)"])
def test_an_expression_that_does_not_fit_is_invalid_input_without_the_value(expression: str) -> None:
    with pytest.raises(InvalidInput, match="does not fit the result") as raised:
        select_fields({"name": "Zdzisława"}, [expression])

    assert "Zdzisława" not in str(raised.value)


def test_an_expression_that_is_nested_too_deeply_is_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="nested too deeply"):
        require_selection([f"{'(' * 5000}a{')' * 5000}"])
