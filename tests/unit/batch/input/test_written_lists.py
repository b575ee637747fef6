"""The output of one batch as the items of the next: its keys are those that the rows had."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import openpyxl
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_DELIMITERS, OutputOptions
from airflow_provider_workflows.batch.output_row import COLUMNS, FURTHER_COLUMNS, OutputRow, columns_of_output
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.batch.unknown_rows import write

from .people import good_rows

#: With formulas, with apostrophes of their own, and with both.
KEYS = (
    "=1+1",
    "'=1+1",
    "''=1+1",
    "+48",
    "-7",
    "@x",
    "\N{FULLWIDTH EQUALS SIGN}1",
    "O'Neil",
    "'n",
    "=a;b",
    "c",
)
CASE_ID = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"


def all_but_key_and_case(columns: Iterable[str]) -> dict[str, None]:
    return {name: None for name in columns if name not in ("key", "case_id")}


def output_row(number: int, key: str) -> OutputRow:
    return OutputRow(key, number, "failed", None, CASE_ID, None, None, None, None, "x", "=y")


def output(folder: Path, options: OutputOptions) -> Path:
    with writer(ObjectStoragePath(str(folder)), options) as writing:
        for number, key in enumerate(KEYS, 1):
            writing.write(output_row(number, key))
    return Path(options.path_in(ObjectStoragePath(str(folder))).path)


def as_it_is(path: Path) -> Path:
    return path


def saved_by_a_spreadsheet(path: Path) -> Path:
    text = path.read_text("utf-8-sig")
    saved = io.StringIO(newline="")
    csv.writer(saved, delimiter=",", quoting=csv.QUOTE_ALL).writerows(
        csv.reader(text.splitlines(), delimiter=";")
    )
    path.write_text(saved.getvalue(), "utf-8", newline="")
    return path


def saved_as_a_workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    for cells in csv.reader(path.read_text("utf-8-sig").splitlines(), delimiter=";"):
        book.active.append(cells)
    book.save(path.with_suffix(".xlsx"))
    return path.with_suffix(".xlsx")


@pytest.mark.parametrize("saved", [as_it_is, saved_by_a_spreadsheet, saved_as_a_workbook])
@pytest.mark.parametrize("further", [(), ("record_id",), FURTHER_COLUMNS])
def test_keys_of_an_output_are_those_of_the_rows(
    tmp_path: Path, saved: Callable[[Path], Path], further: tuple[str, ...]
) -> None:
    path = saved(output(tmp_path, OutputOptions("csv", further_columns=further)))

    rows = good_rows(path, columns=all_but_key_and_case(columns_of_output(further)))

    assert [(row.key, row.case_id) for row in rows] == [(key, CASE_ID) for key in KEYS]


@pytest.mark.parametrize("delimiter", OUTPUT_DELIMITERS)
def test_keys_are_the_same_as_read_output_gives(tmp_path: Path, delimiter: str) -> None:
    path = output(tmp_path, OutputOptions("csv", delimiter))

    rows = good_rows(path, columns=all_but_key_and_case(COLUMNS))

    assert [row.key for row in rows] == [row["key"] for row in read_output(path)] == [*KEYS]


def test_keys_of_the_list_of_unknown_rows_are_those_of_the_rows(tmp_path: Path) -> None:
    rows = [output_row(number, key) for number, key in enumerate(KEYS, 1)]
    write(ObjectStoragePath(str(tmp_path)), rows, OutputOptions())

    found = good_rows(tmp_path / "unknown.csv", columns=all_but_key_and_case(["row", "time", "record_id"]))

    assert [row.key for row in found] == [*KEYS]


@pytest.mark.parametrize("format_", ["jsonl", "parquet"])
def test_an_output_that_no_spreadsheet_opens_has_no_apostrophes_to_take_away(
    tmp_path: Path, format_: str
) -> None:
    path = output(tmp_path, OutputOptions(format_))

    rows = good_rows(path, columns=all_but_key_and_case(COLUMNS))

    assert [row.key for row in rows] == [*KEYS]


def test_apostrophes_of_a_file_of_somebody_else_stay(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("key,first_name\n'=1+1,Ada\n'n,Ala\n")

    assert [row.key for row in good_rows(path)] == ["'=1+1", "'n"]
