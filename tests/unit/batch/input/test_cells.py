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
from airflow_provider_workflows.batch.input.bad_rows import BadRows
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.input.zero_pad import require_zero_pad

FORMS = ("list", "jsonl", "csv", "parquet")
PADDED = {"personal_number": 11, "company_number": 10}

LOST_ZEROS = "its leading zeros may be lost; read the column as text, or set zero_pad="
LOST_DIGITS = "a spreadsheet or a data frame has changed, so digits may be lost; read the column as text"
NOT_WHOLE = "is a number that is not whole, or too large to be exact; read the column as text"
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
            writer.writerow(
                {
                    name: value if isinstance(value, (str, int, float)) else json.dumps(value)
                    for name, value in row.items()
                }
            )
    else:
        parquet.write_table(pa.Table.from_pylist([row]), path)
    return path


def read(items: Any, **arguments: Any) -> Row | BadRow:
    (row,) = read_items(items, InputOptions(**arguments))
    return row


def reason(row: Row | BadRow, column: str) -> str:
    assert isinstance(row, BadRow), "the row would be sent"
    return dict(row.problems)[column]


@pytest.mark.parametrize("form", FORMS)
class TestTextOfATable:
    @pytest.mark.costly(40)
    @pytest.mark.parametrize("field", ["personal_number", "company_number", "phone_number", "key"])
    @pytest.mark.parametrize(
        "text",
        [
            *("44051401359.0", "44051401359.", "44051401359,00", "7,0", " 44051401359.0 "),
            *("4.4051401359E+10", "4,4051E+10", "4.4051E10", "4.4e+10", "1E+10"),
        ],
    )
    def test_of_a_number_that_was_changed_is_bad(
        self, form: str, field: str, text: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "phone_country_code": "48", "phone_number": "600100200", field: text}

        assert LOST_DIGITS in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.costly(60)
    @pytest.mark.parametrize("field", ["first_name", "last_name", "email", "personal_number", "key"])
    @pytest.mark.parametrize(
        "text",
        [
            *("#N/A", "#N/D!", "#NV", "nan", "NaN", "NULL", "null", "(null)", "<NA>", "N/A", "\\N", " NULL "),
            *(
                "#CALC!",
                "#GETTING_DATA",
                "#Python!",
                "#n/v",
                "#ÉRTÉK!",
                "#ERTEK!",
                "#DZIEL/0!",
                "Err:502",
                "Błąd:508",
                "Fehler:522",
            ),
        ],
    )
    def test_that_stands_for_nothing_is_bad(self, form: str, field: str, text: str, tmp_path: Path) -> None:
        row = {"company_name": "Acme", field: text}

        assert STANDS_FOR_NOTHING in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.costly(40)
    @pytest.mark.parametrize("field", ["personal_number", "company_number", "phone_number", "email"])
    @pytest.mark.parametrize("text", ["None", "none", "Null", "NONE", "NA", "Nan", "nil", "undefined"])
    def test_that_stands_for_nothing_is_bad_in_any_case_where_no_name_can_stand(
        self, form: str, field: str, text: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "phone_country_code": "48", "phone_number": "600100200", field: text}

        assert STANDS_FOR_NOTHING in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("field", ["first_name", "company_name", "company_address"])
    @pytest.mark.parametrize(
        "text", ["---", "----------", " ---- ", "====", "___", "##", "########", "\N{EN DASH}" * 3]
    )
    def test_of_a_line_alone_is_nobodys_name(self, form: str, field: str, text: str, tmp_path: Path) -> None:
        row = {"last_name": "Nowak", field: text}

        assert STANDS_FOR_NOTHING in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("field", ["first_name", "company_address", "key", "personal_number", "email"])
    @pytest.mark.parametrize("text", ["\ufffducja", "Rog\ufffd", "a\ufffdb@c.pl"])
    def test_with_a_letter_that_was_lost_is_bad(
        self, form: str, field: str, text: str, tmp_path: Path
    ) -> None:
        row = {"last_name": "Nowak", field: text}

        assert "was lost" in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("field", ["personal_number", "company_number"])
    @pytest.mark.parametrize(
        "text", ["44051401359-", "-44051401359", "+44051401359", "44051401359 -", "\u22127"]
    )
    def test_of_an_identifier_with_a_sign_is_bad(
        self, form: str, field: str, text: str, tmp_path: Path
    ) -> None:
        row = {"last_name": "Nowak", field: text}

        assert "has a + or - before or behind its digits" in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("text", ["\\\\N", "(No value)", "(blank)", "(Leer)", "n/d", "B/D"])
    def test_that_a_report_or_a_warehouse_writes_for_no_value_is_bad(
        self, form: str, text: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "last_name": text}

        assert STANDS_FOR_NOTHING in reason(read(source(form, row, tmp_path)), "last_name")

    @pytest.mark.parametrize("text", ["-Anna", "Kowalska-", "=Bank=", "_x", "--", "-", "."])
    def test_with_a_line_and_more_is_a_name(self, form: str, text: str, tmp_path: Path) -> None:
        row = read(source(form, {"company_name": text}, tmp_path))

        assert isinstance(row, Row)
        assert row.case == {"companyName": text}

    @pytest.mark.parametrize("field", ["personal_number", "company_number", "phone_number"])
    @pytest.mark.parametrize("text", ["-", "--", "?", "###"])
    def test_of_marks_alone_stands_for_nothing_in_a_number(
        self, form: str, field: str, text: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "phone_country_code": "48", "phone_number": "600100200", field: text}

        assert STANDS_FOR_NOTHING in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\u200b \u2060", "\u00ad", "\x1a"])
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
            ("key", "'0001", "has an apostrophe beside its digits"),
            ("personal_number", '="08211402156"', "or a quote: a spreadsheet has put it there"),
            ("phone_country_code", '="48"', "or a quote: a spreadsheet has put it there"),
            ("personal_number", "4405\n1401359", "has blanks between its digits"),
            ("personal_number", "44,051,401,359", "has commas between its digits"),
            ("personal_number", "\u202a44051401359\u202c", "holds a character that does not show"),
            ("phone_number", "600100200\u200b", "holds a character that does not show"),
        ],
    )
    def test_of_digits_with_other_marks_is_bad(
        self, form: str, field: str, text: str, words: str, tmp_path: Path
    ) -> None:
        row = {"first_name": "Ada", "phone_country_code": "48", "phone_number": "600100200", field: text}

        assert words in reason(read(source(form, row, tmp_path)), field)

    @pytest.mark.costly(40)
    @pytest.mark.parametrize(
        ("field", "text"),
        [
            ("last_name", "Null"),
            ("last_name", "O'Brien"),
            ("last_name", "Na"),
            ("last_name", "None"),
            ("last_name", "NAN"),
            ("company_name", "#value"),
            ("company_address", "#5, Baker Street 1"),
            ("first_name", "-"),
            ("company_name", "4.0"),
            ("company_name", "1E+10"),
            ("company_address", "Nowa 12"),
            ("personal_number", "02211012345"),
            ("personal_number", "850730/1234"),
            ("personal_number", "12.345.678"),
            ("company_number", "0000123456"),
            ("company_number", "DE 123"),
            ("company_number", "12.345.678/0001-95"),
            ("company_number", "526-025-02-74"),
            ("key", "row 12"),
            ("key", "12e10"),
            ("key", "1.5"),
            ("key", "O'Brien"),
            ("key", "NA"),
            ("key", "-"),
            ("first_name", "Ada\u00a0Maria"),
        ],
    )
    def test_of_a_person_is_good(self, form: str, field: str, text: str, tmp_path: Path) -> None:
        row = {"email": "ada@example.com", field: text}

        assert isinstance(read(source(form, row, tmp_path)), Row)

    @pytest.mark.parametrize(
        "number", ["600 100 200", "600-100-200", "(22) 600 10 02", "600\u00a0100\u00a0200"]
    )
    def test_of_a_phone_may_have_the_blanks_that_people_write(
        self, form: str, number: str, tmp_path: Path
    ) -> None:
        row = {"phone_country_code": "+48", "phone_number": number}

        good = read(source(form, row, tmp_path))

        assert isinstance(good, Row)
        assert good.case == {"phone": {"countryCode": "48", "number": number}}

    @pytest.mark.parametrize("text", ["\u00a0", " \t", "\u3000"])
    def test_of_blanks_alone_is_empty(self, form: str, text: str, tmp_path: Path) -> None:
        good = read(source(form, {"first_name": "Ada", "personal_number": text}, tmp_path))

        assert isinstance(good, Row)
        assert good.case == {"firstName": "Ada"}

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
        "value",
        [
            2211012345,
            2211012345.0,
            "2211012345",
            "2211012345.0",
            "2211012345,00",
            " 2211012345 ",
            "02211012345",
        ],
    )
    @pytest.mark.parametrize("form", FORMS)
    def test_takes_whole_numbers_and_gives_them_their_zeros_back(
        self, form: str, value: Any, tmp_path: Path
    ) -> None:
        row = read(source(form, {"personal_number": value}, tmp_path), zero_pad=PADDED)

        assert isinstance(row, Row)
        assert row.case == {"personalNumber": "02211012345"}

    @pytest.mark.parametrize("form", ["list", "parquet"])
    def test_takes_whole_decimals_of_a_database(self, form: str, tmp_path: Path) -> None:
        row = read(source(form, {"company_number": Decimal(123456)}, tmp_path), zero_pad=PADDED)

        assert isinstance(row, Row)
        assert row.case == {"companyNumber": "0000123456"}

    @pytest.mark.parametrize("text", ["DE 123", "526-025-02-74", "12A"])
    def test_leaves_text_with_letters_or_marks_as_it_is(self, text: str) -> None:
        row = read([{"company_number": text}], zero_pad=PADDED)

        assert isinstance(row, Row)
        assert row.case == {"companyNumber": text}

    def test_concerns_the_fields_that_it_names_alone(self) -> None:
        row = read([{"company_number": 7, "personal_number": 7}], zero_pad={"personal_number": 11})

        assert list(dict(row.problems)) == ["company_number"] if isinstance(row, BadRow) else False

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (123456789012, "has 12 digits, and zero_pad says 11"),
            ("123456789012.0", "has 12 digits, and zero_pad says 11"),
            (10**5000, "has more than 50 digits"),
            (Decimal("1E+999999999"), "has more than 50 digits"),
            (1.5, NOT_WHOLE),
            (-7, NOT_WHOLE),
            (float("inf"), NOT_WHOLE),
            (1e17, NOT_WHOLE),
            (Decimal("1.5"), NOT_WHOLE),
            (True, "must be text, not bool"),
            ("4.40514E+10", LOST_DIGITS),
            ("NULL", STANDS_FOR_NOTHING),
            ("44 051", "has blanks between its digits"),
        ],
        ids=lambda value: str(value)[:20] if type(value) is not int or value < 10**20 else "10**5000",
    )
    def test_leaves_a_row_bad_whose_digits_are_lost(self, value: Any, words: str) -> None:
        assert words in reason(read([{"personal_number": value}], zero_pad=PADDED), "personal_number")

    @pytest.mark.parametrize(
        "zero_pad",
        [
            *(11, "11", {"email": 3}, {"key": 3}, {"personal_number": "11"}, {"personal_number": True}),
            *(
                {"personal_number": 0},
                {"personal_number": -1},
                {"company_number": 51},
                {"personal_number": 11.0},
            ),
        ],
    )
    def test_is_checked(self, zero_pad: Any) -> None:
        with pytest.raises(InvalidInput, match=r"zero_pad must (be|have) a .*number of digits"):
            require_zero_pad(zero_pad)


@pytest.mark.parametrize(
    "row",
    [
        {"first_name": "Ada", "documents": [{"resource_id": "r\0"}]},
        {"first_name": "Ada", "parameters": {"note": ["x", "y\0"]}},
        {"phone": {"country_code": "48", "number": "6\0"}},
    ],
    ids=["documents", "parameters", "phone"],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_nul_within_an_object_is_bad(form: str, row: dict[str, Any], tmp_path: Path) -> None:
    found = read(source(form, row, tmp_path))

    assert isinstance(found, BadRow)
    assert "NUL" in found.problems[0][1]


@pytest.mark.parametrize(
    ("phone", "words"),
    [
        ({"country_code": "48.0", "number": "600100200"}, "country_code is a number that a spreadsheet or"),
        ({"countryCode": "48", "number": "6.001E+8"}, "number is a number that a spreadsheet or"),
        ({"country_code": "48", "number": "#N/A"}, "number is text that stands for"),
        ({"country_code": "48", "number": "'600100200"}, "number has an apostrophe beside"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_part_of_a_phone_that_is_an_object_is_checked_too(
    form: str, phone: dict[str, str], words: str, tmp_path: Path
) -> None:
    assert words in reason(read(source(form, {"phone": phone}, tmp_path)), "phone")


@pytest.mark.parametrize("text", ["#N/A", "\u200b"])
@pytest.mark.parametrize("form", FORMS)
def test_a_document_that_stands_for_nothing_is_bad(form: str, text: str, tmp_path: Path) -> None:
    row = {"first_name": "Ada", "documents": [{"resource_id": "r"}, {"resource_id": text}]}

    assert reason(read(source(form, row, tmp_path)), "documents").startswith("item 2 ")


@pytest.mark.parametrize("form", FORMS)
def test_parameters_may_say_what_they_like(form: str, tmp_path: Path) -> None:
    row = {"first_name": "Ada", "parameters": {"note": "#N/A", "limit": "4.0", "empty": "\u200b"}}

    good = read(source(form, row, tmp_path))

    assert isinstance(good, Row)
    assert good.parameters == row["parameters"]


@pytest.mark.parametrize("documents", [[], [{}], [{"resource_id": None}]], ids=str)
@pytest.mark.parametrize("form", ["list", "jsonl", "csv"])
def test_a_row_with_nothing_but_documents_without_a_word_is_bad(
    form: str, documents: list[Any], tmp_path: Path
) -> None:
    row = {"documents": documents, "key": "K1", "parameters": {"a": 1}}

    assert reason(read(source(form, row, tmp_path)), "").startswith("has no field of a case or a record")


def test_a_row_of_parquet_with_nothing_but_an_empty_list_of_documents_is_bad(tmp_path: Path) -> None:
    schema = pa.schema(
        [("documents", pa.list_(pa.struct([("resource_id", pa.string())]))), ("key", pa.string())]
    )
    path = str(tmp_path / "rows.parquet")
    parquet.write_table(pa.Table.from_pylist([{"documents": [], "key": "K1"}], schema), path)

    assert reason(read(path), "").startswith("has no field of a case or a record")


@pytest.mark.parametrize("text", ["null", '{"country_code": null, "number": ""}'])
def test_a_row_of_csv_with_nothing_but_an_empty_phone_is_bad(text: str, tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["phone", "key"], [text, "K1"]])

    assert reason(read(str(tmp_path / "rows.csv")), "").startswith("has no field of a case or a record")


@pytest.mark.parametrize("form", ["list", "jsonl", "csv"])
def test_a_returning_user_may_have_an_empty_list_of_documents(form: str, tmp_path: Path) -> None:
    row = {"case_id": "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c", "documents": []}

    assert isinstance(read(source(form, row, tmp_path)), Row)


@pytest.mark.parametrize(
    "lines", ["first_name\r\nAda\r\n", "first_name,last_name\r\nAda,King\r\n"], ids=["alone", "of two"]
)
def test_the_mark_of_an_end_that_dos_put_behind_a_csv_is_a_bad_row(lines: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(f"{lines}\x1a".encode())

    assert [type(row) for row in read_items(str(path))] == [Row, BadRow]


class TestTablesAsPeopleHaveThem:
    def test_numbers_that_a_spreadsheet_and_a_data_frame_have_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "broken_numbers.csv"
        path.write_text(
            "key,first_name,personal_number\n"
            '1,Ewa,44051401359.0\n2,Jan,4.4051401359E+10\n3,Zoë,"4,40514E+10"\n'
            "4,Ala,8211402156\n5,Ola,08211402156\n"
        )

        assert [type(row) for row in read_items(str(path))] == [BadRow, BadRow, BadRow, Row, Row]
        assert [
            row.case["personalNumber"]
            for row in read_items(str(path), InputOptions(zero_pad=PADDED))
            if isinstance(row, Row)
        ] == [
            "44051401359",
            "08211402156",
            "08211402156",
        ]

    def test_integers_of_json_for_keys_and_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "ints.jsonl"
        numbers = (8211402156, 2250100101, 44051401359)
        path.write_text(
            "".join(f'{{"key": {key}, "personal_number": {number}}}\n' for key, number in enumerate(numbers))
        )

        bad = list(read_items(str(path)))
        padded = list(read_items(str(path), InputOptions(zero_pad=PADDED)))

        assert [list(dict(row.problems)) for row in bad if isinstance(row, BadRow)] == [
            ["personal_number"]
        ] * 3
        assert [(row.key, row.case["personalNumber"]) for row in padded if isinstance(row, Row)] == [
            ("0", "08211402156"),
            ("1", "02250100101"),
            ("2", "44051401359"),
        ]

    def test_a_nul_behind_a_name(self, tmp_path: Path) -> None:
        path = tmp_path / "nul.csv"
        path.write_bytes(b"key,first_name\n1,Ewa\0\n2,Jan\n")

        assert [type(row) for row in read_items(str(path))] == [BadRow, Row]


def test_the_error_names_row_column_and_what_to_do() -> None:
    rows = list(read_items([{"first_name": "Ada"}] * 11 + [{"personal_number": 7}]))

    bad = BadRows()
    bad.add(next(row for row in rows if isinstance(row, BadRow)))

    with pytest.raises(InvalidInput) as raised:
        bad.require_none(12)

    assert str(raised.value).splitlines()[-1] == (
        "row 12: personal_number: is a number, so its leading zeros may be lost; read the column as text, or set "
        "zero_pad={'personal_number': 11}"
    )
