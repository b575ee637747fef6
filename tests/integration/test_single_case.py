"""The example DAG on real Airflow, on a scheduler with a triggerer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_workflows.results import read_result
from airflow_provider_workflows.sandbox import FAILING_DEFINITION, Sandbox
from tests.harness.local_airflow import RunningAirflow

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


def conf_in(folder: Path) -> dict[str, str]:
    (folder / "person.json").write_text(json.dumps(PERSON))
    return {"person": str(folder / "person.json"), "output": str(folder / "results")}


@pytest.fixture(scope="module")
def succeeding(running_airflow: RunningAirflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A run of the example for each mode of the sensor, by mode: all under way at once."""
    return {
        mode: running_airflow.trigger(f"{EXAMPLE}_{mode}", conf_in(tmp_path_factory.mktemp(mode)))
        for mode in MODES
    }


@pytest.fixture(scope="module")
def failing(running_airflow: RunningAirflow, succeeding: dict[str, str]) -> dict[str, str]:
    """A run whose workflow ends in a failure status for each mode of the sensor, by mode."""
    conf = {"definition": FAILING_DEFINITION}
    return {mode: running_airflow.trigger(f"{EXAMPLE}_{mode}", conf) for mode in MODES}


@pytest.mark.parametrize("mode", MODES)
class TestOnAScheduler:
    def test_the_flow_succeeds(
        self,
        running_airflow: RunningAirflow,
        airflow_sandbox: Sandbox,
        succeeding: dict[str, str],
        failing: dict[str, str],
        mode: str,
    ) -> None:
        dag_id, run_id = f"{EXAMPLE}_{mode}", succeeding[mode]

        state = running_airflow.wait(dag_id, run_id)

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
        self, running_airflow: RunningAirflow, failing: dict[str, str], mode: str
    ) -> None:
        dag_id, run_id = f"{EXAMPLE}_{mode}", failing[mode]

        state = running_airflow.wait(dag_id, run_id)

        assert state == "failed"
        states = running_airflow.task_states(dag_id, run_id)
        assert states["wait_for_workflow"] == "failed"
        assert states["get_result"] == "upstream_failed"
        assert "failure status FAILED" in running_airflow.task_log(dag_id, run_id, "wait_for_workflow")
