"""The output of a batch: what is written is what is read, and the same rows are the same bytes."""

from __future__ import annotations

import dataclasses
import sys
import tracemalloc
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from pyarrow.parquet import ParquetFile

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch import output
from airflow_provider_workflows.batch.output import (
    OUTPUT_FORMATS,
    OutputRow,
    iso,
    output_path,
    read_output,
    require_format,
    writer,
)

SUCCEEDED = OutputRow(
    key="A-1",
    row=1,
    outcome="succeeded",
    status="COMPLETED",
    case_id="3b2d8a4f-579f-4e2e-a51c-f859e532fe8c",
    workflow_id="8a1f1f3e-8d0f-4f5b-9d55-0d6c3b6f3c1a",
    submitted_at="2026-01-31T23:59:59.000Z",
    ended_at="2026-02-01T00:00:12.345Z",
    result={"partyDetails": {"lastName": "Łękowska\n\u2028"}, "checks": [1, 2.5, None, True], "empty": {}},
    error_code=None,
    error=None,
)
FAILED = OutputRow("2", 2, "failed", "REJECTED", None, None, None, None, None, "WorkflowFailed", "It ended.")
WITHOUT_RESULT = dataclasses.replace(SUCCEEDED, row=3, result={})


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(str(tmp_path / "out"))


@pytest.fixture(params=OUTPUT_FORMATS)
def output_format(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def write(folder: ObjectStoragePath, output_format: str, *rows: OutputRow) -> bytes:
    with writer(folder, output_format) as writing:
        for row in rows:
            writing.write(row)
    return Path(output_path(folder, output_format).path).read_bytes()


class TestWriter:
    def test_what_is_written_is_what_is_read(self, folder: ObjectStoragePath, output_format: str) -> None:
        write(folder, output_format, SUCCEEDED, FAILED, WITHOUT_RESULT)

        rows = list(read_output(output_path(folder, output_format)))

        assert rows == [dataclasses.asdict(row) for row in (SUCCEEDED, FAILED, WITHOUT_RESULT)]

    def test_the_columns_are_in_the_order_of_the_fields(
        self, folder: ObjectStoragePath, output_format: str
    ) -> None:
        write(folder, output_format, SUCCEEDED)

        (row,) = read_output(output_path(folder, output_format))

        assert list(row) == [field.name for field in dataclasses.fields(OutputRow)]

    def test_no_rows_are_read_as_none(self, folder: ObjectStoragePath, output_format: str) -> None:
        write(folder, output_format)

        assert list(read_output(output_path(folder, output_format))) == []

    def test_the_same_rows_are_the_same_bytes(self, folder: ObjectStoragePath, output_format: str) -> None:
        rows = [dataclasses.replace(SUCCEEDED, row=number) for number in range(1, 2500)]

        assert write(folder, output_format, *rows) == write(folder, output_format, *rows)

    def test_an_exception_leaves_the_earlier_output(
        self, folder: ObjectStoragePath, output_format: str
    ) -> None:
        before = write(folder, output_format, FAILED)

        def fail() -> None:
            with writer(folder, output_format) as writing:
                for number in range(1, 2500):
                    writing.write(dataclasses.replace(SUCCEEDED, row=number))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()

        path = Path(output_path(folder, output_format).path)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_parquet_has_groups_of_a_thousand_rows(self, folder: ObjectStoragePath) -> None:
        write(folder, "parquet", *[SUCCEEDED] * 2500)

        metadata = ParquetFile(output_path(folder, "parquet").path).metadata

        assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [
            1000,
            1000,
            500,
        ]

    def test_parquet_does_not_keep_large_results_in_memory(
        self, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(output, "_CHARACTERS_IN_GROUP", 1000)
        large = dataclasses.replace(SUCCEEDED, result={"text": "x" * 600})

        write(folder, "parquet", *[large] * 4)

        assert ParquetFile(output_path(folder, "parquet").path).metadata.num_row_groups == 2

    def test_memory_does_not_grow_with_the_rows(self, folder: ObjectStoragePath, output_format: str) -> None:
        row = dataclasses.replace(SUCCEEDED, result={"text": "x" * 1000})

        def peak(rows: int) -> int:
            tracemalloc.start()
            with writer(folder, output_format) as writing:
                for number in range(rows):
                    writing.write(dataclasses.replace(row, row=number))
            _, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return highest

        assert peak(12_000) < peak(2_000) + 500_000


class TestFormats:
    def test_the_file_is_named_after_the_format(self, folder: ObjectStoragePath, output_format: str) -> None:
        assert output_path(folder, output_format) == folder / f"results.{output_format}"

    @pytest.mark.parametrize("unknown", ["csv", "", "JSONL"])
    def test_an_unknown_one_is_refused(self, folder: ObjectStoragePath, unknown: str) -> None:
        with pytest.raises(InvalidInput, match="output_format must be one of jsonl, parquet"):
            output_path(folder, unknown)

    def test_parquet_without_pyarrow_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)

        with pytest.raises(InvalidInput, match=r"pip install 'airflow-provider-workflows\[parquet\]'"):
            require_format("parquet")

    def test_another_file_is_not_an_output(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="is not an output of a batch"):
            list(read_output(str(tmp_path / "results.csv")))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000Z"),
        (1769903999.9996, "2026-01-31T23:59:59.999Z"),
        (1769904000.5, "2026-02-01T00:00:00.500Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_millisecond(seconds: float | None, expected: str | None) -> None:
    assert iso(seconds) == expected


def test_a_row_shows_neither_its_key_nor_its_result() -> None:
    shown = repr(dataclasses.replace(SUCCEEDED, key="kowalska@example.org"))

    assert "kowalska" not in shown
    assert "Łękowska" not in shown
    assert "COMPLETED" in shown
