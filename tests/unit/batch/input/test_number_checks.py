"""Numbers and e-mail addresses that cannot be right are bad rows, before anything is paid."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.number_checks import require_checks
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row

pytest.importorskip("stdnum")

PESEL, NIP, REGON = "44051401359", "8567346215", "192598184"
CHECKS: dict[str, Any] = {
    "personal_number": "PL-PESEL",
    "company_number": ["PL-NIP", "PL-REGON"],
    "email": "EMAIL",
}


def read(row: dict[str, Any], **options: Any) -> Row | BadRow:
    (found,) = read_items([row], InputOptions(checks=CHECKS, **options))
    return found


@pytest.mark.parametrize(
    "row",
    [
        {"personal_number": PESEL},
        {"personal_number": f" {PESEL} "},
        {"company_number": NIP},
        {"company_number": REGON},
        {"email": "jan.kowalski+kyc@example.com"},
        {"email": "jan@żółw.example"},
        {"first_name": "Jan"},
    ],
)
def test_what_may_be_right_is_sent_as_it_is(row: dict[str, Any]) -> None:
    found = read(row)

    assert isinstance(found, Row)
    assert list(found.case.values()) == [next(iter(row.values())).strip()]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("personal_number", "44051401358", "has a wrong check digit, so it is not a PL-PESEL"),
        (
            "personal_number",
            PESEL[1:],
            "has another length than a PL-PESEL: if its leading zeros are lost, zero_pad",
        ),
        ("personal_number", "4405140135A", "is not written as a PL-PESEL"),
        ("personal_number", "44053201353", "has a part that no PL-PESEL has"),
        ("personal_number", "0" * 11, "has only zeros"),
        ("personal_number", "\uff14\uff14051401359", "has digits of another script or size"),
        ("company_number", "8567346216", "is not a PL-NIP or a PL-REGON"),
        ("company_number", "0000000000", "is not a PL-NIP or a PL-REGON"),
        *(
            ("email", text, "is not written as one e-mail address")
            for text in (
                *(
                    "jan",
                    "jan@example",
                    "jan@example,com",
                    "jan@example..com",
                    "@example.com",
                    "jan@",
                    "jan@@a.pl",
                ),
                *(
                    "a@example.com;b@example.com",
                    "a@example.com, b@example.com",
                    "Jan <jan@example.com>",
                    "j n@a.pl",
                ),
                *("jan.@example.com", "jan@-example.com", "jan@1.2.3.4", f"{'a' * 65}@example.com"),
            )
        ),
    ],
)
def test_what_cannot_be_right_is_a_bad_row_that_does_not_name_the_value(
    field: str, value: str, words: str
) -> None:
    found = read({"first_name": "Jan", field: value})

    assert isinstance(found, BadRow)
    ((column, reason),) = found.problems
    assert column == field
    assert words in reason
    assert value not in reason


def test_a_number_is_checked_with_the_zeros_that_were_lost() -> None:
    found = read({"personal_number": 2070803628}, zero_pad={"personal_number": 11})

    assert isinstance(found, Row)
    assert found.case == {"personalNumber": "02070803628"}


@pytest.mark.parametrize(
    "checks",
    [
        "PL-PESEL",
        {"personal_number": "PESEL"},
        {"personal_number": "PL-NOTHING"},
        {"personal_number": "XX-PESEL"},
        {"personal_number": "PL-clean"},
        {"personal_number": "EMAIL"},
        {"personal_number": []},
        {"personal_number": 7},
        {"email": "PL-PESEL"},
        {"phone": "EMAIL"},
    ],
)
def test_a_format_that_there_is_not_is_refused(checks: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^checks"):
        require_checks(checks)


def test_formats_are_named_in_upper_or_lower_case() -> None:
    assert require_checks({"personal_number": "pl-pesel"}) == {"personal_number": ("PL-PESEL",)}
