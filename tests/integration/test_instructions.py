"""What the buttons of a batch's page have its task do, on a real Airflow, counted at the service."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY, Action, Instruction
from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import RunningAirflow, TaskInstance

# The browser tests press the same buttons in less time.
pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

DAG_ID = "instructed_batches"
FEW_ROWS, MANY_ROWS = 4, 200


@dataclass
class Batches:
    """The two batches of a run, and a person who presses their buttons."""

    airflow: RunningAirflow
    sandbox: Sandbox
    run_id: str
    definition_id: str

    def task(self, name: str) -> TaskInstance:
        return next(one for one in self.airflow.task_instances(DAG_ID, self.run_id) if one.task_id == name)

    def press(self, name: str, action: Action, **chosen: Any) -> None:
        """Do what a button does: leave an instruction, and clear the task unless it is to stop."""
        before = self.task(name).try_number
        instruction = Instruction(f"{name} {before}", action, time.time(), "ada", **chosen)
        self.airflow.call(
            "PUT",
            f"/dags/{DAG_ID}/dagRuns/{self.run_id}/taskInstances/{name}/state-store/{INSTRUCTION_KEY}",
            {"value": instruction.to_json()},
            map_index=-1,
        )
        if action is not Action.STOP:
            self.airflow.clear(DAG_ID, self.run_id, name)
            self.airflow.until(lambda: self.task(name).try_number > before, 120, "the next try")

    def wait(self, name: str) -> str:
        def ended() -> str | None:
            state = self.task(name).state
            return state if state in ("success", "failed") else None

        return self.airflow.until(ended, 300, f"the end of {name}")

    def runs(self, name: str) -> Counter[str]:
        """Return the number of runs of each person of a batch."""
        # Other tests share the sandbox; the people of some have no first name.
        people = [one.case["partyDetails"].get("personal", {}) for one in self.sandbox.workflows]
        names = [person.get("firstName", "") for person in people]
        return Counter(each for each in names if each.startswith(name))

    def log(self, name: str, try_number: int) -> str:
        return self.airflow.task_log(DAG_ID, self.run_id, name, try_number=try_number)


@pytest.fixture(scope="module")
def batches(
    running_airflow: RunningAirflow,
    airflow_sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Batches:
    """A run in which the few rows of one batch fail, and the many rows of the other go on."""
    folder = tmp_path_factory.mktemp("instructed")
    for name, rows in {"resubmitted": FEW_ROWS, "stopped": MANY_ROWS}.items():
        write(folder / f"{name}.jsonl", [{"first_name": f"{name}{row}"} for row in range(1, rows + 1)])
    definition_id = airflow_sandbox.define(seconds=0.1, status="FAILED")
    run_id = running_airflow.trigger(DAG_ID, {"folder": str(folder), "definition": definition_id})
    return Batches(running_airflow, airflow_sandbox, run_id, definition_id)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def people(name: str, counts: Callable[[int], int], rows: int) -> dict[str, int]:
    return {f"{name}{row}": counts(row) for row in range(1, rows + 1)}


def test_stop_lets_no_new_row_begin_and_a_clear_submits_the_rest(batches: Batches) -> None:
    batches.airflow.until(lambda: sum(batches.runs("stopped").values()) >= 10, 180, "some runs")
    batches.sandbox.define(batches.definition_id, seconds=0.1)

    batches.press("stopped", Action.STOP)

    assert batches.wait("stopped") == "failed"
    task, runs = batches.task("stopped"), sum(batches.runs("stopped").values())
    assert (task.try_number, runs < MANY_ROWS) == (1, True), batches.log("stopped", 1)
    log = batches.log("stopped", 1)
    assert "ada has stopped the submission" in log
    assert "because a person said so: the next clear submits the rest" in log
    batches.airflow.clear(DAG_ID, batches.run_id, "stopped")
    batches.airflow.until(lambda: batches.task("stopped").try_number > 1, 120, "the next try")
    assert batches.wait("stopped") == "success"
    again = sum(number - 1 for number in batches.runs("stopped").values())
    # Those that had failed before the definition was corrected.
    assert again <= runs
    assert len(batches.runs("stopped")) == MANY_ROWS


def test_resubmit_and_repair_submit_what_was_asked_for_once(batches: Batches) -> None:
    name = "resubmitted"
    assert batches.wait(name) == "failed"
    batches.sandbox.define(batches.definition_id, seconds=0.1)

    batches.press(name, Action.RESUBMIT, rows="2-3")

    assert batches.wait(name) == "failed", batches.log(name, 2)
    assert batches.runs(name) == people(name, lambda row: 2 if row in (2, 3) else 1, FEW_ROWS)
    assert "resubmit of rows 2-3, for which ada has asked" in batches.log(name, 2)

    batches.press(name, Action.REPAIR)

    assert batches.wait(name) == "success", batches.log(name, 3)
    assert batches.runs(name) == people(name, lambda _: 2, FEW_ROWS)

    batches.airflow.clear(DAG_ID, batches.run_id, name)
    batches.airflow.until(lambda: batches.task(name).try_number == 4, 120, "the next try")

    assert batches.wait(name) == "success", batches.log(name, 4)
    assert batches.runs(name) == people(name, lambda _: 2, FEW_ROWS)
