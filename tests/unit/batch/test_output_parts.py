"""An output in parts: each has its number of rows, and only those are there that belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.dataset
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch.output import existing_output, read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OutputOptions
from airflow_provider_workflows.batch.output_row import COLUMNS, OutputRow
from airflow_provider_workflows.batch.output_writer import writer
from tests.unit.failing_storage import FailingStore, attached_store, folder_in_store


def row(number: int, text: str = "") -> OutputRow:
    return OutputRow(
        f"{number:05}", number, "succeeded", "COMPLETED", None, None, None, None, {"x": text}, None, None
    )


def write(folder: ObjectStoragePath, options: OutputOptions, *rows: OutputRow) -> None:
    with writer(folder, options) as writing:
        for each in rows:
            writing.write(each)


def names(folder: ObjectStoragePath) -> list[str]:
    found = folder.fs.ls((folder / "results").path, detail=False)
    return sorted(str(path).rpartition("/")[2] for path in found)


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(str(tmp_path / "out"))


@pytest.fixture(params=OUTPUT_FORMATS)
def options(request: pytest.FixtureRequest) -> OutputOptions:
    return OutputOptions(request.param, rows_per_file=2)


@pytest.mark.parametrize(("rows", "expected"), [(0, [0]), (1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
def test_each_part_has_the_number_of_rows_and_the_last_one_the_rest(
    folder: ObjectStoragePath, options: OutputOptions, rows: int, expected: list[int]
) -> None:
    written = [row(number) for number in range(1, rows + 1)]

    write(folder, options, *written)

    listed = json.loads((folder / "results" / "_SUCCESS").read_text())
    assert [part["rows"] for part in listed["parts"]] == expected
    assert (listed["rows"], listed["format"]) == (rows, options.format)
    parts = [folder / "results" / part["name"] for part in listed["parts"]]
    assert [len(list(read_output(part))) for part in parts] == expected
    assert list(read_output(folder / "results")) == [each.values(COLUMNS) for each in written]


def test_beside_the_parts_there_is_their_list_alone(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    write(folder, options, row(1), row(2), row(3))

    first, *parts = names(folder)
    assert first == "_SUCCESS"
    assert [name[:10] for name in parts] == ["part-00000", "part-00001"]
    assert {name.rpartition(".")[2] for name in parts} == {options.format}
    assert [path.name for path in Path(folder.path).iterdir()] == ["results"]


def test_the_same_rows_are_parts_of_the_same_names_and_bytes(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    def content() -> dict[str, bytes]:
        write(folder, options, row(1), row(2), row(3))
        return {name: (folder / "results" / name).read_bytes() for name in names(folder)}

    assert content() == content()


def test_a_repair_replaces_the_parts_whose_rows_have_changed_and_no_others(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    write(folder, options, row(1), row(2), row(3), row(4))
    before = names(folder)

    write(folder, options, row(1), row(2), row(3, "new"), row(4))

    after = names(folder)
    assert [name in before for name in after] == [True, True, False]
    assert [each["result"]["x"] for each in read_output(folder / "results")] == ["", "", "new", ""]


def test_a_stop_in_the_middle_leaves_the_earlier_parts(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    write(folder, options, row(1), row(2))
    before = names(folder)

    def stop() -> None:
        with writer(folder, options) as writing:
            for number in range(1, 6):
                writing.write(row(number, "new"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop()

    assert names(folder) == before
    assert [path.name for path in Path(folder.path).iterdir()] == ["results"]


def test_parts_of_a_try_that_was_killed_before_it_listed_them_are_not_read_and_go(
    folder: ObjectStoragePath, options: OutputOptions
) -> None:
    write(folder, options, row(1), row(2))
    orphan = folder / "results" / f"part-00000-{'0' * 16}.{options.format}"
    orphan.write_bytes(b"?")
    half = folder / "results" / f"_part-00001-{'0' * 16}.{options.format}.0badcafe.part"
    half.write_bytes(b"?")

    rows = list(read_output(folder / "results"))
    write(folder, options, row(1), row(2))

    assert [each["row"] for each in rows] == [1, 2]
    assert len(names(folder)) == 2


def test_what_is_not_ours_in_the_folder_stays(folder: ObjectStoragePath, options: OutputOptions) -> None:
    write(folder, options, row(1))
    (folder / "results" / "notes.txt").write_text("mine")

    write(folder, OutputOptions(), row(1))

    assert names(folder) == ["notes.txt"]


def test_the_readers_of_others_find_the_rows_in_the_folder(folder: ObjectStoragePath) -> None:
    write(folder, OutputOptions("parquet", rows_per_file=2), *map(row, range(1, 6)))

    glob = f"{folder.path}/results/*.parquet"
    counted = duckdb.execute("SELECT count(*), max(key) FROM read_parquet(?)", [glob]).fetchone()
    table = pyarrow.dataset.dataset(f"{folder.path}/results").to_table()

    assert counted == (5, "00005")
    assert table["key"].to_pylist() == ["00001", "00002", "00003", "00004", "00005"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1, "parts": [{"name": "../../secret"}]}'])
def test_a_list_that_is_not_ours_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "_SUCCESS").write_text(content)

    with pytest.raises(InvalidInput, match="is not an output of a batch: _SUCCESS does not list its parts"):
        list(read_output(str(tmp_path)))


def test_without_a_list_there_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_output(str(tmp_path)))


class TestInAStore:
    @pytest.fixture
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingStore]:
        monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.001, 0.001))
        with attached_store() as store:
            yield store

    def test_what_fails_is_tried_again_and_the_same_parts_are_there_in_the_end(
        self, folder: ObjectStoragePath, store: FailingStore, options: OutputOptions
    ) -> None:
        rows = [row(number) for number in range(1, 6)]
        write(folder, options, *rows)
        store.fail(OSError(5, "Input/output error"), times=3)

        write(folder_in_store(), options, *rows)

        assert names(folder_in_store()) == names(folder)
        # Three parts, three failures, and the list of parts.
        assert (store.puts, store.failed) == (7, 3)

    def test_a_store_that_stays_away_leaves_the_earlier_output_readable(
        self, store: FailingStore, options: OutputOptions
    ) -> None:
        write(folder_in_store(), options, row(1), row(2))
        store.fail(OSError(5, "Input/output error"))

        def stop() -> None:
            with writer(folder_in_store(), options, lambda: True) as writing:
                writing.write(row(1, "new"))

        with pytest.raises(OSError, match="Input/output"):
            stop()

        assert [each["row"] for each in read_output(folder_in_store() / "results")] == [1, 2]

    @pytest.mark.parametrize("after", [OutputOptions(), OutputOptions("csv", rows_per_file=1)])
    def test_another_form_leaves_no_part_behind(
        self, store: FailingStore, options: OutputOptions, after: OutputOptions
    ) -> None:
        write(folder_in_store(), options, row(1), row(2), row(3))

        write(folder_in_store(), after, row(1))

        assert existing_output(folder_in_store()) == after.path_in(folder_in_store())
        left = [path for path in store.find("/bucket/state") if "results" in path]
        assert len(left) == (1 if after.rows_per_file is None else 2)
