"""The main flow on whichever version of Airflow is installed here, counted at the service."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.airflow_internals.task_state import has_task_state_store
from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import LocalAirflow, RunningAirflow
from tests.versions.conftest import NOTIFIED

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

RUN_CALL = "POST /workflows/run"
ROWS = 20
#: How long the run takes whose end a webhook tells of: longer than it takes Airflow to defer the task.
NOTIFIED_RUN_SECONDS = 12.0
#: By polls alone the wait for it would take five minutes.
WEBHOOK_SECONDS = 90.0
WITH_WEBHOOKS = ("flow_with_webhook", "flow_of_batch_with_webhooks")
FLOWS = (
    *WITH_WEBHOOKS,
    "flow_with_kill",
    "flow_that_fails",
    "flow_of_batch",
    "flow_in_triggerer",
    "flow_with_sensors",
    "flow_on_worker",
)


@dataclass
class Flow:
    """A run of a DAG.

    :param dag_id: the DAG
    :param run_id: the run
    :param case_id: the case that its workflow runs for
    :param output: where it writes to
    :param airflow: where it runs
    :param sandbox: the service
    """

    dag_id: str
    run_id: str
    case_id: str
    output: Path
    airflow: RunningAirflow
    sandbox: Sandbox

    def ends(self, seconds: float = 300.0) -> str:
        return self.airflow.wait(self.dag_id, self.run_id, seconds)

    def logs(self) -> str:
        return "\n".join(
            self.airflow.task_log(self.dag_id, self.run_id, task.task_id, try_number=max(task.try_number, 1))
            for task in self.airflow.task_instances(self.dag_id, self.run_id)
            if task.state == "failed"
        )

    @property
    def runs(self) -> int:
        """How many runs the service has seen of the case."""
        return self.sandbox.counts.runs_per_case[self.case_id]

    def xcom(self, task_id: str) -> Any:
        return self.airflow.xcom(self.dag_id, self.run_id, task_id)

    @property
    def decision(self) -> object:
        """What the result says that was fetched."""
        return self.xcom("result")["decision"]


@pytest.fixture(scope="module")
def flows(
    running_airflow: RunningAirflow, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Flow]:
    """A run of each DAG, all under way at once."""
    begun = {}
    quick = sandbox.define(seconds=2.0, result={"decision": "PASS"})
    slow = sandbox.define(seconds=NOTIFIED_RUN_SECONDS)
    for dag_id in FLOWS:
        with sandbox.client() as client:
            case_id = client.create_case().case_id
        is_notified = dag_id in WITH_WEBHOOKS
        output = tmp_path_factory.mktemp(dag_id)
        conf = {
            "definition": slow if is_notified else quick,
            "case_id": case_id,
            "output": str(output),
            "connection": NOTIFIED if is_notified else "workflows_default",
        }
        run_id = running_airflow.trigger(dag_id, conf)
        begun[dag_id] = Flow(dag_id, run_id, case_id, output, running_airflow, sandbox)
    return begun


@pytest.mark.flow("case, parameters, run and result on the worker")
def test_a_task_that_waits_on_its_worker_returns_the_run_whose_result_is_fetched(
    flows: dict[str, Flow],
) -> None:
    flow = flows["flow_on_worker"]

    assert flow.ends() == "success", flow.logs()
    assert flow.decision == "PASS"


@pytest.mark.flow("run in the triggerer")
def test_a_wait_in_the_triggerer_ends_and_the_task_goes_on(flows: dict[str, Flow]) -> None:
    flow = flows["flow_in_triggerer"]

    assert flow.ends() == "success", flow.logs()
    assert (flow.runs, flow.decision) == (1, "PASS")


@pytest.mark.flow("sensor that pokes, reschedules and defers")
def test_a_sensor_sees_the_end_of_a_run_in_each_of_its_modes(flows: dict[str, Flow]) -> None:
    flow = flows["flow_with_sensors"]

    assert flow.ends() == "success", flow.logs()
    assert [flow.xcom(mode) for mode in ("poke", "reschedule", "defer")] == ["COMPLETED"] * 3


def require_each_row_once(flow: Flow) -> None:
    rows = [json.loads(line) for file in flow.output.rglob("results.jsonl") for line in file.open()]
    assert [row["outcome"] for row in rows] == ["succeeded"] * ROWS
    assert len({row["case_id"] for row in rows}) == ROWS
    assert all(flow.sandbox.counts.runs_per_case[row["case_id"]] == 1 for row in rows)


@pytest.mark.flow("batch")
def test_a_batch_runs_each_of_its_rows_once(flows: dict[str, Flow]) -> None:
    flow = flows["flow_of_batch"]

    assert flow.ends() == "success", flow.logs()
    require_each_row_once(flow)


@pytest.mark.flow("page of a batch")
def test_the_page_of_a_batch_shows_its_rows(flows: dict[str, Flow]) -> None:
    flow = flows["flow_of_batch"]
    flow.ends()

    task = {"dag_id": flow.dag_id, "run_id": flow.run_id, "task_id": "run", "map_index": -1}
    data = flow.airflow.page_data("task", **task)

    assert data["report"]["rows"] == ROWS


@pytest.mark.flow("batch with webhooks")
def test_webhooks_end_the_wait_of_a_batch_whose_next_poll_is_minutes_away(flows: dict[str, Flow]) -> None:
    flow = flows["flow_of_batch_with_webhooks"]

    assert flow.ends(WEBHOOK_SECONDS) == "success", flow.logs()
    require_each_row_once(flow)


@pytest.mark.flow("webhook")
def test_a_webhook_resumes_a_task_whose_next_poll_is_minutes_away(flows: dict[str, Flow]) -> None:
    flow = flows["flow_with_webhook"]

    assert flow.ends(WEBHOOK_SECONDS) == "success", flow.logs()
    assert flow.runs == 1


@pytest.mark.flow("kill")
def test_a_task_whose_process_is_killed_waits_for_the_run_that_it_has_started(flows: dict[str, Flow]) -> None:
    flow = flows["flow_with_kill"]

    assert flow.ends() == "success", flow.logs()
    assert flow.runs == 1


@pytest.mark.flow("clear")
def test_a_task_that_is_cleared_returns_the_run_that_has_succeeded(flows: dict[str, Flow]) -> None:
    flow = flows["flow_in_triggerer"]
    flow.ends()
    workflow_id = flow.xcom("run")

    flow.airflow.clear(flow.dag_id, flow.run_id, "run")

    deadline = time.monotonic() + 120
    while flow.airflow.run_state(flow.dag_id, flow.run_id) == "success" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert flow.ends() == "success", flow.logs()
    (run,) = [task for task in flow.airflow.task_instances(flow.dag_id, flow.run_id) if task.task_id == "run"]
    assert (run.try_number, flow.runs, flow.xcom("run")) == (2, 1, workflow_id)


def test_the_log_of_a_run_that_fails_names_buttons_only_where_they_can_be_pressed(
    flows: dict[str, Flow],
) -> None:
    flow = flows["flow_that_fails"]

    assert flow.ends() == "failed"

    log = flow.logs()
    assert ("press Repair" in log) is has_task_state_store()
    assert "clear the task" in log


@pytest.mark.flow("line at start-up")
def test_the_log_says_in_one_line_what_this_airflow_lacks(
    running_airflow: RunningAirflow, local_airflow: LocalAirflow
) -> None:
    from airflow_provider_workflows.airflow_internals.versions import lacking  # noqa: PLC0415

    log = (local_airflow.home / "standalone.log").read_text(errors="replace")

    assert ("airflow-provider-workflows runs on Airflow" in log) is bool(lacking())
    assert "differs from those that it was tested with" not in log
