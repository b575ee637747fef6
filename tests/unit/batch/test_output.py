"""The output of a batch: what is written is what is read, and the same rows are the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from pyarrow.parquet import ParquetFile

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch import output_formats
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OutputOptions
from airflow_provider_workflows.batch.output_row import COLUMNS, OutputRow, iso
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.storage_retry import failure_reason
from tests.unit.failing_storage import STORAGE_ERRORS, FailingStore, attached_store, folder_in_store

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


JSONL = OutputOptions()
PARQUET = OutputOptions("parquet")


@pytest.fixture(params=OUTPUT_FORMATS)
def options(request: pytest.FixtureRequest) -> OutputOptions:
    return OutputOptions(request.param)


def write(folder: ObjectStoragePath, options: OutputOptions, *rows: OutputRow) -> bytes:
    with writer(folder, options) as writing:
        for row in rows:
            writing.write(row)
    return Path(options.path_in(folder).path).read_bytes()


class TestWriter:
    def test_what_is_written_is_what_is_read(self, folder: ObjectStoragePath, options: OutputOptions) -> None:
        write(folder, options, SUCCEEDED, FAILED, WITHOUT_RESULT)

        rows = list(read_output(options.path_in(folder)))

        assert rows == [row.values(COLUMNS) for row in (SUCCEEDED, FAILED, WITHOUT_RESULT)]

    def test_the_columns_are_in_the_order_of_the_fields(
        self, folder: ObjectStoragePath, options: OutputOptions
    ) -> None:
        write(folder, options, SUCCEEDED)

        (row,) = read_output(options.path_in(folder))

        assert list(row) == [*COLUMNS]

    def test_no_rows_are_read_as_none(self, folder: ObjectStoragePath, options: OutputOptions) -> None:
        write(folder, options)

        assert list(read_output(options.path_in(folder))) == []

    def test_the_same_rows_are_the_same_bytes(
        self, folder: ObjectStoragePath, options: OutputOptions
    ) -> None:
        rows = [dataclasses.replace(SUCCEEDED, row=number) for number in range(1, 2500)]

        assert write(folder, options, *rows) == write(folder, options, *rows)

    def test_an_exception_leaves_the_earlier_output(
        self, folder: ObjectStoragePath, options: OutputOptions
    ) -> None:
        before = write(folder, options, FAILED)

        def fail() -> None:
            with writer(folder, options) as writing:
                for number in range(1, 2500):
                    writing.write(dataclasses.replace(SUCCEEDED, row=number))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()

        path = Path(options.path_in(folder).path)
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_parquet_has_groups_of_a_thousand_rows(self, folder: ObjectStoragePath) -> None:
        write(folder, PARQUET, *[SUCCEEDED] * 2500)

        metadata = ParquetFile(PARQUET.path_in(folder).path).metadata

        assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [
            1000,
            1000,
            500,
        ]

    def test_parquet_does_not_keep_large_results_in_memory(
        self, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(output_formats, "CHARACTERS_IN_GROUP", 1000)
        large = dataclasses.replace(SUCCEEDED, result={"text": "x" * 600})

        write(folder, PARQUET, *[large] * 4)

        assert ParquetFile(PARQUET.path_in(folder).path).metadata.num_row_groups == 2

    @pytest.mark.thorough
    def test_memory_does_not_grow_with_the_rows(
        self, folder: ObjectStoragePath, options: OutputOptions
    ) -> None:
        row = dataclasses.replace(SUCCEEDED, result={"text": "x" * 1000})

        def peak(rows: int) -> int:
            tracemalloc.start()
            with writer(folder, options) as writing:
                for number in range(rows):
                    writing.write(dataclasses.replace(row, row=number))
            _, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return highest

        # The first array that pyarrow makes in a process imports pandas, where that is installed: 25 MB.
        write(folder, options, row)

        assert peak(12_000) < peak(2_000) + 500_000


UNKNOWN = OutputRow(
    "=HYPERLINK(1)",
    7,
    "unknown",
    None,
    "case-7",
    None,
    "2026-01-31T23:59:59.000Z",
    None,
    None,
    "OutcomeUnknown",
    "?",
)


@pytest.mark.thorough
class TestFailingStorage:
    @pytest.fixture
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingStore]:
        monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.001, 0.001))
        with attached_store() as store:
            yield store

    @pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
    def test_is_tried_again_and_the_same_bytes_are_there_in_the_end(
        self, folder: ObjectStoragePath, store: FailingStore, options: OutputOptions, error: Exception
    ) -> None:
        rows = [dataclasses.replace(SUCCEEDED, row=number) for number in range(1, 2500)] + [UNKNOWN]
        expected = write(folder, options, *rows)
        store.fail(error, times=5)

        with writer(folder_in_store(), options) as writing:
            for row in rows:
                writing.write(row)

        assert store.cat_file(f"/bucket/state/results.{options.format}") == expected
        # The output, five failures, and the list of unknown rows.
        assert (store.puts, store.failed) == (7, 5)

    def test_after_a_stop_is_tried_once(self, store: FailingStore, options: OutputOptions) -> None:
        store.fail(OSError(5, "Input/output error"))

        with (
            pytest.raises(OSError, match="Input/output"),
            writer(folder_in_store(), options, lambda: True) as writing,
        ):
            writing.write(SUCCEEDED)

        assert store.puts == 1


class TestUnknownRows:
    def test_are_listed_beside_the_output(self, folder: ObjectStoragePath, options: OutputOptions) -> None:
        write(folder, options, SUCCEEDED, dataclasses.replace(UNKNOWN, key="A-7"), FAILED)

        listed = Path(folder.path, "unknown.csv").read_text(encoding="utf-8-sig").splitlines()
        assert listed == ["key;row;time;case_id;record_id", "A-7;7;2026-01-31T23:59:59.000Z;case-7;"]

    def test_without_them_there_is_no_list(self, folder: ObjectStoragePath, options: OutputOptions) -> None:
        write(folder, options, UNKNOWN)

        write(folder, options, SUCCEEDED, FAILED)

        assert [path.name for path in Path(folder.path).iterdir()] == [f"results.{options.format}"]

    @pytest.mark.parametrize(
        ("key", "cell"),
        [
            ("=1+1", "'=1+1"),
            ("+48600100200", "'+48600100200"),
            ("-7", "'-7"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ('a,"b"\n', 'a,"b"\n'),
            ("A=1", "A=1"),
            ("Łękowska", "Łękowska"),
        ],
    )
    def test_a_key_that_a_spreadsheet_would_run_is_text_there(
        self, folder: ObjectStoragePath, key: str, cell: str
    ) -> None:
        write(folder, JSONL, dataclasses.replace(UNKNOWN, key=key))

        with Path(folder.path, "unknown.csv").open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file, delimiter=";")

        assert row["key"] == cell

    def test_the_log_says_what_to_search_for_and_shows_no_key(
        self, folder: ObjectStoragePath, caplog: pytest.LogCaptureFixture
    ) -> None:
        write(folder, JSONL, UNKNOWN, SUCCEEDED, UNKNOWN)

        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.getMessage().startswith("2 of the rows may have a run")
        assert "unknown.csv" in record.getMessage()
        assert "Search the service's dashboard" in record.getMessage()
        assert UNKNOWN.key not in record.getMessage()


class CachingStore(FailingStore):
    """Keeps listings, and finds files by them, as s3fs does."""

    def __init__(self) -> None:
        super().__init__()
        self.listings: dict[str, Any] = {}

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        path = self._strip_protocol(path)
        if path not in self.listings:
            self.listings[path] = super().ls(path, detail=True)
        return self.listings[path] if detail else [file["name"] for file in self.listings[path]]

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        folder = self._parent(path)
        if mode == "rb" and self._strip_protocol(path) not in self.ls(folder, detail=False):
            raise FileNotFoundError(path)
        return super().open(path, mode, **options)

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listings.clear() if path is None else self.listings.pop(self._strip_protocol(path), None)


def test_an_output_is_found_by_a_process_that_has_listed_its_folder_before() -> None:
    with attached_store(kind=CachingStore) as store:
        assert store.ls("/bucket/state") == []
        with writer(folder_in_store(), JSONL) as writing:
            writing.write(SUCCEEDED)

        rows = list(read_output(folder_in_store() / "results.jsonl"))

    assert rows == [SUCCEEDED.values(COLUMNS)]


class TestFormats:
    def test_the_file_is_named_after_the_format(
        self, folder: ObjectStoragePath, options: OutputOptions
    ) -> None:
        assert options.path_in(folder) == folder / f"results.{options.format}"

    def test_parquet_without_pyarrow_says_what_to_install(
        self, folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)

        with pytest.raises(InvalidInput, match=r"pip install 'airflow-provider-workflows\[parquet\]'"):
            PARQUET.path_in(folder)

    @pytest.mark.parametrize("name", ["results.xlsx", "results.txt"])
    def test_another_file_is_not_an_output(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InvalidInput, match="is not an output of a batch"):
            list(read_output(str(tmp_path / name)))

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("results.jsonl", '{"key": "Nowak", "row": 1'),
            ("results.jsonl", '{"key": "Nowak"}\n'),
            ("results.parquet", "Nowak"),
            ("results.csv", f"{';'.join(COLUMNS)}\r\nNowak;1\r\n"),
            ("results.csv", f"{';'.join(COLUMNS)}\r\n1;Nowak{';' * (len(COLUMNS) - 2)}\r\n"),
            ("results.csv", f"{';'.join(COLUMNS)}\r\nNowak{';' * (len(COLUMNS) - 1)}\r\n"),
            ("results.csv", f"{';'.join(COLUMNS)}\r\n1;1;;;;;;;Nowak;;;\r\n"),
        ],
    )
    def test_a_row_that_another_program_has_changed_is_said_and_not_shown(
        self, tmp_path: Path, name: str, content: str
    ) -> None:
        path = tmp_path / name
        path.write_text(content, newline="")

        with pytest.raises(
            InvalidInput, match=f"{name} is no whole output of a batch: a row of it cannot"
        ) as raised:
            read_output(str(path)).to_arrow()

        assert "Nowak" not in str(raised.value)


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


@pytest.mark.parametrize("given", ["out/results.jsonl", Path("out") / "results.jsonl"], ids=repr)
def test_is_read_from_a_relative_path_where_a_person_is(
    given: str | Path, folder: ObjectStoragePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, JSONL, SUCCEEDED)
    monkeypatch.chdir(tmp_path)

    assert [row["key"] for row in read_output(given)] == ["A-1"]
