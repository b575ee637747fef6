"""What a task with a single run reports while a worker waits, and when an exception of another package ends it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows import run_report as run_report_module
from airflow_provider_workflows.api import client as client_module
from airflow_provider_workflows.operators import run as run_module
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.run_report import RunOutcome, RunReport
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from airflow_provider_workflows.xcom_keys import REPORT_KEY, WORKFLOW_ID_KEY

SECRET = "Kowalska 90051412345"
OFTEN = {"poll_interval": 0.02, "max_poll_interval": 0.02, "deferrable": False}


@pytest.fixture(autouse=True)
def connection(connected: Sandbox, short_pauses: None) -> None:
    """Lead the connection to the sandbox."""


@pytest.fixture
def reports(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[RunReport]:
    """The reports that the task writes, as often as it may."""
    monkeypatch.setattr(run_report_module, "MIN_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(run_report_module, "MAX_REPORT_SECONDS", 0.0)
    written: list[RunReport] = []
    push = context["ti"].xcom_push

    def noting(key: str, value: Any) -> None:
        if key == REPORT_KEY:
            written.append(RunReport.from_json(value))
        push(key, value)

    monkeypatch.setattr(context["ti"], "xcom_push", noting)
    return written


def operator(sandbox: Sandbox, seconds: float = 0.0, **arguments: Any) -> RunWorkflowOperator:
    with sandbox.client() as client:
        case_id = client.create_case().case_id
    definition = sandbox.define(seconds=seconds)
    return RunWorkflowOperator(
        task_id="run", workflow_definition_id=definition, case_id=case_id, **OFTEN, **arguments
    )


def sensor(sandbox: Sandbox, seconds: float = 0.0, **arguments: Any) -> WorkflowStatusSensor:
    with sandbox.client() as client:
        workflow_id = client.run_workflow(sandbox.define(seconds=seconds), client.create_case().case_id).id
    return WorkflowStatusSensor(task_id="wait", workflow_id=workflow_id, **{**OFTEN, **arguments})


class TestWhileAWorkerWaits:
    @pytest.mark.thorough
    @pytest.mark.parametrize("make", [operator, sensor])
    def test_each_report_has_the_polls_and_the_next_one(
        self, make: Any, sandbox: Sandbox, context: dict[str, Any], reports: list[RunReport]
    ) -> None:
        arguments = {"wait_for_completion": True} if make is operator else {"mode": "poke"}

        make(sandbox, 0.15, **arguments).execute(context)

        waiting = [report for report in reports if report.polls and report.outcome is RunOutcome.RUNNING]
        assert [report.polls for report in waiting[:3]] == [1, 2, 3]
        for report in waiting:
            assert report.last_poll_at is not None
            assert report.next_poll_at is not None
            assert report.next_poll_at == pytest.approx(report.last_poll_at + 0.02, abs=0.02)
        assert reports[-1].next_poll_at is None

    def test_the_next_poll_of_a_sensor_is_made_when_it_was_reported(
        self, sandbox: Sandbox, context: dict[str, Any], reports: list[RunReport]
    ) -> None:
        waiting = sensor(sandbox, 600, poll_interval=100, max_poll_interval=100)

        waiting.poke(context)  # type: ignore[arg-type]

        due = reports[-1].next_poll_at
        assert due is not None
        assert waiting.seconds_until_next_poke() == pytest.approx(due - reports[-1].at, abs=1)

    def test_what_a_sensor_has_met_is_forgotten_once_it_goes_on(
        self, sandbox: Sandbox, context: dict[str, Any], reports: list[RunReport]
    ) -> None:
        sandbox.fault("forbidden", path="/workflows/{workflowId}", times=1)

        sensor(sandbox, 0.1, silent_fail=True).execute(context)  # type: ignore[arg-type]

        assert [report.error is None for report in reports][:1] == [False]
        assert reports[-1].error is None


class TestAnotherPackagesException:
    def test_an_operator_reports_it_and_says_at_what_cost_to_go_on(
        self,
        sandbox: Sandbox,
        context: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def fail(*_: object) -> None:
            raise TypeError(SECRET)

        monkeypatch.setattr(run_module, "poll_until_done", lambda *_, **__: fail())
        run = operator(sandbox, 600, wait_for_completion=True)

        with pytest.raises(TypeError):
            run.execute(context)  # type: ignore[arg-type]

        report = RunReport.from_json(context["ti"].xcoms[REPORT_KEY])
        assert report.outcome is RunOutcome.RUNNING
        assert (report.error or {})["type"] == "TypeError"
        block = str(run.try_end)
        assert "Try 1 has failed: the run goes on" in block
        assert "Error: TypeError" in block
        assert "waits for the run that there is" in block
        assert block in caplog.text + capsys.readouterr().out
        assert SECRET not in block + str(report)

    def test_one_in_the_midst_of_the_submission_leaves_the_outcome_unknown(
        self, sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = operator(sandbox)
        sent = client_module.WorkflowsClient.start_run

        def lose(self: Any, *given: Any) -> Any:
            sent(self, *given)
            raise MemoryError

        monkeypatch.setattr(client_module.WorkflowsClient, "start_run", lose)

        with pytest.raises(MemoryError):
            run.execute(context)  # type: ignore[arg-type]

        assert RunReport.from_json(context["ti"].xcoms[REPORT_KEY]).outcome is RunOutcome.UNKNOWN

    def test_one_after_the_submission_leaves_the_run_going_on(
        self, sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        push = context["ti"].xcom_push

        def fail_with_the_id(key: str, value: Any) -> None:
            if key == WORKFLOW_ID_KEY:
                raise ConnectionError
            push(key, value)

        monkeypatch.setattr(context["ti"], "xcom_push", fail_with_the_id)

        with pytest.raises(ConnectionError):
            operator(sandbox).execute(context)  # type: ignore[arg-type]

        report = RunReport.from_json(context["ti"].xcoms[REPORT_KEY])
        assert (report.outcome, report.workflow_id is None) == (RunOutcome.RUNNING, False)

    def test_a_sensor_reports_it(
        self, sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting = sensor(sandbox, 600)

        def fail(*_: object) -> None:
            raise TypeError(SECRET)

        monkeypatch.setattr(client_module.WorkflowsClient, "read_workflow", fail)

        with pytest.raises(TypeError):
            waiting.execute(context)  # type: ignore[arg-type]

        report = RunReport.from_json(context["ti"].xcoms[REPORT_KEY])
        assert (report.error or {})["type"] == "TypeError"
        assert SECRET not in str(report)
