"""No run is submitted twice: the decision table, with real processes killed, counted at the service."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.harness.local_airflow import RunningAirflow, TaskInstance

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

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
    ("cleared", "success", 1, 1),
]


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

    def log(self, try_number: int) -> str:
        return self.airflow.task_log(self.dag_id, self.run_id, "run", try_number=try_number)


@pytest.fixture(scope="module")
def runs(running_airflow: RunningAirflow) -> dict[str, Run]:
    """A run of every row's DAG, all under way at once."""
    return {
        name: Run(f"durable_{name}", running_airflow.trigger(f"durable_{name}"), running_airflow)
        for name, *_ in TABLE
    }


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


def test_a_task_that_is_cleared_starts_over(
    runs: dict[str, Run], running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    run = runs["cleared"]
    assert run.wait() == "success"
    first = running_airflow.xcom(run.dag_id, run.run_id, "run")

    running_airflow.call(
        "POST",
        f"/dags/{run.dag_id}/clearTaskInstances",
        {"dry_run": False, "only_failed": False, "dag_run_id": run.run_id, "task_ids": ["run"]},
    )
    running_airflow.until(lambda: run.task.try_number == 2, 60, "the second try")

    assert run.wait() == "success"
    assert running_airflow.xcom(run.dag_id, run.run_id, "run") != first
    assert airflow_sandbox.counts.runs_per_case[run.case_id] == 2


def test_the_id_and_the_link_can_be_read_after_the_task_has_resumed(
    runs: dict[str, Run], running_airflow: RunningAirflow, airflow_sandbox: Sandbox
) -> None:
    run = runs["killed_after_id_deferrable"]
    run.wait()

    workflow_id = running_airflow.xcom(run.dag_id, run.run_id, "run")
    links = running_airflow.call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/run/links")

    assert running_airflow.xcom(run.dag_id, run.run_id, "run", "workflow_id") == workflow_id
    assert links["extra_links"] == {"Workflow": f"{airflow_sandbox.url}/workflows/{workflow_id}"}
