"""A batch in shards over mapped tasks, with scheduler, workers and triggerer."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.batch.sharding import read_index
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.harness.local_airflow import RunningAirflow

from .conftest import logs_of

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG_ID = "mapped_batch"
ROWS, SHARDS = 200, 4
#: Longer than it takes until the report of a wait is published for the first time.
WORKFLOW_SECONDS = 30.0
KEYS = [f"customer-{number}" for number in range(1, ROWS + 1)]


@dataclass(frozen=True)
class MappedBatch:
    airflow: RunningAirflow
    run_id: str
    folder: Path
    waiting: dict[int, dict[str, Any]]
    """The XCom ``workflow_report`` of each shard by its map index, read while its task was deferred."""
    state: str
    runs_per_case: Counter[str]
    """Of the cases that were run since the DAG run began."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(read_index(str(self.folder / "index.json")))


def _reports_while_waiting(airflow: RunningAirflow, run_id: str) -> dict[int, dict[str, Any]]:
    seen: dict[int, dict[str, Any]] = {}

    def all_seen() -> bool:
        for task in airflow.task_instances(DAG_ID, run_id):
            if task.task_id == "run" and task.state == "deferred":
                report = airflow.xcom(DAG_ID, run_id, "run", REPORT_KEY, map_index=task.map_index)
                if report is not None and report["phase"] == "waiting":
                    seen.setdefault(task.map_index, report)
        return len(seen) == SHARDS

    airflow.until(all_seen, 120, "the report of each shard while it waits")
    return seen


@pytest.fixture(scope="module")
def batch(
    running_airflow: RunningAirflow, airflow_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> MappedBatch:
    folder = tmp_path_factory.mktemp("mapped")
    with (folder / "cases.csv").open("w", newline="") as file:
        cases = csv.writer(file)
        cases.writerow(("key", "first_name", "personal_number"))
        cases.writerows((key, "Ada", f"84{number:09}") for number, key in enumerate(KEYS))
    before = airflow_sandbox.counts.runs_per_case
    conf = {
        "cases": str(folder / "cases.csv"),
        "output": str(folder / "output"),
        "definition": airflow_sandbox.define(seconds=WORKFLOW_SECONDS),
    }
    run_id = running_airflow.trigger(DAG_ID, conf)
    waiting = _reports_while_waiting(running_airflow, run_id)
    state = running_airflow.wait(DAG_ID, run_id, 300)
    assert state == "success", logs_of(running_airflow, DAG_ID, run_id)
    runs = airflow_sandbox.counts.runs_per_case - before
    return MappedBatch(running_airflow, run_id, folder / "output", waiting, state, runs)


def test_each_case_is_run_once(batch: MappedBatch) -> None:
    assert batch.state == "success"
    assert len(batch.runs_per_case) == ROWS
    assert set(batch.runs_per_case.values()) == {1}
    assert {row["case_id"] for row in batch.rows} == set(batch.runs_per_case)


def test_each_shard_writes_into_a_folder_of_its_own(batch: MappedBatch) -> None:
    written = sorted(
        str(path.relative_to(batch.folder)) for path in batch.folder.rglob("*") if "_state" not in path.parts
    )

    names = ("", "/results.jsonl", "/run_index.bin")
    expected = [f"{index:05}{name}" for index in range(SHARDS) for name in names]
    assert written == [*expected, "index.json"]


def test_the_rows_of_the_manifest_sum_up(batch: MappedBatch) -> None:
    index = json.loads((batch.folder / "index.json").read_text())

    assert [shard["rows"] for shard in index["shards"]] == [ROWS // SHARDS] * SHARDS
    assert index["rows"] == ROWS
    assert index["outcomes"] == {"succeeded": ROWS}


def test_all_rows_are_read_back_in_the_order_of_the_file(batch: MappedBatch) -> None:
    assert [(row["row"], row["key"]) for row in batch.rows] == list(enumerate(KEYS, 1))


def test_the_report_can_be_read_through_the_rest_api_while_a_shard_waits(batch: MappedBatch) -> None:
    for report in batch.waiting.values():
        assert report["rows"] == ROWS // SHARDS
        assert sum(report["outcomes"].values()) == ROWS // SHARDS
        assert report["outcomes"]["running"] > 0


def test_the_report_at_the_end_counts_every_row(batch: MappedBatch) -> None:
    for index in range(SHARDS):
        report = batch.airflow.xcom(DAG_ID, batch.run_id, "run", REPORT_KEY, map_index=index)

        assert report["phase"] == "ended"
        assert report["outcomes"] == {"succeeded": ROWS // SHARDS}
