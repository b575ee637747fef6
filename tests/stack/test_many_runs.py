"""Hundreds of runs at once on the stack, with what may happen to it happening."""

from __future__ import annotations

import collections
import os
from dataclasses import dataclass

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import RunningAirflow, TaskInstance

from .conftest import StartStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]

DAG_ID = "many_runs"
#: `make test-all` has 150 (STACK_RUNS): fewer show the same, in less time.
RUNS = int(os.environ.get("STACK_RUNS", "60"))
RUN_SECONDS = 900.0
#: How often the short runs are repeated; by hand three times, as often as it takes to trust them.
REPETITIONS = int(os.environ.get("STACK_REPETITIONS", "1"))

#: Every kind of fault that a service on its own account, or a network, can have: together one call in twenty.
FAULTS = [
    {"name": "latency", "seconds": 0.5},
    # Not of authorize, which would say that the key is wrong.
    {"name": "unauthorized", "path": "/workflows/{workflowId}"},
    {"name": "rate_limited"},
    {"name": "rate_limited", "retry_after": 1},
    {"name": "server_error", "status": 500},
    {"name": "server_error", "status": 502, "form": "html"},
    {"name": "server_error", "status": 503, "form": "empty"},
    {"name": "cut_before"},
    {"name": "cut_during"},
    {"name": "cut_after"},
    {"name": "truncated_json"},
    {"name": "html_ok"},
]
SHARE_OF_FAULTS = 0.05
WORKER_CONCURRENCY = 4
#: The share of 150 runs, of fewer as well: a killed worker cuts off as many of them, and chance weighs more.
MAX_UNKNOWN_RUNS = SHARE_OF_FAULTS * max(RUNS, 150)
#: What the log of a task says that failed because nobody knows whether its run was submitted.
UNKNOWN = ("may or may not have been carried out", "was cut off while it submitted")


@dataclass
class ManyRuns:
    """A DAG run of many workflow runs."""

    airflow: RunningAirflow
    run_id: str
    case_ids: list[str]

    @classmethod
    def start(
        cls, airflow: RunningAirflow, sandbox: Sandbox, definition_id: str, number: int = RUNS
    ) -> ManyRuns:
        with sandbox.client() as client:
            case_ids = [client.create_case().case_id for _ in range(number)]
        run_id = airflow.trigger(DAG_ID, {"case_ids": case_ids, "definition": definition_id})
        return cls(airflow, run_id, case_ids)

    @property
    def tasks(self) -> list[TaskInstance]:
        return [one for one in self.airflow.task_instances(DAG_ID, self.run_id) if one.task_id == "run"]

    def states(self) -> collections.Counter[str | None]:
        return collections.Counter(one.state for one in self.tasks)

    def wait(self) -> None:
        self.airflow.wait(DAG_ID, self.run_id, RUN_SECONDS)

    def log(self, task: TaskInstance) -> str:
        return self.airflow.task_log(
            DAG_ID, self.run_id, "run", try_number=task.try_number, map_index=task.map_index
        )


@pytest.mark.slow
def test_runs_that_end_right_after_they_were_deferred_succeed_with_airflow_s_default_settings(
    start_stack: StartStack,
) -> None:
    # The heartbeat that Airflow has by default, in place of the one that we recommend.
    default = {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5"}
    with Sandbox() as sandbox, start_stack(sandbox, default, worker_concurrency=WORKER_CONCURRENCY) as stack:
        definition_id = sandbox.define(seconds=1.0)
        for _ in range(REPETITIONS):
            runs = ManyRuns.start(stack.running, sandbox, definition_id)
            runs.wait()

            assert runs.states() == {"success": RUNS}
            assert {one.try_number for one in runs.tasks} == {1}
            assert [sandbox.counts.runs_per_case[case_id] for case_id in runs.case_ids] == [1] * RUNS


@pytest.mark.slow
def test_a_killed_triggerer_and_a_killed_worker_lose_and_double_nothing(start_stack: StartStack) -> None:
    # What a killed worker was at is noticed by its missing heartbeats: sooner than Airflow does by default.
    sooner = {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        # On a busy machine a task waits that long for its turn. Airflow queues it again twice, and then fails it
        # without a start, whatever its retries (17 of 150, with fifteen busy processes for each core).
        "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "100",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    }
    with Sandbox() as sandbox, start_stack(sandbox, sooner, worker_concurrency=WORKER_CONCURRENCY) as stack:
        definition_id = sandbox.define(seconds=(5.0, 45.0))
        runs = ManyRuns.start(stack.running, sandbox, definition_id)
        for fault in FAULTS:
            sandbox.fault(**fault, share=SHARE_OF_FAULTS / len(FAULTS))

        stack.running.until(lambda: runs.states()["deferred"] >= RUNS / 10, 300, "a tenth to be deferred")
        held = stack.triggers()
        triggerer = max((name for name in held if name is not None), key=lambda name: held[name])
        stack.kill(triggerer)
        stack.kill("worker-1")
        stack.running.until(
            lambda: not (stack.is_running(triggerer) or stack.is_running("worker-1")), 30, "both to be gone"
        )
        stack.start(triggerer)
        stack.start("worker-1")
        runs.wait()

        failed = [task for task in runs.tasks if task.state != "success"]
        unexplained = {
            task.map_index: log
            for task in failed
            if not any(words in (log := runs.log(task)) for words in UNKNOWN)
        }
        assert unexplained == {}
        assert len(failed) <= MAX_UNKNOWN_RUNS
        submitted = [sandbox.counts.runs_per_case[case_id] for case_id in runs.case_ids]
        assert max(submitted) == 1
        assert sum(submitted) >= RUNS - len(failed)
