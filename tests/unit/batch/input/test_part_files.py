"""Items that are several files: a folder, or what matches a pattern, in one order and as one table."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider_workflows.batch.input.items import read_items, version_of
from airflow_provider_workflows.batch.input.rows import Row
from airflow_provider_workflows.batch.sharding import references
from tests.unit.failing_storage import FailingStore, attached_store

from .people import good_rows, notes_of, refusal_of


def csv(path: Path, *keys: str, header: str = "key,first_name") -> Path:
    """Write a CSV with a row for each key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{header}\n" + "".join(f"{key},Ewa\n" for key in keys))
    return path


def keys_in(path: Path | str) -> list[str]:
    """Return the keys of the rows, in order."""
    return [row.key for row in good_rows(path)]


@pytest.fixture
def spark(tmp_path: Path) -> Path:
    """A folder as Spark writes it."""
    folder = tmp_path / "people.parquet"
    folder.mkdir()
    for number, keys in enumerate([["00001", "00002"], ["00003"], []]):
        table = pa.table(
            {"key": pa.array(keys, "string"), "first_name": pa.array(["Ewa"] * len(keys), "string")}
        )
        parquet.write_table(table, folder / f"part-{number:05}-5b1f.snappy.parquet")
    for name in ("_SUCCESS", "_committed_1", "._SUCCESS.crc", ".part-00000.crc"):
        (folder / name).touch()
    return folder


class TestFolder:
    def test_of_spark_is_read_in_the_order_of_its_parts(self, spark: Path) -> None:
        assert keys_in(spark) == ["00001", "00002", "00003"]
        assert keys_in(f"{spark}/") == ["00001", "00002", "00003"]

    def test_says_in_the_log_which_rows_are_in_which_file(self, spark: Path) -> None:
        (note,) = notes_of(spark)

        assert note == (
            "items: 3 files were read, in this order: part-00000-5b1f.snappy.parquet has rows 1 to 2; "
            "part-00001-5b1f.snappy.parquet has rows 3 to 3"
        )

    def test_says_which_file_a_note_is_of_by_its_place_behind_the_pattern(self, tmp_path: Path) -> None:
        for year in ("2025", "2026"):
            (tmp_path / year).mkdir()
            csv(tmp_path / year / "people.csv", year)
        (tmp_path / "2026" / "people.csv").write_text("key,first_name\n2026,Ewa\n,\n,\n")

        first, second = notes_of(tmp_path / "*" / "people.csv")

        assert first == "items: 2 empty rows at the end of the table left out: 2026/people.csv"
        assert second.endswith(": 2025/people.csv has rows 1 to 1; 2026/people.csv has rows 2 to 2")

    def test_is_in_the_order_of_the_numbers_in_its_names(self, tmp_path: Path) -> None:
        for number in (10, 9, 1, 100, 2):
            csv(tmp_path / f"data_{number}.csv", f"k{number}")

        assert keys_in(tmp_path) == ["k1", "k2", "k9", "k10", "k100"]

    def test_may_have_empty_parts_and_compressed_ones(self, tmp_path: Path) -> None:
        csv(tmp_path / "part-0.csv", "a")
        (tmp_path / "part-1.csv").touch()
        csv(tmp_path / "part-2.csv")
        (tmp_path / "part-3.csv.gz").write_bytes(gzip.compress(b"first_name,key\nJan,b\n"))

        assert keys_in(tmp_path) == ["a", "b"]

    def test_may_have_parts_without_a_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "part-00000").write_text(json.dumps({"key": "a", "first_name": "Ewa"}))
        (tmp_path / "part-00001").write_text(json.dumps({"key": "b", "first_name": "Jan"}))

        assert keys_in(tmp_path) == ["a", "b"]

    def test_with_other_folders_in_it_is_refused(self, tmp_path: Path) -> None:
        csv(tmp_path / "part-0.csv", "a")
        csv(tmp_path / "old" / "part-0.csv", "b")

        assert "has folders in it" in refusal_of(tmp_path)

    @pytest.mark.parametrize(
        ("folders", "words"),
        [
            (["_delta_log"], "is a Delta table"),
            ([".hoodie"], "is a Hudi table"),
            (["metadata", "data"], "is a Iceberg table"),
            (["_temporary"], "is still being written"),
        ],
    )
    def test_of_which_not_all_files_are_rows_is_refused(
        self, folders: list[str], words: str, tmp_path: Path
    ) -> None:
        csv(tmp_path / "part-0.csv", "a")
        for folder in folders:
            (tmp_path / folder).mkdir()

        assert words in refusal_of(tmp_path)

    def test_with_files_of_two_formats_is_refused(self, tmp_path: Path) -> None:
        csv(tmp_path / "part-0.csv", "a")
        (tmp_path / "part-1.json").write_text('{"key": "b", "first_name": "Jan"}')

        assert "files of more than one format" in refusal_of(tmp_path)

    def test_with_parts_of_other_columns_is_refused_by_the_part(self, tmp_path: Path) -> None:
        csv(tmp_path / "part-0.csv", "a")
        csv(tmp_path / "part-1.csv", "b", header="key,last_name")

        message = refusal_of(tmp_path)

        assert "has other columns than the files before it" in message
        assert "part-1.csv" in message

    def test_with_a_part_without_a_header_is_refused(self, tmp_path: Path) -> None:
        csv(tmp_path / "part-0.csv", "a")
        (tmp_path / "part-1.csv").write_text("Brunhilde,Kowalska\n")

        message = refusal_of(tmp_path)

        assert "is its first line a header?" in message
        assert "Kowalska" not in message

    def test_without_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "_SUCCESS").touch()

        assert "is a directory without a file of rows" in refusal_of(tmp_path)

    def test_without_a_row_is_refused(self, tmp_path: Path) -> None:
        csv(tmp_path / "part-0.csv")
        (tmp_path / "part-1.csv").touch()

        assert "items has no rows" in refusal_of(tmp_path)


class TestPattern:
    def test_takes_what_matches_in_order(self, tmp_path: Path) -> None:
        for name in ("b.csv", "a.csv", "c.txt", "_d.csv", ".e.csv"):
            csv(tmp_path / name, name)

        assert keys_in(tmp_path / "*.csv") == ["a.csv", "b.csv"]
        assert keys_in(tmp_path / "[bc].*") == ["b.csv", "c.txt"]
        assert keys_in(tmp_path / "_*.csv") == ["_d.csv"]

    def test_may_stand_for_folders(self, tmp_path: Path) -> None:
        for day in ("02", "01"):
            csv(tmp_path / day / "part-0.csv", day)

        assert keys_in(tmp_path / "*") == ["01", "02"]
        assert keys_in(tmp_path / "*" / "*.csv") == ["01", "02"]

    def test_that_nothing_matches_is_refused(self, tmp_path: Path) -> None:
        assert "no file matches" in refusal_of(tmp_path / "*.csv")
        assert "no file matches" in refusal_of(tmp_path / "nowhere" / "*.csv")

    def test_is_no_pattern_where_a_file_has_that_name(self, tmp_path: Path) -> None:
        csv(tmp_path / "cases[1].csv", "a")
        csv(tmp_path / "cases1.csv", "b")

        assert keys_in(tmp_path / "cases[1].csv") == ["a"]


class TestOneTable:
    def test_has_one_version_that_is_another_when_a_part_changes(self, spark: Path) -> None:
        part = spark / "part-00001-5b1f.snappy.parquet"
        versions = [version_of(str(spark)), version_of(str(spark))]
        os.utime(part, ns=(0, 1))
        versions.append(version_of(str(spark)))
        part.rename(spark / "part-00009-5b1f.snappy.parquet")
        versions.append(version_of(str(spark)))
        csv(spark / "part-3.csv", "a")
        versions.append(version_of(str(spark)))

        assert versions[0] == versions[1]
        assert len(set(versions)) == 4

    def test_is_read_in_shards_that_go_over_its_parts(self, spark: Path) -> None:
        shards = references(str(spark), 2)

        rows = [[row for row in read_items(shard) if isinstance(row, Row)] for shard in shards]

        assert [[(row.number, row.key) for row in shard] for shard in rows] == [
            [(1, "00001"), (2, "00002")],
            [(3, "00003")],
        ]

    @pytest.mark.parametrize("items", ["s3://bucket/due", "s3://bucket/due/", "s3://bucket/due/part-*"])
    def test_may_be_in_an_object_store(self, items: str) -> None:
        with attached_store("s3", FailingStore) as store:
            for number in (10, 9):
                store.pipe_file(f"/bucket/due/part-{number}.csv", f"key,first_name\nk{number},Ewa\n".encode())
            store.pipe_file("/bucket/due/_SUCCESS", b"")

            assert keys_in(items) == ["k9", "k10"]
            assert version_of(items) == version_of(items)
