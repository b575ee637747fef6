"""A batch of thousands of rows, with faults of every kind, its worker killed four times and its triggerer twice."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.stack import Stack

from .conftest import StartStack
from .test_many_runs import FAULTS

# The short chaos run of `make test` does most of this too.
pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]

DAG_ID = "killed_batch"
#: `make test-all` has 10,000 (STACK_ROWS): fewer show the same, in less time.
ROWS = int(os.environ.get("STACK_ROWS", "3000"))
RETURNING = ROWS // 10
CONCURRENCY = 32
#: Values that are found wherever they show.
NAME, NUMBER = "Brunhilde", "84"
SHARE_OF_FAULTS = 0.05
#: A refusal makes all calls wait, half a second or more: so these are fewer, for the time's sake.
SHARE_OF_REFUSALS = 0.0005
WORKER_KILLS_WHILE_SUBMITTING = 3
CUT_OFF = "The task was cut off while it submitted this row"


@dataclass
class Batch:
    """What is left when all is over."""

    stack: Stack
    sandbox: Sandbox
    run_id: str
    state: str
    folder: Path
    rows: list[dict[str, Any]]

    def of(self, outcome: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["outcome"] == outcome]

    @property
    def tries(self) -> int:
        ((tries,),) = self.stack.sql(
            "SELECT try_number FROM task_instance WHERE run_id = :run", run=self.run_id
        )
        return int(str(tries))

    @property
    def logs(self) -> str:
        tries = range(1, self.tries + 1)
        return "".join(
            self.stack.running.task_log(DAG_ID, self.run_id, "run", try_number=number) for number in tries
        )


def _write_items(path: Path, sandbox: Sandbox) -> None:
    with sandbox.client() as client:
        returning = [client.create_case().case_id for _ in range(RETURNING)]
    with path.open("w") as file:
        for number in range(1, ROWS + 1):
            if number % (ROWS // RETURNING) == 0:
                row: dict[str, Any] = {"key": f"key-{number}", "case_id": returning.pop()}
            else:
                person = {"first_name": f"{NAME}{number}", "personal_number": f"{NUMBER}{number:09}"}
                row = {"key": f"key-{number}", **person}
            file.write(json.dumps(row) + "\n")


def _holders(stack: Stack) -> list[str]:
    return [name for name in stack.triggers() if name is not None]


def _kill_the_holder(stack: Stack) -> None:
    stack.running.until(lambda: bool(_holders(stack)), 120, "a triggerer to hold the trigger")
    victim = _holders(stack)[0]
    stack.kill(victim)
    stack.running.until(lambda: victim not in _holders(stack), 90, f"the trigger of {victim} to move")
    stack.start(victim)


@pytest.fixture(scope="module")
def batch(start_stack: StartStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    folder = tmp_path_factory.mktemp("batch")
    sooner = {
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    }
    with Sandbox() as sandbox, start_stack(sandbox, sooner, executor="LocalExecutor") as stack:
        _write_items(folder / "cases.jsonl", sandbox)
        definition_id = sandbox.define(seconds=(35.0, 55.0))
        for fault in FAULTS:
            refusal = fault["name"] == "rate_limited"
            sandbox.fault(**fault, share=SHARE_OF_REFUSALS if refusal else SHARE_OF_FAULTS / len(FAULTS))
        conf = {
            "cases": str(folder / "cases.jsonl"),
            "output": str(folder / "output"),
            "definition": definition_id,
            "rows": ROWS,
        }
        run_id = stack.running.trigger(DAG_ID, conf)
        for _ in range(2):
            _kill_the_holder(stack)
        state = stack.running.wait(DAG_ID, run_id, 600)
        output = folder / "output" / "results.jsonl"
        rows = list(read_output(str(output))) if output.exists() else []
        yield Batch(stack, sandbox, run_id, state, folder, rows)


def test_it_ends_well_in_spite_of_all(batch: Batch) -> None:
    assert batch.state == "success", batch.logs[-5000:]
    # One for each kill of the worker, and the one that was let live.
    assert batch.tries == WORKER_KILLS_WHILE_SUBMITTING + 2


def test_every_row_is_in_the_output_once_and_in_order(batch: Batch) -> None:
    assert [row["row"] for row in batch.rows] == list(range(1, ROWS + 1))
    assert [row["key"] for row in batch.rows] == [f"key-{number}" for number in range(1, ROWS + 1)]


def test_no_case_was_run_twice(batch: Batch) -> None:
    runs = batch.sandbox.counts.runs_per_case

    assert max(runs.values()) == 1
    assert {row["case_id"] for row in batch.rows if row["workflow_id"]} <= runs.keys()


def test_no_run_is_lost_but_those_of_which_nobody_can_know(batch: Batch) -> None:
    with_run = [row["workflow_id"] for row in batch.rows if row["workflow_id"]]

    assert len(set(with_run)) == len(with_run)
    unaccounted = sum(batch.sandbox.counts.runs_per_case.values()) - len(with_run)
    assert 0 <= unaccounted <= len(batch.of("unknown"))


def test_the_unknown_rows_are_those_in_flight_at_a_kill_and_those_whose_response_was_lost(
    batch: Batch,
) -> None:
    cut_off = [row for row in batch.of("unknown") if row["error"].startswith(CUT_OFF)]
    lost = [row for row in batch.of("unknown") if row not in cut_off]

    assert 0 < len(cut_off) <= WORKER_KILLS_WHILE_SUBMITTING * CONCURRENCY
    assert all("may or may not have been carried out" in row["error"] for row in lost)


def test_all_others_succeeded(batch: Batch) -> None:
    outcomes = Counter(row["outcome"] for row in batch.rows)

    assert outcomes.keys() <= {"succeeded", "unknown"}
    assert outcomes["succeeded"] + outcomes["unknown"] == ROWS
    assert all(row["result"]["caseId"] == row["case_id"] for row in batch.of("succeeded"))


def test_the_state_and_the_list_of_unknown_rows_are_left_beside_the_output(batch: Batch) -> None:
    left = {path.name for path in (batch.folder / "output").iterdir()}

    of_some = {"unknown.csv", "problem_rows.csv"}
    assert left - of_some == {"_state", "results.jsonl", "run_index.bin", "killed-while-writing"}
    assert ("unknown.csv" in left) is bool(batch.of("unknown"))


def test_no_personal_value_is_in_the_logs_or_the_database(batch: Batch) -> None:
    logs = batch.logs + "".join(batch.stack.log(name) for name in batch.stack.topology.components)
    tables = [
        "SELECT rendered_fields::text FROM rendered_task_instance_fields",
        "SELECT value::text FROM xcom",
        "SELECT value FROM task_state_store",
        "SELECT next_kwargs::text FROM task_instance",
    ]
    stored = "".join(str(row) for table in tables for row in batch.stack.sql(table))

    assert "Submitting" in logs
    assert '"phase"' in stored
    for text in (logs, stored):
        assert NAME not in text
        assert f"{NUMBER}000000" not in text
