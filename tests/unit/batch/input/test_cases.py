"""Files as colleagues have sent them, written byte by byte as their programs do, and what each must give."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from .people import COLUMNS, PEOPLE, good_rows, notes_of, problems_in, refusal_of, table

NUMBERS = [number for _, _, _, number, _ in PEOPLE]
KEYS = [key for key, *_ in PEOPLE]
NAMES = [name for _, name, *_ in PEOPLE]
POLISH: dict[str, Any] = {"columns": {**COLUMNS, "Telefon": "phone"}, "default_country_code": "48"}
PHONES = [{"countryCode": "48", "number": f"60070080{number}"} for number in range(1, 5)]
PLAIN = "key,first_name,personal_number\n" + "".join(map("{},{},{}\n".format, KEYS, NAMES, NUMBERS))
WITH_INDEX = "".join(
    f"{index},{line}\n" for index, line in zip(["", *range(5)], PLAIN.splitlines(), strict=True)
)

#: Each of them has the five people.
FILES: dict[str, tuple[Callable[[], bytes], dict[str, Any]]] = {
    "excel_pl.csv": (lambda: table().encode("utf-8-sig"), POLISH),
    "cp1250.csv": (lambda: table().encode("cp1250"), {**POLISH, "encoding": "cp1250"}),
    "sep_line.csv": (lambda: f"sep=;\r\n{table()}".encode("utf-8-sig"), POLISH),
    "unicode_text.txt": (lambda: table("\t").encode("utf-16"), POLISH),
    "people.tsv": (lambda: table("\t", "\n").encode(), POLISH),
    "people.csv.gz": (lambda: gzip.compress(PLAIN.encode()), {}),
    "gzip_named_csv.csv": (lambda: gzip.compress(PLAIN.encode()), {}),
    "pandas_index.csv": (WITH_INDEX.encode, {}),
    "array.json": (lambda: json.dumps(as_dicts(), indent=1, ensure_ascii=False).encode(), {}),
}


def as_dicts() -> list[dict[str, str]]:
    return [
        {"key": key, "first_name": name, "personal_number": number}
        for key, name, number in zip(KEYS, NAMES, NUMBERS, strict=True)
    ]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_five_people_gives_five_rows(name: str, tmp_path: Path) -> None:
    content, options = FILES[name]
    (tmp_path / name).write_bytes(content())

    rows = good_rows(tmp_path / name, **options)

    assert [row.key for row in rows] == KEYS
    assert [row.case["firstName"] for row in rows] == NAMES
    assert [row.case["personalNumber"] for row in rows] == NUMBERS


@pytest.mark.parametrize("name", [name for name, (_, options) in FILES.items() if "columns" in options])
def test_phones_in_one_column_are_taken_apart_and_an_empty_one_is_missing(name: str, tmp_path: Path) -> None:
    content, options = FILES[name]
    (tmp_path / name).write_bytes(content())

    rows = good_rows(tmp_path / name, **options)

    assert [row.case.get("phone") for row in rows] == [*PHONES, None]


def test_the_likely_encoding_is_named_without_the_argument(tmp_path: Path) -> None:
    (tmp_path / "cp1250.csv").write_bytes(table().encode("cp1250"))

    assert 'encoding="cp1250" is likely' in refusal_of(tmp_path / "cp1250.csv", **POLISH)


def test_the_index_is_left_out_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "pandas_index.csv").write_text(WITH_INDEX)

    assert notes_of(tmp_path / "pandas_index.csv") == [
        "items: the first column has no name, so it is taken for an index, and is not read"
    ]


def test_numbers_that_a_spreadsheet_has_broken_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "broken_numbers.csv"
    numbers = ["44051401359.0", "4.40514E+10", '"4,40514E+10"', "8211402156", "08211402156"]
    lines = [f"{key},Ewa,{number}\n" for key, number in enumerate(numbers, 1)]
    path.write_text("key,first_name,personal_number\n" + "".join(lines))

    problems = problems_in(path, checks={"personal_number": "PL-PESEL"})

    assert [(row, column) for row, column, _ in problems] == [(row, "personal_number") for row in range(1, 5)]


def test_integers_for_a_number_are_bad_rows_that_name_zero_pad_and_for_a_key_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "ints.jsonl"
    rows = [
        {**row, "key": int(row["key"]) - 1, "personal_number": int(row["personal_number"])}
        for row in as_dicts()
    ]
    path.write_text("\n".join(map(json.dumps, rows)))

    problems = problems_in(path)

    assert [(row, column) for row, column, _ in problems] == [(row, "personal_number") for row in range(1, 6)]
    assert all("zero_pad={'personal_number': 11}" in reason for _, _, reason in problems)
    assert [row.key for row in good_rows(path, zero_pad={"personal_number": 11})] == ["0", "1", "2", "3", "4"]


def test_values_that_a_program_would_run_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "formula.csv"
    path.write_text(
        'key,company_name\n1,"=HYPERLINK(""http://example.com"",""x"")"\n2,@SUM(A1)\n3,{{ 7 * 7 }}\n'
    )

    assert [row.case["companyName"] for row in good_rows(path)] == [
        '=HYPERLINK("http://example.com","x")',
        "@SUM(A1)",
        "{{ 7 * 7 }}",
    ]


def test_a_folder_of_spark_gives_the_rows_of_its_parts_in_order(tmp_path: Path) -> None:
    rows = as_dicts()
    for part, some in enumerate((rows[:2], rows[2:4], rows[4:])):
        parquet.write_table(pa.Table.from_pylist(some), tmp_path / f"part-{part:05}-5b1f.snappy.parquet")
    (tmp_path / "_SUCCESS").touch()

    assert [row.key for row in good_rows(tmp_path)] == KEYS


def test_numbers_of_a_warehouse_are_keys_but_no_identifiers(tmp_path: Path) -> None:
    path = tmp_path / "warehouse_numbers.parquet"
    columns = {
        "KEY": pa.array(range(1, 6)).cast(pa.decimal128(19, 0)).cast(pa.decimal128(11, 0)),
        "FIRST_NAME": NAMES,
        "PERSONAL_NUMBER": [int(number) for number in NUMBERS],
    }
    parquet.write_table(pa.table(columns), path)

    assert len(problems_in(path)) == 5
    rows = good_rows(path, zero_pad={"personal_number": 11})
    assert [(row.key, row.case["personalNumber"]) for row in rows] == list(zip("12345", NUMBERS, strict=True))
