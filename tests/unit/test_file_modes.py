"""Who may read what tasks write: the user alone that Airflow runs as, unless ``output_mode`` says more."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch.sharding import references, write_index
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.whole_files import write_whole
from tests.unit.batch.test_sharding import written
from tests.unit.batch_task import BatchTask, Service, cases

#: What a folder gives its owner, and whom else, by the mode of the files in it.
FOLDER_MODES = {0o600: 0o700, 0o640: 0o750, 0o660: 0o770, 0o644: 0o755, 0o666: 0o777, 0o606: 0o707}


@pytest.fixture(autouse=True, params=[0o022, 0o000, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes_in(folder: Path) -> dict[str, int]:
    """The modes of a folder and of all that is in it."""
    return {
        path.relative_to(folder.parent).as_posix(): mode_of(path) for path in (folder, *folder.rglob("*"))
    }


def fetch_result(sandbox: Sandbox, context: Any, output_path: Path, **arguments: Any) -> None:
    with sandbox.client() as client:
        run = client.run_workflow(sandbox.define(seconds=0.0), client.create_case().case_id)
    GetWorkflowResultOperator(
        task_id="result", workflow_id=run.id, output_path=str(output_path), **arguments
    ).execute(context)


@pytest.mark.thorough
def test_files_and_folders_of_a_batch_are_for_their_owner_alone(batch: BatchTask, service: Service) -> None:
    service.unknown()
    with pytest.raises(BatchFailed):
        batch.run(cases(2))

    modes = modes_in(batch.folder)

    assert {"nightly/results.jsonl", "nightly/unknown.csv", "nightly/_state"} <= modes.keys()
    assert {name for name, mode in modes.items() if mode not in (0o600, 0o700)} == set()


@pytest.mark.thorough
@pytest.mark.parametrize("mode", FOLDER_MODES, ids=oct)
def test_output_mode_opens_the_output_of_a_batch_and_not_its_state(
    batch: BatchTask, service: Service, mode: int
) -> None:
    service.unknown()
    with pytest.raises(BatchFailed):
        batch.run(cases(2), output_mode=mode)

    assert mode_of(batch.folder) == FOLDER_MODES[mode]
    assert mode_of(batch.folder / "results.jsonl") == mode
    assert mode_of(batch.folder / "unknown.csv") == mode
    state = modes_in(batch.folder / "_state")
    assert {name for name, mode in state.items() if mode not in (0o600, 0o700)} == set()


def test_the_file_of_a_result_is_for_its_owner_alone(
    connected: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    fetch_result(connected, context, tmp_path / "year" / "results")

    assert sorted(modes_in(tmp_path / "year").values()) == [0o600, 0o700, 0o700]


def test_output_mode_opens_the_file_of_a_result_and_the_folders_that_are_made(
    connected: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    fetch_result(connected, context, tmp_path / "year" / "results", output_mode=0o640)

    assert sorted(modes_in(tmp_path / "year").values()) == [0o640, 0o750, 0o750]


def test_the_rows_of_shards_are_for_their_owner_alone_and_the_index_is_as_output_mode_says(
    tmp_path: Path,
) -> None:
    references([{"first_name": "Ada"}], 1, folder=str(tmp_path / "shards"))
    write_index([written(tmp_path, "0")], str(tmp_path / "index"), mode=0o640)

    assert modes_in(tmp_path / "shards") == {"shards": 0o700, "shards/items.jsonl": 0o600}
    assert modes_in(tmp_path / "index") == {"index": 0o750, "index/index.json": 0o640}


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2775)

    write_whole(ObjectStoragePath(str(folder / "file")), b"")

    assert mode_of(folder) == 0o2775


def test_a_file_that_is_written_again_takes_the_mode_of_today(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    path.chmod(0o644)

    write_whole(ObjectStoragePath(str(path)), b"")

    assert mode_of(path) == 0o600
