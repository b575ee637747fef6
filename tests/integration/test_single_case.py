"""The example DAG on real Airflow: in one process, and on a scheduler with a triggerer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_workflows.results import read_result
from airflow_provider_workflows.sandbox import FAILING_DEFINITION, Sandbox
from tests.harness.local_airflow import LocalAirflow, RunningAirflow

from .conftest import EXAMPLE, MODES

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

TASKS = (
    "create_case",
    "create_parameters",
    "run_workflow",
    "wait_for_workflow",
    "get_result",
    "print_result",
)
PERSON = {"first_name": "Brunhilde", "last_name": "Kowalska-Iwanowa", "personal_number": "00211012345"}
STATUS_CALL = "GET /workflows/{workflowId}"


@pytest.fixture
def conf(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "person.json").write_text(json.dumps(PERSON))
    return {"person": str(tmp_path / "person.json"), "output": str(tmp_path / "results")}


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_dags_test_runs_the_flow_with_the_calls_that_it_needs(
    idle_airflow: LocalAirflow, sandbox_of_idle_airflow: Sandbox, conf: dict[str, str], mode: str
) -> None:
    sandbox_of_idle_airflow.counts.reset()

    run = idle_airflow.run_dag(f"{EXAMPLE}_{mode}", conf=conf)

    assert run.succeeded, run.output
    requests = dict(sandbox_of_idle_airflow.counts.requests)
    assert requests.pop(STATUS_CALL) >= 3
    assert requests == {
        "POST /auth/authorize": 1,
        "POST /cases": 1,
        "POST /parameters": 1,
        "POST /workflows/run": 1,
        "GET /workflows/{workflowId}/result": 1,
    }
    assert "'decision': 'PASS'" in run.output
    assert not [value for value in PERSON.values() if value in run.output]


def test_the_readme_s_dag_runs_as_it_stands(
    idle_airflow: LocalAirflow, sandbox_of_idle_airflow: Sandbox
) -> None:
    sandbox_of_idle_airflow.counts.reset()

    run = idle_airflow.run_dag("identity_check")

    assert run.succeeded, run.output
    assert list(sandbox_of_idle_airflow.counts.runs_per_case.values()) == [1]
    assert sandbox_of_idle_airflow.counts.requests["GET /workflows/{workflowId}/result"] == 1


@pytest.mark.parametrize("mode", MODES)
class TestOnAScheduler:
    def test_the_flow_succeeds(
        self, running_airflow: RunningAirflow, airflow_sandbox: Sandbox, conf: dict[str, str], mode: str
    ) -> None:
        dag_id = f"{EXAMPLE}_{mode}"

        run_id, state = running_airflow.run(dag_id, conf)

        assert state == "success", running_airflow.task_log(dag_id, run_id, "wait_for_workflow")
        assert running_airflow.task_states(dag_id, run_id) == dict.fromkeys(TASKS, "success")
        assert running_airflow.xcom(dag_id, run_id, "wait_for_workflow") == "COMPLETED"
        result = read_result(running_airflow.xcom(dag_id, run_id, "get_result"))
        assert result["decision"] == "PASS"
        assert result["partyDetails"]["personal"]["personalNumber"] == PERSON["personal_number"]
        case_id = running_airflow.xcom(dag_id, run_id, "create_case")
        assert airflow_sandbox.counts.runs_per_case[case_id] == 1
        for instance in running_airflow.task_instances(dag_id, run_id):
            for number in range(1, instance.try_number + 1):
                log = running_airflow.task_log(dag_id, run_id, instance.task_id, try_number=number)
                assert log
                assert not [value for value in PERSON.values() if value in log], instance.task_id
        instances = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        rendered = {
            task_id: running_airflow.call("GET", f"{instances}/{task_id}")["rendered_fields"]
            for task_id in TASKS
        }
        assert rendered["create_case"]["case"] == dict.fromkeys(PERSON, "***")
        assert not [value for value in PERSON.values() if value in str(rendered)]

    def test_a_failure_status_fails_the_task_and_says_which(
        self, running_airflow: RunningAirflow, mode: str
    ) -> None:
        dag_id = f"{EXAMPLE}_{mode}"

        run_id, state = running_airflow.run(dag_id, {"definition": FAILING_DEFINITION})

        assert state == "failed"
        states = running_airflow.task_states(dag_id, run_id)
        assert states["wait_for_workflow"] == "failed"
        assert states["get_result"] == "upstream_failed"
        assert "failure status FAILED" in running_airflow.task_log(dag_id, run_id, "wait_for_workflow")
