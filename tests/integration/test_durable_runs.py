"""No run is submitted twice: the decision table, with real processes killed, counted at the service."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import pytest

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.harness.local_airflow import RunningAirflow, TaskInstance

from .conftest import ServiceClock

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1200)]

#: DAG, how its run ends, in which try, and how many runs the service then has seen of its case.
TABLE = [
    ("killed_after_id_waiting", "success", 2, 1),
    ("killed_after_id_deferrable", "success", 2, 1),
    ("killed_before_id", "failed", 2, 1),
    ("killed_before_id_resubmit", "success", 2, 2),
    ("killed_after_success", "success", 2, 1),
    ("failed_and_retried", "failed", 2, 2),
    ("failed_by_default", "failed", 1, 1),
    ("not_durable", "success", 2, 2),
]
#: Runs that a test clears: they are under way beside those of the table.
CLEARED_MEANWHILE = {"cleared_while_running": "running", "cleared_while_deferred": "deferred"}
CLEARED = ("cleared", "cleared_to_start_over", "cleared_while_starting", *CLEARED_MEANWHILE)
#: How long the runs take that are cleared while they go on, by the service's clock, which the test moves on.
SLOW_SECONDS = 1800.0
#: How long a busy machine may take to bring a task into a state, in seconds.
STATE_SECONDS = 300


@dataclass
class Run:
    dag_id: str
    run_id: str
    airflow: RunningAirflow

    @property
    def case_id(self) -> str:
        return str(self.airflow.xcom(self.dag_id, self.run_id, "case"))

    @property
    def task(self) -> TaskInstance:
        instances = self.airflow.task_instances(self.dag_id, self.run_id)
        return next(one for one in instances if one.task_id == "run")

    def wait(self) -> str:
        return self.airflow.wait(self.dag_id, self.run_id, 300)

    def clear(self) -> None:
        """Clear the task, whatever its state, and that of the case before it."""
        before = self.task.try_number
        self.airflow.clear_all(self.dag_id, self.run_id, ["case", "run"])
        self.airflow.until(lambda: self.task.try_number > before, STATE_SECONDS, "the next try")

    def log(self, try_number: int) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, "run", try_number=try_number)


@pytest.fixture(scope="module")
def runs(running_airflow: RunningAirflow, airflow_sandbox: Sandbox) -> dict[str, Run]:
    """A run of every DAG, all under way at once."""
    conf = {"slow": airflow_sandbox.define(seconds=SLOW_SECONDS)}
    return {
        name: Run(f"durable_{name}", running_airflow.trigger(f"durable_{name}", conf), running_airflow)
        for name in (*CLEARED, *(row[0] for row in TABLE))
    }


@pytest.fixture(scope="module", autouse=True)
def cleared_meanwhile(
    runs: dict[str, Run], running_airflow: RunningAirflow, service_clock: ServiceClock
) -> dict[str, str]:
    """The ids of the runs whose tasks were cleared while these runs went on, by the name of the DAG.

    The runs end once the tasks wait for them again.
    """

    def waited_for(name: str, try_number: int) -> str:
        run, state = runs[name], CLEARED_MEANWHILE[name]

        def found() -> str | None:
            task = run.task
            if (task.state, task.try_number) != (state, try_number):
                return None
            workflow_id: str | None = running_airflow.xcom(run.dag_id, run.run_id, "run", "workflow_id")
            return workflow_id

        return running_airflow.until(found, STATE_SECONDS, f"try {try_number} of a run whose task is {state}")

    first = {}
    for name in CLEARED_MEANWHILE:
        first[name] = waited_for(name, 1)
        runs[name].clear()
    for name in CLEARED_MEANWHILE:
        waited_for(name, 2)
    service_clock.move_on(SLOW_SECONDS)
    return first


@pytest.mark.parametrize(("name", "state", "tries", "submitted"), TABLE)
def test_every_row_of_the_decision_table_holds(
    runs: dict[str, Run], airflow_sandbox: Sandbox, name: str, state: str, tries: int, submitted: int
) -> None:
    run = runs[name]

    assert run.wait() == state, run.log(1)
    assert run.task.try_number == tries, run.log(tries)
    assert airflow_sandbox.counts.runs_per_case[run.case_id] == submitted


def test_an_unknown_outcome_names_case_and_definition_and_what_to_do(runs: dict[str, Run]) -> None:
    run = runs["killed_before_id"]
    run.wait()

    log = run.log(2)

    assert f"case {run.case_id}" in log
    assert f"definition {DEFINITION}" in log
    assert "dashboard" in log


def test_a_retry_says_that_it_goes_on_with_the_run_of_the_try_before(runs: dict[str, Run]) -> None:
    run = runs["killed_after_id_deferrable"]
    run.wait()

    assert "was submitted by an earlier try" in run.log(2)


def test_a_task_that_is_cleared_after_its_run_has_succeeded_returns_that_run_again(
    runs: dict[str, Run], running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    run = runs["cleared"]
    assert run.wait() == "success"
    first, case_id = running_airflow.xcom(run.dag_id, run.run_id, "run"), run.case_id

    run.clear()

    assert run.wait() == "success"
    assert running_airflow.xcom(run.dag_id, run.run_id, "run") == first
    assert run.case_id == case_id
    assert airflow_sandbox.counts.runs_per_case[case_id] == 1
    assert "Cleared: keeps 1, waits for 0, submits 0 anew" in run.log(2)


def test_a_task_that_is_cleared_to_start_over_does(
    runs: dict[str, Run], running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    run = runs["cleared_to_start_over"]
    assert run.wait() == "success"
    first = running_airflow.xcom(run.dag_id, run.run_id, "run")

    run.clear()

    assert run.wait() == "success"
    assert running_airflow.xcom(run.dag_id, run.run_id, "run") != first
    assert airflow_sandbox.counts.runs_per_case[run.case_id] == 2


def test_the_id_and_the_link_can_be_read_after_the_task_has_resumed(
    runs: dict[str, Run], running_airflow: RunningAirflow
) -> None:
    run = runs["killed_after_id_deferrable"]
    run.wait()

    workflow_id = running_airflow.xcom(run.dag_id, run.run_id, "run")
    links = running_airflow.call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/run/links")

    assert running_airflow.xcom(run.dag_id, run.run_id, "run", "workflow_id") == workflow_id
    page = f"/dags/{run.dag_id}/runs/{quote(run.run_id)}/tasks/run/plugin/workflow"
    assert links["extra_links"]["Workflow"].endswith(page)


@pytest.mark.parametrize("name", CLEARED_MEANWHILE)
def test_a_task_that_is_cleared_while_its_run_goes_on_waits_for_that_run(
    runs: dict[str, Run],
    cleared_meanwhile: dict[str, str],
    running_airflow: RunningAirflow,
    airflow_sandbox: Sandbox,
    name: str,
) -> None:
    run = runs[name]

    assert run.wait() == "success", run.log(2)

    assert running_airflow.xcom(run.dag_id, run.run_id, "run") == cleared_meanwhile[name]
    assert airflow_sandbox.counts.runs_per_case[run.case_id] == 1
    assert "Cleared: keeps 0, waits for 1, submits 0 anew" in run.log(2)


def test_a_task_that_is_cleared_while_its_run_is_being_started_goes_on_with_that_run(
    runs: dict[str, Run], running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    run = runs["cleared_while_starting"]
    running_airflow.until(
        lambda: run.task.state == "running" and airflow_sandbox.counts.runs_per_case[run.case_id],
        STATE_SECONDS,
        "a run that is being started",
    )

    run.clear()

    assert run.wait() == "success", run.log(2)
    assert airflow_sandbox.counts.runs_per_case[run.case_id] == 1
    assert "Airflow could not store its id. It is in Airflow's Variable workflows_handover_" in run.log(1)
    assert "whose id the try before has left" in run.log(2)
    variables = running_airflow.call("GET", "/variables")["variables"]
    assert not [one["key"] for one in variables if one["key"].startswith("workflows_handover_")]
