"""A row's digest is that of what is sent for it: another content has another digest."""

from __future__ import annotations

import itertools
from typing import Any

from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.rows import Row
from airflow_provider_workflows.batch.row_digests import Common, RowDigests

PHONE = {"countryCode": "48", "number": "600700800"}
#: Contents that differ, some of them in little more than where one value ends and the next begins.
CONTENTS: tuple[tuple[str, dict[str, Any], dict[str, Any] | None], ...] = (
    ("", {"firstName": "Ada"}, None),
    ("", {"lastName": "Ada"}, None),
    ("Ada", {"lastName": "Ada"}, None),
    ("Ada", {"lastName": "Ada"}, {}),
    ("", {"firstName": "Ada", "lastName": "Ada"}, None),
    ("", {"firstName": "Ada\x1fAda"}, None),
    ("", {"firstName": "Ada\nAda"}, None),
    ("", {"firstName": "Ada Ada"}, None),
    ("", {"firstName": ""}, None),
    ("", {}, None),
    ("", {"firstName": "Ada", "phone": PHONE}, None),
    ("", {"firstName": "Ada", "phone": {**PHONE, "number": "600700801"}}, None),
    ("", {"firstName": "Ada", "phone": {"countryCode": "", "number": ""}}, None),
    ("", {"firstName": "Ada", "documents": []}, None),
    ("", {"firstName": "Ada", "documents": [{"number": "7"}]}, None),
    ('["k", null, {"firstName": "Ada"}, null]', {}, None),
)


def digest_of(
    key: str, case: dict[str, Any], parameters: dict[str, Any] | None, *, salt: str = "salt", number: int = 1
) -> bytes:
    row = Row(number, key or str(number), None, case, parameters, bool(key))
    return RowDigests(salt, Common("definition", None)).of(row)


def test_two_contents_have_two_digests() -> None:
    for one, other in itertools.combinations(CONTENTS, 2):
        assert digest_of(*one) != digest_of(*other), (one, other)


def test_the_order_of_columns_and_the_place_of_the_row_change_nothing() -> None:
    case = {"firstName": "Ada", "email": "ada@example.com", "phone": PHONE}

    assert digest_of("k", case, None) == digest_of("k", dict(reversed(case.items())), None, number=7)


def test_a_salt_keeps_digests_from_being_compared() -> None:
    for content in CONTENTS:
        assert digest_of(*content) != digest_of(*content, salt="another")


def test_a_row_has_the_same_digest_from_a_list_whatever_the_spelling_of_its_columns() -> None:
    (one,) = read_items([{"key": "k", "first_name": "Ada", "phone_country_code": "48", "phone_number": "7"}])
    (other,) = read_items([{"Phone": {"number": "7", "country_code": "48"}, "firstName": "Ada", "KEY": "k"}])

    digests = RowDigests("salt", Common("definition", None))

    assert isinstance(one, Row)
    assert isinstance(other, Row)
    assert digests.of(one) == digests.of(other)


def test_the_same_number_in_another_spelling_has_the_same_digest() -> None:
    def digest(limit: float) -> bytes:
        row = Row(1, "k", None, {}, {"limit": limit}, has_key=True)
        return RowDigests("salt", Common("definition", {"common": limit})).of(row)

    def common(limit: float) -> str:
        return RowDigests("salt", Common("definition", {"limit": limit})).of_common()

    assert digest(1) == digest(1.0) != digest(1.5)
    assert common(1) == common(1.0) != common(1.5)


def test_the_same_number_in_a_record_has_the_same_digest() -> None:
    def digest(amount: float) -> bytes:
        row = Row(1, "k", None, {}, None, has_key=True, record={"amount": amount})
        return RowDigests("salt", Common("definition", None, "table")).of(row)

    assert digest(1) == digest(1.0) != digest(1.5)
