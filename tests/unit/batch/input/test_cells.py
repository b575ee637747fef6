"""Values that a spreadsheet or a data frame has changed are bad rows, whatever source they come from."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.cells import require_zero_pad
from airflow_provider_workflows.batch.input.items import raise_for, read_items
from airflow_provider_workflows.batch.input.rows import BadRow, Row

FORMS = ("list", "jsonl", "csv", "parquet")
PADDED = {"personal_number": 11, "company_number": 10}

LOST_ZEROS = "its leading zeros may be lost; read the column as text, or set zero_pad="
LOST_DIGITS = "a spreadsheet or a data frame has changed, so digits may be lost; read the column as text"
STANDS_FOR_NOTHING = "stands for an empty cell or an error"
DOES_NOT_SHOW = "only characters that do not show"


def source(form: str, row: dict[str, Any], folder: Path) -> Any:
    """Return items of one row in a form."""
    path = str(folder / f"rows.{form}")
    if form == "list":
        return [row]
    if form == "jsonl":
        Path(path).write_text(json.dumps(row) + "\n", encoding="utf-8")
    elif form == "csv":
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)
    else:
        parquet.write_table(pa.Table.from_pylist([row]), path)
    return path


def read(items: Any, **arguments: Any) -> Row | BadRow:
    (row,) = read_items(items, **arguments)
    return row


def reason(row: Row | BadRow, column: str) -> str:
    assert isinstance(row, BadRow), "the row would be sent"
    return dict(row.problems)[column]


@pytest.mark.parametrize("form", FORMS)
class TestTextOfATable:
    @pytest.mark.parametrize("field", ["personal_number", "company_number", "phone_number", "key"])
    @pytest.mark.parametrize("text", ["44051401359.0", "4.4051401359E+10", "4,4051E+10", "1E+10", "7,0"])
    def test_of_a_number_that_was_changed_is_bad(
        self, form: str, field: str, text: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "phone_country_code": "48", "phone_number": "600100200", field: text}

        assert LOST_DIGITS in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("field", ["first_name", "last_name", "email", "personal_number", "key"])
    @pytest.mark.parametrize("text", ["#N/A", "#N/D!", "nan", "NaN", "NULL", "null", "<NA>", "\\N"])
    def test_that_stands_for_nothing_is_bad(self, form: str, field: str, text: str, tmp_path: Path) -> None:
        row = {"company_name": "Acme", field: text}

        assert STANDS_FOR_NOTHING in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\u200b \u2060", "\x1a"])
    def test_that_does_not_show_is_bad(self, form: str, text: str, tmp_path: Path) -> None:
        row = {"company_name": "Acme", "first_name": text}

        assert DOES_NOT_SHOW in reason(read(source(form, row, tmp_path)), "first_name")

    @pytest.mark.parametrize(
        ("field", "text", "words"),
        [
            ("personal_number", "44 051 401 359", "has blanks between its digits"),
            ("company_number", "526\u00a0025\u00a002\u00a074", "has blanks between its digits"),
            ("personal_number", "'44051401359", "has an apostrophe beside its digits"),
            ("phone_number", "'600100200", "has an apostrophe beside its digits"),
            ("company_number", "\u20195260250274", "has an apostrophe beside its digits"),
        ],
    )
    def test_of_digits_with_other_marks_is_bad(
        self, form: str, field: str, text: str, words: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "phone_country_code": "48", "phone_number": "600100200", field: text}

        assert words in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize(
        ("field", "text"),
        [
            ("last_name", "Null"),
            ("last_name", "O'Brien"),
            ("last_name", "Na"),
            ("company_name", "4.0"),
            ("company_address", "Nowa 12"),
            ("personal_number", "02211012345"),
            ("company_number", "0000123456"),
            ("company_number", "DE 123"),
            ("key", "row 12"),
            ("first_name", "Ada\u00a0Maria"),
        ],
    )
    def test_of_a_person_is_good(self, form: str, field: str, text: str, tmp_path: Path) -> None:
        row = {"email": "ada@example.com", field: text}

        assert isinstance(read(source(form, row, tmp_path)), Row)

    def test_with_a_nul_is_bad(self, form: str, tmp_path: Path) -> None:
        row = {"email": "ada@example.com", "first_name": "A\0b"}

        assert reason(read(source(form, row, tmp_path)), "first_name") == "holds a NUL byte"


@pytest.mark.parametrize("form", ["list", "jsonl", "parquet"])
class TestNumber:
    @pytest.mark.parametrize("field", ["personal_number", "company_number"])
    @pytest.mark.parametrize("number", [44051401359, 44051401359.0, 7])
    def test_in_an_identifier_is_bad(self, form: str, field: str, number: float, tmp_path: Path) -> None:
        row = {"first_name": "Ada", field: number}

        assert LOST_ZEROS in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("field", ["phone_country_code", "phone_number", "key"])
    def test_with_a_fraction_is_bad_in_a_phone_and_a_key(self, form: str, field: str, tmp_path: Path) -> None:
        row = {"first_name": "Ada", "phone_country_code": 48, "phone_number": 600100200, field: 48.0}

        assert "not float" in reason(read(source(form, row, tmp_path)), field)

    def test_that_is_whole_is_fine_in_a_phone_and_a_key(self, form: str, tmp_path: Path) -> None:
        row = {"first_name": "Ada", "phone_country_code": 48, "phone_number": 600100200, "key": 7}

        good = read(source(form, row, tmp_path))

        assert isinstance(good, Row)
        assert (good.key, good.case["phone"]) == ("7", {"countryCode": "48", "number": "600100200"})


class TestZeroPad:
    @pytest.mark.parametrize(
        "value", [2211012345, 2211012345.0, Decimal(2211012345), "2211012345", "2211012345.0", "02211012345"]
    )
    def test_takes_whole_numbers_and_gives_them_their_zeros_back(self, value: Any) -> None:
        row = read([{"personal_number": value}], zero_pad=PADDED)

        assert isinstance(row, Row)
        assert row.case == {"personalNumber": "02211012345"}

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (123456789012, "has 12 digits, and zero_pad says 11"),
            (1.5, LOST_ZEROS),
            (-7, LOST_ZEROS),
            (float("inf"), LOST_ZEROS),
            (1e17, LOST_ZEROS),
            ("4.40514E+10", LOST_DIGITS),
        ],
    )
    def test_leaves_a_row_bad_whose_digits_are_lost(self, value: Any, words: str) -> None:
        assert words in reason(read([{"personal_number": value}], zero_pad=PADDED), "personal_number")

    @pytest.mark.parametrize(
        "zero_pad",
        [11, {"email": 3}, {"personal_number": "11"}, {"personal_number": 0}, {"personal_number": True}],
    )
    def test_is_checked(self, zero_pad: Any) -> None:
        with pytest.raises(InvalidInput, match=r"zero_pad must (be|have) a .*number of digits"):
            require_zero_pad(zero_pad)


@pytest.mark.parametrize(
    "row",
    [
        {"first_name": "Ada", "documents": [{"resource_id": "r\0"}]},
        {"first_name": "Ada", "parameters": {"note": ["x", {"y\0": 1}]}},
        {"phone": {"country_code": "48", "number": "6\0"}},
    ],
)
@pytest.mark.parametrize("form", ["list", "jsonl"])
def test_a_nul_within_an_object_is_bad(form: str, row: dict[str, Any], tmp_path: Path) -> None:
    found = read(source(form, row, tmp_path))

    assert isinstance(found, BadRow)
    assert "NUL" in found.problems[0][1]


@pytest.mark.parametrize("form", ["list", "jsonl"])
def test_a_row_with_nothing_but_an_empty_list_of_documents_is_bad(form: str, tmp_path: Path) -> None:
    assert reason(read(source(form, {"documents": []}, tmp_path)), "").startswith("has neither a case field")


def test_the_error_names_row_column_and_what_to_do() -> None:
    rows = list(read_items([{"first_name": "Ada"}] * 11 + [{"personal_number": 7}]))

    with pytest.raises(InvalidInput) as raised:
        raise_for([row for row in rows if isinstance(row, BadRow)], 1, 12)

    assert str(raised.value).splitlines()[-1] == (
        "row 12, personal_number: is a number, so its leading zeros may be lost; read the column as text, or set "
        "zero_pad={'personal_number': 11}"
    )
