"""The output as a table: keys are text, times are times, and the columns are the same whatever the rows are."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.output import OutputRows, read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OutputOptions
from airflow_provider_workflows.batch.output_row import COLUMNS, FURTHER_COLUMNS, OutputRow
from airflow_provider_workflows.batch.output_writer import writer

ROW = OutputRow(
    "00001",
    1,
    "succeeded",
    "COMPLETED",
    "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c",
    "8a1f1f3e-8d0f-4f5b-9d55-0d6c3b6f3c1a",
    "2026-01-31T23:59:59.999Z",
    None,
    {"lastName": "Łękowska"},
    None,
    None,
)
TIME = datetime(2026, 1, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("status", pa.string()),
        pa.field("case_id", pa.string()),
        pa.field("workflow_id", pa.string()),
        pa.field("submitted_at", pa.timestamp("us", "UTC")),
        pa.field("ended_at", pa.timestamp("us", "UTC")),
        pa.field("result", pa.string()),
        pa.field("error_code", pa.string()),
        pa.field("error", pa.string()),
        pa.field("personal_number_hash", pa.string()),
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(str(tmp_path))


@pytest.fixture(params=[None, 2], ids=["whole", "parts"])
def rows_per_file(request: pytest.FixtureRequest) -> int | None:
    number: int | None = request.param
    return number


@pytest.fixture(params=OUTPUT_FORMATS)
def options(request: pytest.FixtureRequest, rows_per_file: int | None) -> OutputOptions:
    return OutputOptions(request.param, rows_per_file=rows_per_file)


def write(folder: ObjectStoragePath, options: OutputOptions, *rows: OutputRow) -> ObjectStoragePath:
    with writer(folder, options) as writing:
        for row in rows:
            writing.write(row)
    return options.path_in(folder)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_schema_is_the_same_whatever_the_format_and_the_rows_are(
    folder: ObjectStoragePath, options: OutputOptions, rows: int
) -> None:
    uri = write(folder, options, *[ROW] * rows)

    table = read_output(uri).to_arrow()

    assert table.schema.equals(SCHEMA)
    assert table.num_rows == rows


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("further", [("record_id",), ("record_id", "revision", "execution_version")])
def test_columns_of_later_generations_are_text_at_the_end(
    folder: ObjectStoragePath, further: tuple[str, ...], rows: int
) -> None:
    uri = write(folder, OutputOptions("parquet", further_columns=further), *[ROW] * rows)

    schema = pa.schema([*SCHEMA, *(pa.field(name, pa.string()) for name in further)])
    assert pyarrow.parquet.read_schema(uri.path).equals(schema)
    assert read_output(uri).to_arrow().schema.equals(schema)


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
@pytest.mark.parametrize("earlier", [(), ("record_id",)])
@pytest.mark.parametrize("is_first", [False, True])
def test_an_output_without_later_columns_is_read_beside_one_that_has_them(
    folder: ObjectStoragePath, output_format: str, earlier: tuple[str, ...], *, is_first: bool
) -> None:
    versioned = dataclasses.replace(ROW, record_id="r-1", revision="7", execution_version="1")
    further = {"a": earlier, "b": FURTHER_COLUMNS}
    options = {
        name: OutputOptions(output_format, further_columns=columns) for name, columns in further.items()
    }
    outputs = [
        write(folder / "a", options["a"], dataclasses.replace(ROW, record_id="r-0")),
        write(folder / "b", options["b"], versioned),
    ]
    outputs = outputs if is_first else outputs[::-1]

    rows = list(OutputRows(outputs))
    table = OutputRows(outputs).to_arrow().to_pylist()

    given = "r-0" if earlier else None
    expected = [(given, None, None), ("r-1", "7", "1")][:: 1 if is_first else -1]
    assert [tuple(map(row.get, FURTHER_COLUMNS)) for row in rows] == expected
    assert [tuple(row[name] for name in FURTHER_COLUMNS) for row in table] == expected


@pytest.mark.parametrize("rows", [0, 1])
def test_parquet_has_this_schema_in_its_file(folder: ObjectStoragePath, rows: int) -> None:
    uri = write(folder, OutputOptions("parquet"), *[ROW] * rows)

    assert pyarrow.parquet.read_schema(uri.path).equals(SCHEMA)


def test_as_arrow_keys_are_text_times_are_times_and_the_result_is_json(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    uri = write(folder, options, ROW)

    (row,) = read_output(uri).to_arrow().to_pylist()

    assert row == ROW.values(COLUMNS) | {"submitted_at": TIME, "result": '{"lastName": "Łękowska"}'}


def test_as_pandas_keys_are_text_and_times_are_times(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    uri = write(folder, options, ROW, dataclasses.replace(ROW, key="00002"))

    frame = read_output(uri).to_pandas()

    assert list(frame.columns) == list(COLUMNS)
    assert frame["key"].tolist() == ["00001", "00002"]
    assert frame["submitted_at"].tolist() == [TIME, TIME]
    assert frame["result"].map(json.loads).tolist() == [{"lastName": "Łękowska"}] * 2


@pytest.mark.thorough
def test_as_polars_keys_are_text_and_times_are_times(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    uri = write(folder, options, ROW)

    frame = read_output(uri).to_polars()

    assert frame["key"].to_list() == ["00001"]
    assert frame["submitted_at"].to_list() == [TIME]
    assert frame.schema["submitted_at"] == pl.Datetime("us", "UTC")


def test_parquet_whose_times_are_text_is_read_as_well(tmp_path: Path) -> None:
    values = ROW.values(COLUMNS) | {"result": json.dumps(ROW.result)}
    types = [pa.int64() if name == "row" else pa.string() for name in COLUMNS]
    columns = [pa.array([values[name]], kind) for name, kind in zip(COLUMNS, types, strict=True)]
    pyarrow.parquet.write_table(pa.table(columns, names=COLUMNS), tmp_path / "results.parquet")

    uri = str(tmp_path / "results.parquet")

    assert list(read_output(uri)) == [ROW.values(COLUMNS)]
    assert read_output(uri).to_arrow().schema.equals(SCHEMA)


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_without_the_package_it_says_what_to_install(
    folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    rows = read_output(write(folder, OutputOptions(), ROW))
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(InvalidInput, match=rf"^to_{module} needs {module}: pip install {module}$"):
        getattr(rows, f"to_{module}")()


def test_an_iterator_gives_each_row_once(folder: ObjectStoragePath) -> None:
    rows = read_output(write(folder, OutputOptions(), ROW, ROW))

    assert next(rows) == ROW.values(COLUMNS)
    assert len(list(rows)) == 1
    assert list(rows) == []
