"""Workbooks as Excel has them: the rows of one sheet, each cell as it is shown."""

from __future__ import annotations

import datetime as dt
import gzip
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from airflow_provider_workflows.batch.input.number_formats import shown_number

from .people import HEADER, PEOPLE, good_rows, notes_of, people_in, problems_in, refusal_of

READ = [row[:4] for row in PEOPLE]
NUMBER = (
    "is a number, so its leading zeros may be lost; read the column as text, or set "
    "zero_pad={'personal_number': 11}"
)


def workbook(path: Path, *sheets: tuple[str, list[list[Any]]]) -> Path:
    """Write a workbook, and return its path."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def with_formats(path: Path, header: list[str], *cells: tuple[Any, str]) -> Path:
    """Write a workbook with one row, each cell in a format of its own."""
    book = openpyxl.Workbook()
    book.active.append(header)
    book.active.append([value for value, _ in cells])
    for cell, (_, code) in zip(book.active[2], cells, strict=True):
        cell.number_format = code
    book.save(path)
    return path


def changed(path: Path, name: str, old: str, new: str) -> Path:
    """Change the text of a file within a workbook, as other programs write it."""
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    assert old.encode() in files[name]
    files[name] = files[name].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in files.items():
            archive.writestr(each, content)
    return path


def with_shared_texts(path: Path) -> Path:
    """Write the texts of a workbook into the file that sheets have in common, as Excel does."""
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each).decode() for each in archive.namelist()}
    texts: list[str] = []

    def shared(match: re.Match[str]) -> str:
        texts.append(f'<si>{match[1]}<rPh sb="0" eb="1"><t>read aloud</t></rPh></si>')
        return f't="s"><v>{len(texts) - 1}</v></c>'

    files[SHEET] = re.sub(r't="inlineStr"><is>(.*?)</is></c>', shared, files[SHEET])
    files["xl/sharedStrings.xml"] = (
        f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{"".join(texts)}</sst>'
    )
    relation = (
        '<Relationship Id="rId99" Target="sharedStrings.xml" Type="http://schemas.openxmlformats.org/officeDocument/'
        '2006/relationships/sharedStrings"/></Relationships>'
    )
    name = "xl/_rels/workbook.xml.rels"
    if "sharedStrings" not in files[name]:
        files[name] = files[name].replace("</Relationships>", relation)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, content in files.items():
            archive.writestr(each, content)
    return path


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize("name", ["people.xlsx", "people.XLSX", "people.csv", "people"])
def test_a_sheet_of_texts_is_read_whatever_the_name(name: str, tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [HEADER, *PEOPLE])).rename(tmp_path / name)

    assert people_in(path) == READ


def test_a_compressed_one_is_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [HEADER, *PEOPLE]))
    (tmp_path / "people.xlsx.gz").write_bytes(gzip.compress(path.read_bytes()))

    assert people_in(tmp_path / "people.xlsx.gz") == READ


def test_the_index_of_a_data_frame_is_left_out_with_a_word(tmp_path: Path) -> None:
    rows = [[None, "key", "first_name"], [0, "00001", "Łucja"], [1, "00002", "Józef"]]
    path = workbook(tmp_path / "frame.xlsx", ("Sheet1", rows))

    assert [(row.key, row.case) for row in good_rows(path)] == [
        ("00001", {"firstName": "Łucja"}),
        ("00002", {"firstName": "Józef"}),
    ]
    (note,) = notes_of(path)
    assert note == "items: the first column has no name, so it is taken for an index, and is not read"


def test_a_number_in_the_column_of_an_identifier_is_a_bad_row_however_it_is_shown(tmp_path: Path) -> None:
    path = with_formats(
        tmp_path / "people.xlsx",
        ["key", "first_name", "personal_number"],
        (1, "00000"),
        ("Ewa", "@"),
        (8211402156, "00000000000"),
    )

    assert problems_in(path) == [(1, "personal_number", NUMBER)]
    (row,) = good_rows(path, zero_pad={"personal_number": 11})
    assert (row.key, row.case["personalNumber"]) == ("00001", "08211402156")


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (7, "General", "7"),
        (440514013591, "General", "440514013591"),
        (12.5, "General", "12.5"),
        (0.1 + 0.2, "General", "0.3"),
        (7, "00000", "00007"),
        (600700801, "000-000-000", "600-700-801"),
        (600700801, '"+48" 000 000 000', "+48 600 700 801"),
        (1234.5, "#,##0.00", "1,234.50"),
        (-1234.5, "#,##0.00;(#,##0.00)", "(1,234.50)"),
        (0.25, "0%", "25%"),
        (1234, "#,##0 [$EUR-415]", "1,234 EUR"),
        (3, "[Red]0", "3"),
        (dt.date(2026, 1, 31), "yyyy-mm-dd", "2026-01-31"),
        (dt.date(2026, 1, 31), "dd.mm.yyyy", "31.01.2026"),
        (dt.date(2026, 1, 31), "d/m/yy", "31/1/26"),
        (dt.date(2026, 1, 31), "mm-dd-yy", "2026-01-31"),
        (dt.date(2026, 1, 31), "[$-415]d mmmm yyyy", "2026-01-31"),
        (dt.datetime.combine(dt.date(2026, 1, 31), dt.time(18, 5)), "yyyy-mm-dd hh:mm", "2026-01-31 18:05"),
        (dt.datetime.combine(dt.date(2026, 1, 31), dt.time(18, 5)), "h:mm AM/PM", "6:05 PM"),
        (True, "General", "TRUE"),
    ],
)
def test_another_cell_is_text_as_it_is_shown(value: Any, code: str, shown: str, tmp_path: Path) -> None:
    path = with_formats(tmp_path / "firms.xlsx", ["company_name", "key"], (value, code), ("k", "@"))

    (row,) = good_rows(path)

    assert row.case == {"companyName": shown}


@pytest.mark.parametrize(
    ("days", "begins_1904", "shown"),
    [(1, False, "1900-01-01"), (59, False, "1900-02-28"), (61, False, "1900-03-01"), (0, True, "1904-01-01")],
)
def test_days_are_counted_as_a_spreadsheet_does(days: int, begins_1904: bool, shown: str) -> None:
    assert shown_number(days, "yyyy-mm-dd", begins_1904=begins_1904) == shown


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (dt.timedelta(hours=30, minutes=14, seconds=59), "[h]:mm", "30:14"),
        (dt.timedelta(hours=30, minutes=14, seconds=59), "[hh]:mm:ss", "30:14:59"),
        (dt.timedelta(minutes=90, seconds=5), "[mm]:ss", "90:05"),
        (dt.timedelta(seconds=90), "[ss]", "90"),
        (dt.timedelta(seconds=90, milliseconds=250), "[s].00", "90.25"),
        (dt.timedelta(hours=7), '[h] "h"', "7 h"),
        (dt.timedelta(hours=-12), "[h]:mm", "-0.5"),
        (1_234_567, "0.0,", "1234.6"),
        (1_234_567, '0.00,,"M"', "1.23M"),
        (1_234_567, "#,##0,", "1,235"),
        (1_234_567, "0.0", "1234567.0"),
    ],
)
def test_elapsed_time_and_thousands_are_text_as_they_are_shown(value: Any, code: str, shown: str) -> None:
    days = value / dt.timedelta(days=1) if isinstance(value, dt.timedelta) else value

    assert shown_number(days, code) == shown


def test_an_error_of_a_spreadsheet_is_a_bad_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["#N/A"]]))

    ((row, column, reason),) = problems_in(path)

    assert (row, column) == (1, "first_name")
    assert "stands for an empty cell or an error" in reason


@pytest.mark.parametrize("word", ["#N/A", "#CALC!", "#GETTING_DATA", "#ERROR_OF_NEXT_YEAR!"])
def test_a_cell_of_the_type_of_errors_is_a_bad_row_whatever_its_word(word: str, tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["#N/A"]]))
    changed(path, SHEET, "<v>#N/A</v>", f"<v>{word}</v>")

    ((row, column, reason),) = problems_in(path)

    assert (row, column) == (1, "first_name")
    assert "stands for an empty cell or an error" in reason


@pytest.mark.parametrize("code", ["General", "000-000-000", "00000000000"])
def test_a_number_in_the_column_of_a_phone_is_a_bad_row(code: str, tmp_path: Path) -> None:
    path = with_formats(tmp_path / "people.xlsx", ["first_name", "phone"], ("Ewa", "@"), (669821234, code))

    ((row, column, reason),) = problems_in(path, default_country_code="39")

    assert (row, column) == (1, "phone")
    assert "is a number, so a + or zeros in front may be lost" in reason


@pytest.mark.parametrize("column", ["key", "personal_number", "company_number", "phone", "phone_number"])
def test_a_bool_where_none_can_be_is_a_bad_row_as_in_json(column: str, tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name", column], ["Ewa", True]]))

    assert {(row, name) for row, name, _ in problems_in(path, default_country_code="48")} == {(1, column)}


def test_a_number_that_is_shown_with_a_plus_is_a_phone(tmp_path: Path) -> None:
    path = with_formats(
        tmp_path / "people.xlsx",
        ["first_name", "phone"],
        ("Ewa", "@"),
        (48600700801, '"+"0'),
    )

    (row,) = good_rows(path)

    assert row.case["phone"] == {"countryCode": "48", "number": "600700801"}


def test_an_error_among_many_rows_of_text_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "firms.csv"
    names = [f"Firma #{number}" for number in range(20)]
    path.write_text(
        "\n".join(["company_name,key", *(f"{name},k{name[-2:]}" for name in names), "#Calc!,k"]), "utf-8"
    )

    assert [(row, column) for row, column, _ in problems_in(path, columns={"key": None})] == [
        (21, "company_name")
    ]


def test_a_formula_without_a_value_is_a_bad_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["=UPPER(A1)"]]))

    ((_, column, reason),) = problems_in(path)

    assert column == "first_name"
    assert "is a formula whose value is not in the file" in reason


def test_a_formula_with_a_value_is_that_value(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["=UPPER(A1)"]]))
    changed(
        path, SHEET, '<c r="A2"><f>UPPER(A1)</f><v /></c>', '<c r="A2" t="str"><f>UPPER(A1)</f><v>EWA</v></c>'
    )

    assert [row.case for row in good_rows(path)] == [{"firstName": "EWA"}]


def test_texts_in_parts_and_without_places_are_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["x"]]))
    new = '<c t="inlineStr"><is><r><t>E</t></r><r><t>wa_x000D_</t></r><rPh sb="0" eb="1"><t>no</t></rPh></is></c>'
    changed(path, SHEET, '<c r="A2" t="inlineStr"><is><t>x</t></is></c>', new)

    assert [row.case for row in good_rows(path)] == [{"firstName": "Ewa"}]


def test_texts_that_sheets_have_in_common_are_read(tmp_path: Path) -> None:
    path = with_shared_texts(workbook(tmp_path / "people.xlsx", ("People", [HEADER, *PEOPLE])))

    assert people_in(path) == READ


@pytest.mark.thorough
def test_many_texts_in_common_are_kept_on_disk(tmp_path: Path) -> None:
    rows = [
        ["key", "first_name"],
        *([f"k{number}", f"Brunhilde {'x' * 999} {number}"] for number in range(9000)),
    ]
    path = with_shared_texts(workbook(tmp_path / "people.xlsx", ("People", rows)))

    found = good_rows(path)

    assert [[row.key, row.case["firstName"]] for row in found] == rows[1:]


def test_the_only_sheet_with_rows_is_taken(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("Sheet1", []), ("People", [HEADER, *PEOPLE]), ("Sheet3", []))

    assert people_in(path) == READ


def test_a_sheet_is_found_by_its_name_in_any_case(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("Notes", [["a"]]), ("People", [HEADER, *PEOPLE]))

    assert people_in(path, sheet="people") == READ


def test_one_of_several_sheets_must_be_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("Notes", [["a"]]), ("People", [HEADER, *PEOPLE]))

    assert "2 sheets with rows: name one with sheet=...; it has 'Notes', 'People'" in refusal_of(path)


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [HEADER, *PEOPLE]))

    assert "has no sheet 'Persons'; it has 'People'" in refusal_of(path, sheet="Persons")


def test_rows_are_named_as_the_spreadsheet_numbers_them(tmp_path: Path) -> None:
    rows = [[], ["first_name", "email"], ["Ewa", "e@x.pl"], [], ["Jan", "j@x.pl"], [None, " "], [""]]
    path = workbook(tmp_path / "people.xlsx", ("People", rows))

    assert [(row.number, row.line) for row in good_rows(path)] == [(1, 3), (2, 5)]
    assert notes_of(path) == ["items: 1 empty row at the end of the table left out"]


def test_a_value_beside_the_table_is_a_bad_row(tmp_path: Path) -> None:
    rows = [["first_name", "email"], ["Ewa", "e@x.pl", None, "note"], ["Jan", "j@x.pl"]]
    path = workbook(tmp_path / "people.xlsx", ("People", rows))

    assert problems_in(path) == [(1, "", "has a value in column D, which has no name")]


def test_rows_that_a_filter_does_not_show_are_read_with_a_word(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["first_name"], ["Ewa"], ["Jan"]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.save(tmp_path / "people.xlsx")

    assert len(good_rows(tmp_path / "people.xlsx")) == 2
    assert notes_of(tmp_path / "people.xlsx") == [
        "items: 1 row that the sheet does not show, such as by a filter, was read like the others"
    ]


def test_without_a_header_it_shows_nobody(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", PEOPLE))

    assert "is its first line a header?" in refusal_of(path)


@pytest.mark.parametrize("rows", [[], [HEADER]])
def test_without_rows_it_is_refused(rows: list[list[Any]], tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", rows))

    assert "items has no rows" in refusal_of(
        path, columns=dict.fromkeys(HEADER[1:], None) | {HEADER[0]: "key"}
    )


def test_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [HEADER, *PEOPLE]))
    path.write_bytes(path.read_bytes()[:-200])

    assert "it may be cut or damaged" in refusal_of(path)


def test_that_is_damaged_within_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["Ewa"]]))
    changed(path, SHEET, "</sheetData>", "</sheetdata>")

    assert "not a whole Excel file" in refusal_of(path)


def test_with_entities_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["Ewa"]]))
    changed(path, SHEET, "<worksheet", '<!DOCTYPE x [<!ENTITY a "b">]><worksheet')

    assert "defines entities" in refusal_of(path)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_text_longer_than_a_cell_may_be_is_a_bad_row(is_shared: bool, tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name", "email"], ["_x000D_", "e@x.pl"]]))
    # Of another program: Excel has at most 32,767 characters in a cell.
    changed(path, SHEET, "_x000D_", "_x000D_" * 20_000)
    if is_shared:
        with_shared_texts(path)

    assert problems_in(path) == [(1, "first_name", "has more than 100,000 characters")]


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_row_longer_than_a_row_may_be_is_a_bad_row(is_shared: bool, tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["Ewa"]]))
    cells = "".join(
        f'<c r="{letter}2" t="inlineStr"><is><t>{"x" * 99_999}</t></is></c>' for letter in "ABCDEFGHIJK"
    )
    changed(path, SHEET, '<c r="A2" t="inlineStr"><is><t>Ewa</t></is></c>', cells)
    if is_shared:
        with_shared_texts(path)

    assert problems_in(path) == [(1, "", "has more than 1,000,000 characters")]


def test_with_more_columns_than_a_spreadsheet_has_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["Ewa"]]))
    changed(path, SHEET, '<c r="A2"', f"{'<c/>' * 16_384}<c")

    assert "no spreadsheet program has written: it has more than 16,384 columns" in refusal_of(path)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("xl/styles.xml", "<fonts", f"{' ' * (17 << 20)}<fonts", "too many styles or sheets"),
        (SHEET, '<c r="A2"', f'<c r="A2" x="{"x" * (3 << 20)}"', "a tag is too long"),
        (SHEET, '<c r="A2"', f'{"<x>" * 200}<c r="A2"', "its tags are too deep"),
    ],
)
def test_that_would_fill_the_memory_is_refused(
    file: str, old: str, new: str, words: str, tmp_path: Path
) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name"], ["Ewa"]]))
    changed(path, file, old, new)

    assert words in refusal_of(path)


@pytest.mark.thorough
def test_memory_does_not_grow_with_a_text_of_a_workbook(tmp_path: Path) -> None:
    path = workbook(tmp_path / "people.xlsx", ("People", [["first_name", "email"], ["Ewa", "e@x.pl"]]))
    changed(with_shared_texts(path), "xl/sharedStrings.xml", "<t>Ewa<", f"<t>{'x' * 50_000_000}<")
    tracemalloc.start()

    problems = problems_in(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems == [(1, "first_name", "has more than 100,000 characters")]
    assert peak < 8_000_000


@pytest.mark.thorough
def test_memory_does_not_grow_with_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("People")
    sheet.append(["key", "first_name"])
    for number in range(30_000):
        sheet.append([f"k{number}", f"Brunhilde {number}"])
    book.save(tmp_path / "people.xlsx")
    tracemalloc.start()

    rows = sum(1 for _ in good_rows_of(tmp_path / "people.xlsx"))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 30_000
    assert peak < 14_000_000


def good_rows_of(path: Path) -> Any:
    """Return an iterator over the rows of a file, of which none is kept."""
    from airflow_provider_workflows.batch.input.items import read_items  # noqa: PLC0415

    return read_items(str(path))
