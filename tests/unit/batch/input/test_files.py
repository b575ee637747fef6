"""Inputs of a batch that cannot be read as a whole: the wrong kind, place, file or mapping."""

from __future__ import annotations

import datetime as dt
import io
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk import ObjectStoragePath
from pyarrow import parquet

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items, version_of
from airflow_provider_workflows.batch.input.options import InputOptions
from tests.unit.failing_storage import FailingStore, attached_store

from .test_rows import GOOD, LOST_ZEROS, SECRET, bad_rows, refusal


class TestParquet:
    @pytest.fixture
    def content(self, tmp_path: Path) -> bytes:
        path = tmp_path / "whole.parquet"
        table = pa.table({"first_name": [SECRET] * 5000})
        parquet.write_table(table, path, compression="none", use_dictionary=False)
        return path.read_bytes()

    @pytest.mark.parametrize("length", [0, 3, 1000, -1])
    def test_that_was_cut_is_refused(self, length: int, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "rows.parquet"
        path.write_bytes(content[:length])

        assert "not a whole Parquet file" in refusal(str(path))

    def test_that_is_damaged_within_is_refused(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "rows.parquet"
        path.write_bytes(content[:4] + b"\xff" * 40 + content[44:])

        assert "not a whole Parquet file" in refusal(str(path))

    def test_without_rows_is_refused(self, tmp_path: Path) -> None:
        parquet.write_table(pa.table({"first_name": pa.array([], "string")}), tmp_path / "rows.parquet")

        assert "has no rows" in refusal(str(tmp_path / "rows.parquet"))

    def test_with_an_unknown_column_is_refused(self, tmp_path: Path) -> None:
        parquet.write_table(pa.table({"email": ["a"], "note": ["b"]}), tmp_path / "rows.parquet")

        assert "not fields of a case: 'note'" in refusal(str(tmp_path / "rows.parquet"))

    def test_has_its_bad_cells_reported(self, tmp_path: Path) -> None:
        latin = pa.array([SECRET.encode(), b"W\xf3jcik"], "binary").view("string")
        table = pa.table({"last_name": latin, "personal_number": [None, 1.5]})
        parquet.write_table(table, tmp_path / "rows.parquet")

        assert bad_rows(str(tmp_path / "rows.parquet")) == [
            (2, "last_name", "is not UTF-8"),
            (2, "personal_number", LOST_ZEROS),
        ]

    def test_without_pyarrow_says_what_to_install(
        self, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "rows.parquet"
        path.write_bytes(content)
        monkeypatch.setitem(sys.modules, "pyarrow", None)

        assert "pip install 'airflow-provider-workflows[parquet]'" in refusal(str(path))


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([], "has no rows"),
        (None, "not NoneType"),
        (7, "not int"),
        (b"Kowalska", "not bytes"),
        ("", "is empty"),
        ("Kowalska.csv", "absolute path or a URI"),
        ("/nowhere/rows.csv", "there is no file /nowhere/rows.csv"),
        ("/nowhere/rows.csv.gz", "there is no file /nowhere/rows.csv.gz"),
        ("/nowhere/rows", "there is no file /nowhere/rows"),
        ("nosuch://bucket/rows.csv", "nosuch://"),
        ({"first_name": SECRET}, "is a dict but not a shard's reference"),
        ({"items": "/rows.csv", "first_row": 0, "rows": 1}, "is a dict but not a shard's reference"),
        ({"items": "/rows.csv", "first_row": 1, "rows": True}, "is a dict but not a shard's reference"),
        ({"items": [GOOD], "first_row": 1, "rows": 1}, "not list"),
    ],
)
def test_items_of_another_kind_are_refused(items: Any, reason: str) -> None:
    assert reason in refusal(items)


def test_a_protocol_without_its_provider_is_refused() -> None:
    assert "s3://" in refusal("s3://bucket/rows.csv")


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()

    assert "is a directory without a file of rows" in refusal(str(tmp_path / "rows.csv"))


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "rows.csv").touch()
    # Root, as whom tests may run, is permitted everything.
    monkeypatch.setattr(ObjectStoragePath, "open", refused)

    assert "no permission" in refusal(str(tmp_path / "rows.csv"))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_an_error_of_the_storage_itself_is_passed_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the network is down")

    (tmp_path / name).touch()
    monkeypatch.setattr(ObjectStoragePath, "open", lambda *_: Broken(bytes(100)))

    with pytest.raises(OSError, match="the network is down"):
        list(read_items(str(tmp_path / name)))


def test_a_shard_of_a_file_that_has_become_shorter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"first_name\n{SECRET}\n{SECRET}\n")

    assert "fewer rows" in refusal({"items": str(tmp_path / "rows.csv"), "first_row": 2, "rows": 2})


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"PESEL": "pesel"}, "columns maps 'PESEL' to what is not a field; the fields are first_name, "),
        ({"PESEL": ["email"]}, "columns maps 'PESEL' to what is not a field"),
        (["email"], "columns must be a dict of column and field, not list"),
    ],
)
def test_a_mapping_to_no_field_is_refused_before_anything_is_read(columns: Any, reason: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_items("/nowhere/rows.csv", InputOptions(columns))

    assert reason in str(raised.value)


def test_a_mapped_column_that_a_table_does_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"first_name\n{SECRET}\n")

    assert "columns names what items does not have: 'PESEL'" in refusal(
        str(tmp_path / "rows.csv"), {"PESEL": "personal_number"}
    )


class CachingStore(FailingStore):
    """An object store that says of a file what a test has it say, and keeps what it has said, as s3fs does."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, Any] = {}
        self._listed: dict[str, Any] | None = None

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        if self._listed is None:
            self._listed = {**super().info(path, **options), **self.said}
        return self._listed

    def invalidate_cache(self, path: str | None = None) -> None:
        self._listed = None


class TestVersion:
    MORNING, EVENING = (dt.datetime(2026, 1, 31, hour, tzinfo=dt.timezone.utc) for hour in (6, 18))

    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [
            ("size", 100, 101),
            ("mtime", 1769839200.25, 1769839200.5),
            ("LastModified", MORNING, EVENING),
            ("last_modified", MORNING, EVENING),
            ("updated", "2026-01-31T06:00:00Z", "2026-01-31T18:00:00Z"),
            ("ETag", '"5d41402a"', '"7d793037"'),
            ("etag", "0x8DE", "0x8DF"),
        ],
    )
    def test_is_another_when_the_store_says_another_size_time_or_etag(
        self, name: str, before: Any, after: Any
    ) -> None:
        with attached_store("s3", CachingStore) as store:
            store.pipe_file("/bucket/rows.csv", b"first_name\nJo\n")
            store.said = {name: before}
            versions = [version_of("s3://bucket/rows.csv"), version_of("s3://bucket/rows.csv")]
            store.said = {name: after}
            versions.append(version_of("s3://bucket/rows.csv"))

        assert versions[0] == versions[1] != versions[2]

    def test_of_a_shard_is_that_of_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("first_name\nJo\n")

        reference = {"items": str(tmp_path / "rows.csv"), "first_row": 1, "rows": 1}

        assert version_of(reference) == version_of(str(tmp_path / "rows.csv"))

    def test_of_a_file_on_a_disk_is_another_after_a_write_of_the_same_size(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        path.write_text("first_name\nJo\n")
        os.utime(path, ns=(0, 1_769_839_200_000_000_000))
        before = version_of(str(path))
        os.utime(path, ns=(0, 1_769_839_200_001_000_000))

        assert version_of(str(path)) != before

    def test_rows_that_are_a_list_have_none(self) -> None:
        assert version_of([GOOD]) is None

    def test_of_a_file_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="there is no file /nowhere/rows"):
            version_of("/nowhere/rows.csv")
