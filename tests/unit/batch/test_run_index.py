"""The index of a batch's runs: which row an id belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.batch.run_index import RUN_INDEX_NAME, find_row, write_run_index
from airflow_provider_workflows.storage import ObjectStoragePath

#: Of the second, only a part is read.
SIZES = [0, 1, 2, 500, 30_000]


def ids(rows: int) -> list[tuple[int, str | None]]:
    return [(row, f"{kind}-{row}") for row in range(1, rows + 1) for kind in ("workflow", "case")]


@pytest.mark.parametrize("rows", SIZES)
def test_a_row_is_found_by_each_of_its_ids_and_no_other(tmp_path: Path, rows: int) -> None:
    folder = ObjectStoragePath(str(tmp_path))
    write_run_index(folder, ids(rows))
    path = folder / RUN_INDEX_NAME

    wanted = range(1, rows + 1, max(1, rows // 50))

    assert [find_row(path, f"WORKFLOW-{row}") for row in wanted] == list(wanted)
    assert [find_row(path, f" case-{row}") for row in wanted] == list(wanted)
    assert [find_row(path, f"other-{row}") for row in range(20)] == [None] * 20


def test_hashes_that_are_not_spread_evenly_are_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_workflows.batch import run_index  # noqa: PLC0415

    monkeypatch.setattr(run_index, "_hash", lambda given: int(given).to_bytes(8, "big"))
    folder = ObjectStoragePath(str(tmp_path))
    write_run_index(folder, [(row, str(row)) for row in range(1, 20_001)])

    assert [find_row(folder / RUN_INDEX_NAME, str(row)) for row in (1, 10_000, 20_000, 20_001)] == [
        1,
        10_000,
        20_000,
        None,
    ]


def test_rows_without_a_run_are_left_out(remote: MemoryFileSystem) -> None:
    folder = ObjectStoragePath("memory://bucket/batch")
    write_run_index(folder, [(1, None), (2, "workflow-2")])

    assert find_row(folder / RUN_INDEX_NAME, "workflow-2") == 2


@pytest.mark.parametrize("content", [b"", b"WFRUNIX2", b"x" * 20, b"WFRUNIX1x"])
def test_a_file_that_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    path = ObjectStoragePath(str(tmp_path / RUN_INDEX_NAME))
    Path(path.path).write_bytes(content)

    with pytest.raises(ValueError, match="no index"):
        find_row(path, "workflow-1")
