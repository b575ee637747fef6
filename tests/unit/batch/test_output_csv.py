"""The output as CSV: Excel opens it rightly, runs nothing in it, and what is read is what was written."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_DELIMITERS, OutputOptions
from airflow_provider_workflows.batch.output_row import COLUMNS, OutputRow
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.batch.spreadsheet_lines import escaped_cell, value_of

ROW = OutputRow(
    "00001",
    1,
    "succeeded",
    "COMPLETED",
    "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c",
    None,
    "2026-01-31T23:59:59.000Z",
    None,
    {"lastName": 'Łękowska; "Żółć"\r\n', "note": "=1+1"},
    None,
    "",
)
CSV = OutputOptions("csv")


def written(folder: ObjectStoragePath, options: OutputOptions, *rows: OutputRow) -> bytes:
    with writer(folder, options) as writing:
        for row in rows:
            writing.write(row)
    return Path(options.path_in(folder).path).read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(str(tmp_path))


def test_it_begins_with_the_mark_by_which_excel_takes_it_for_utf_8(folder: ObjectStoragePath) -> None:
    assert written(folder, CSV, ROW).startswith(b"\xef\xbb\xbfkey;row;outcome;")


def test_its_lines_end_as_excel_has_them(folder: ObjectStoragePath) -> None:
    content = written(folder, CSV, dataclasses.replace(ROW, result=None))

    assert content.count(b"\r\n") == content.count(b"\n") == 2


@pytest.mark.parametrize("delimiter", OUTPUT_DELIMITERS)
def test_with_each_delimiter_what_is_written_is_what_is_read(
    folder: ObjectStoragePath, delimiter: str
) -> None:
    options = OutputOptions("csv", delimiter)
    row = dataclasses.replace(ROW, key="a;b,c\td|e")

    content = written(folder, options, row)

    assert content.decode("utf-8-sig").splitlines()[0] == delimiter.join(COLUMNS)
    assert list(read_output(options.path_in(folder))) == [row.values(COLUMNS)]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+48600", "-7", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\N{NO-BREAK SPACE}=1", "＝1", "'=1"],  # noqa: RUF001
)
def test_no_cell_begins_as_a_formula_and_each_is_read_as_it_was(folder: ObjectStoragePath, text: str) -> None:
    row = dataclasses.replace(ROW, error=text)

    content = written(folder, CSV, row)

    (cells,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
    assert cells["error"] == f"'{text}"
    assert list(read_output(CSV.path_in(folder))) == [row.values(COLUMNS)]


@pytest.mark.parametrize(
    "text", ["", "'", "''", "'007", "O'Neill", None, "1,5", '"', "a\r\nb", "#N/A", "NULL"]
)
def test_each_text_and_nothing_is_read_as_it_was(folder: ObjectStoragePath, text: str | None) -> None:
    row = dataclasses.replace(ROW, error=text)

    written(folder, CSV, row)

    assert [each["error"] for each in read_output(CSV.path_in(folder))] == [text]


@pytest.mark.thorough
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from("'=+-@ \t\r\n;a\N{NO-BREAK SPACE}"), max_size=6))
def test_of_any_text_a_cell_gives_back_what_it_was_made_of(text: str) -> None:
    cell = escaped_cell(text)

    assert isinstance(cell, str)
    assert value_of(cell) == text
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))


def test_a_result_that_is_longer_than_a_cell_of_the_csv_module_is_read(folder: ObjectStoragePath) -> None:
    row = dataclasses.replace(ROW, result={"text": "x" * 2_000_000})

    written(folder, CSV, row)

    assert list(read_output(CSV.path_in(folder))) == [row.values(COLUMNS)]


def test_pandas_reads_it_as_text_when_asked_to(folder: ObjectStoragePath) -> None:
    written(folder, CSV, ROW)

    frame = pd.read_csv(CSV.path_in(folder).path, sep=";", dtype={"key": str})

    assert frame["key"].tolist() == ["00001"]
    assert list(frame.columns) == list(COLUMNS)


@pytest.mark.parametrize("content", ["", "first_name,last_name\r\nAda,Nowak\r\n", "key\r\n1\r\n"])
def test_another_csv_is_not_an_output_and_nothing_of_it_is_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.csv").write_text(content, newline="")

    with pytest.raises(InvalidInput, match=r"results.csv is not an output of a batch: it has other columns$"):
        list(read_output(str(tmp_path / "results.csv")))
