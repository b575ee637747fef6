"""The decorators on a running Airflow: mapped, deferred, killed and cleared, counted at the service."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import LocalAirflow, RunningAirflow

from .conftest import logs_of

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG_ID, KILLED = "taskflow", "taskflow_killed"
EVERYBODY = ("Ada", "Bea", "Cleo")


def runs_of(sandbox: Sandbox, run_id: str) -> Counter[tuple[str, str]]:
    """Return how many runs of workflows a run of a DAG has started, by the names of the person."""
    people = (workflow.case["partyDetails"]["personal"] for workflow in sandbox.workflows)
    return Counter(
        (person["firstName"], person["lastName"].removeprefix(f"{run_id}-"))
        for person in people
        if person.get("lastName", "").startswith(f"{run_id}-")
    )


def tries_of(airflow: RunningAirflow, run_id: str) -> dict[str, int]:
    """Return the number of the latest try of each task, of mapped ones that of any."""
    return {one.task_id: one.try_number for one in airflow.task_instances(DAG_ID, run_id)}


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"output": str(tmp_path_factory.mktemp("taskflow"))}


@pytest.fixture(scope="module")
def killed(running_airflow: RunningAirflow, conf: dict[str, str]) -> str:
    """A run of the DAG whose tasks are killed, which goes on beside the others."""
    return running_airflow.trigger(KILLED, conf)


@pytest.fixture(scope="module")
def done(running_airflow: RunningAirflow, conf: dict[str, str], killed: str) -> str:
    """A run of the DAG, which has succeeded."""
    run_id = running_airflow.trigger(DAG_ID, conf)
    assert running_airflow.wait(DAG_ID, run_id, 300) == "success", logs_of(running_airflow, DAG_ID, run_id)
    return run_id


def test_each_case_is_run_once(airflow_sandbox: Sandbox, done: str) -> None:
    expected = {(name, "batch"): 1 for name in EVERYBODY}
    expected |= {("Ada", "0"): 1, **{(name, "1"): 2 for name in EVERYBODY}}

    assert runs_of(airflow_sandbox, done) == expected


def test_the_rows_that_the_function_returned_are_in_the_output(
    running_airflow: RunningAirflow, done: str
) -> None:
    summary = running_airflow.xcom(DAG_ID, done, "batch")

    assert [row["key"] for row in read_output(summary["output"])] == list(EVERYBODY)


def test_no_argument_shows_in_the_view_of_rendered_templates(
    running_airflow: RunningAirflow, done: str
) -> None:
    found = running_airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{done}/taskInstances/batch")

    fields = found["rendered_fields"]
    assert fields["op_args"] == ["***"]
    assert not [name for name in EVERYBODY if name in json.dumps(fields)]


def test_tasks_that_are_cleared_keep_what_they_have(
    running_airflow: RunningAirflow, airflow_sandbox: Sandbox, done: str
) -> None:
    before = runs_of(airflow_sandbox, done)
    first = running_airflow.xcom(DAG_ID, done, "single")
    tries = tries_of(running_airflow, done)

    running_airflow.clear_all(DAG_ID, done, ["batch", "single"])

    assert running_airflow.wait(DAG_ID, done, 300) == "success", logs_of(running_airflow, DAG_ID, done)
    assert runs_of(airflow_sandbox, done) == before
    assert running_airflow.xcom(DAG_ID, done, "single") == first
    assert all(tries_of(running_airflow, done)[name] > tries[name] for name in ("batch", "single"))


def test_tasks_that_are_killed_once_all_is_submitted_submit_nothing_again(
    running_airflow: RunningAirflow, airflow_sandbox: Sandbox, killed: str
) -> None:
    assert running_airflow.wait(KILLED, killed, 300) == "success", logs_of(running_airflow, KILLED, killed)

    tries = {one.task_id: one.try_number for one in running_airflow.task_instances(KILLED, killed)}
    assert all(tries[name] >= 2 for name in ("run_once", "batch_once"))
    assert runs_of(airflow_sandbox, killed) == {("Ada", "0"): 2, ("Bea", "0"): 1, ("Cleo", "0"): 1}


@pytest.mark.slow
def test_dags_test_runs_them_in_one_process(
    idle_airflow: LocalAirflow, sandbox_of_idle_airflow: Sandbox, tmp_path: Path
) -> None:
    before = len(sandbox_of_idle_airflow.workflows)

    run = idle_airflow.run_dag(DAG_ID, conf={"output": str(tmp_path)})

    assert run.succeeded, run.output
    assert len(sandbox_of_idle_airflow.workflows) - before == 10
