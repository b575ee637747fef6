"""Tasks that wait for a run with an expiry: how long, and what becomes of one that is overdue."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_workflows.api import errors, expiry
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.run_report import RunOutcome, RunReport
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from tests.unit.operators.test_run_generations import Connect, connect
from tests.unit.operators.test_run_modes import OFTEN, drive

__all__ = ["connect"]

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferrable": {"deferrable": True},
}
each_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())


@pytest.fixture
def overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a run be overdue two days before its expiry."""
    monkeypatch.setattr(expiry, "EXPIRY_GRACE_SECONDS", -2 * 86400.0)


def started(sandbox: Sandbox, seconds: float = 600.0, generation: int = 3) -> str:
    with sandbox.client(api_generation=generation) as client:
        given: dict[str, Any] = (
            {"expires_at": timedelta(days=1)}
            if generation == 3
            else {"case_id": client.create_case().case_id}
        )
        return client.run_workflow(sandbox.define(seconds=seconds), **given).id


def end(sandbox: Sandbox, workflow_id: str) -> None:
    """Let a run that goes on complete now."""
    workflows = sandbox._service.workflows
    workflows[workflow_id] = dataclasses.replace(workflows[workflow_id], ends_at=0.0)


def sensor(workflow_id: str, **arguments: Any) -> WorkflowStatusSensor:
    return WorkflowStatusSensor(task_id="wait", workflow_id=workflow_id, **{**OFTEN, **arguments})


@pytest.mark.usefixtures("overdue")
class TestOverdueRun:
    @each_mode
    def test_ends_the_wait_of_a_sensor_of_any_generation(
        self, connect: Connect, context: dict[str, Any], mode: dict[str, Any]
    ) -> None:
        sandbox = connect(1)
        workflow_id = started(sandbox)

        with pytest.raises(AirflowFailException, match=r"is past its expiry .* still has the status RUNNING"):
            drive(lambda: sensor(workflow_id, **mode), context)

        report = RunReport.from_json(context["ti"].xcoms["workflow_report"])
        assert (report.outcome, report.status) == (RunOutcome.FAILED, "RUNNING")

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_fails_the_task_that_has_started_it(
        self, connect: Connect, context: dict[str, Any], deferrable: bool
    ) -> None:
        task = Task(connect(3), context, deferrable=deferrable)

        with pytest.raises(errors.WorkflowFailed, match="is past its expiry"):
            task.run()

        assert len(task.sandbox.workflows) == 1

    @pytest.mark.parametrize(
        ("has_completed", "runs"),
        [(True, 1), (False, 2)],
        ids=["kept where it has completed", "submitted anew"],
    )
    def test_is_polled_again_when_the_task_is_cleared(
        self, connect: Connect, context: dict[str, Any], has_completed: bool, runs: int
    ) -> None:
        task = Task(connect(3), context, deferrable=False)
        with pytest.raises(errors.WorkflowFailed):
            task.run()
        workflow_id = task.sandbox.workflows[0].id
        if has_completed:
            end(task.sandbox, workflow_id)
        task.sandbox.define(task.definition_id, seconds=0.0)

        context["ti"].clear()
        returned = task.run()

        assert (returned == workflow_id) is has_completed
        assert len(task.sandbox.workflows) == runs


def test_a_retry_waits_for_an_overdue_run_and_starts_none(
    connect: Connect, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(connect(3), context, deferrable=False, execution_timeout=timedelta(seconds=0.2))
    with pytest.raises(AirflowTaskTimeout):
        task.run()
    monkeypatch.setattr(expiry, "EXPIRY_GRACE_SECONDS", -2 * 86400.0)

    with pytest.raises(errors.WorkflowFailed, match="is past its expiry"):
        task.run()

    assert len(task.sandbox.workflows) == 1


class Task:
    """A task with a run that takes long, and has a day until its expiry."""

    def __init__(self, sandbox: Sandbox, context: dict[str, Any], **arguments: Any) -> None:
        self.sandbox = sandbox
        self.context = context
        self.definition_id = sandbox.define(seconds=600.0)
        self.arguments = arguments

    def operator(self) -> RunWorkflowOperator:
        return RunWorkflowOperator(
            task_id="run",
            workflow_definition_id=self.definition_id,
            expires_at=timedelta(days=1),
            wait_for_completion=True,
            **OFTEN,  # type: ignore[arg-type]
            **self.arguments,
        )

    def run(self) -> Any:
        return drive(self.operator, self.context)


@pytest.fixture
def short_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Airflow's default timeout of sensors be over at once."""
    monkeypatch.setenv("AIRFLOW__SENSORS__DEFAULT_TIMEOUT", "0.05")


@pytest.mark.usefixtures("short_default")
class TestTimeoutOfASensor:
    @each_mode
    def test_is_the_expiry_where_none_is_given(
        self, connect: Connect, context: dict[str, Any], mode: dict[str, Any]
    ) -> None:
        workflow_id = started(connect(3), seconds=0.12)

        assert drive(lambda: sensor(workflow_id, **mode), context) == "COMPLETED"

    @each_mode
    def test_is_airflow_s_default_for_a_run_without_an_expiry(
        self, connect: Connect, context: dict[str, Any], mode: dict[str, Any]
    ) -> None:
        workflow_id = started(connect(1), generation=1)

        with pytest.raises(AirflowSensorTimeout):
            drive(lambda: sensor(workflow_id, **mode), context)

    @each_mode
    def test_is_the_one_that_is_given(
        self, connect: Connect, context: dict[str, Any], mode: dict[str, Any]
    ) -> None:
        workflow_id = started(connect(3))

        with pytest.raises(AirflowSensorTimeout):
            drive(lambda: sensor(workflow_id, timeout=0.1, **mode), context)


def test_the_trigger_knows_the_expiry_of_the_run_and_that_its_polls_may_slow_down(
    connect: Connect, context: dict[str, Any]
) -> None:
    connect(3)
    task = RunWorkflowOperator(
        task_id="run",
        workflow_definition_id=connect(3).define(seconds=600.0),
        expires_at=timedelta(days=20),
        wait_for_completion=True,
        deferrable=True,
    )

    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)  # type: ignore[arg-type]

    fields = json.loads(json.dumps(deferred.value.trigger.serialize()[1]))
    expected = datetime.now(timezone.utc) + timedelta(days=20)
    assert fields["expires_at"] == pytest.approx(expected.timestamp(), abs=60)
    assert (fields["slows_down"], fields["deadline"]) == (True, None)
