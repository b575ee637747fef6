"""One contract for waiting, over the sensor and the operator, and over their modes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.airflow_internals.deferral import HEARTBEATS_BEFORE_EVENT, earliest_event
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY, run_records
from airflow_provider_workflows.operators.run_submission import Decision, decide
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy
from airflow_provider_workflows.run_report import RunOutcome, RunReport
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from tests.unit.tasks import TaskInstance, TaskStateStore, event_of, rescheduled

STATUS_CALL = "GET /workflows/{workflowId}"
RUN_CALL = "POST /workflows/run"
PAGE = "/dags/checks/runs/manual__2026-01-31/tasks/check/plugin/workflow"
OFTEN = {"poll_interval": 0.02, "max_poll_interval": 0.02}


@dataclass
class Waited:
    """What came of a task that waited."""

    result: Any
    workflow_id: str
    context: dict[str, Any]

    @property
    def report(self) -> RunReport:
        return RunReport.from_json(self.context["ti"].xcoms["workflow_report"])


def drive(make: Callable[[], BaseOperator], context: dict[str, Any]) -> Any:
    """Run a task to its end as Airflow does, in whichever way it waits."""
    while True:
        operator = make()
        try:
            return operator.execute(context)  # type: ignore[arg-type]
        except AirflowRescheduleException as again:
            rescheduled(context, again)
        except TaskDeferred as deferred:
            event = event_of(deferred)
            stored = {**(deferred.kwargs or {}), "event": event}
            return make().resume_execution(deferred.method_name, stored, context)  # type: ignore[arg-type]


class Subject:
    """A task that waits for a workflow of the sandbox."""

    failure: type[BaseException]

    def __init__(self, sandbox: Sandbox, context: dict[str, Any], **mode: Any) -> None:
        self.sandbox = sandbox
        self.context = context
        self.mode = mode


class Sensor(Subject):
    failure = AirflowFailException

    def wait(self, definition_id: str, **arguments: Any) -> Waited:
        with self.sandbox.client() as client:
            workflow_id = client.run_workflow(definition_id, client.create_case().case_id).id
        self.context["ti"].xcoms["workflow_id"] = workflow_id
        given = {"task_id": "wait", "workflow_id": workflow_id, **OFTEN, **self.mode, **arguments}
        result = drive(lambda: WorkflowStatusSensor(**given), self.context)
        assert result == "COMPLETED"
        return Waited(result, workflow_id, self.context)


class Operator(Subject):
    failure = errors.WorkflowFailed

    def wait(self, definition_id: str, **arguments: Any) -> Waited:
        with self.sandbox.client() as client:
            case_id = client.create_case().case_id
        given = {
            "task_id": "run",
            "workflow_definition_id": definition_id,
            "case_id": case_id,
            "wait_for_completion": True,
            **OFTEN,
            **self.mode,
            **arguments,
        }
        result = drive(lambda: RunWorkflowOperator(**given), self.context)
        assert self.sandbox.counts.runs_per_case[case_id] == 1
        return Waited(result, result, self.context)


@pytest.fixture(autouse=True)
def connection(connected: Sandbox, short_pauses: None) -> None:
    """Lead the connection to the sandbox."""


@pytest.fixture(
    params=[
        pytest.param((Sensor, {"deferrable": False, "mode": "poke"}), id="sensor-poke"),
        pytest.param((Sensor, {"deferrable": False, "mode": "reschedule"}), id="sensor-reschedule"),
        pytest.param((Sensor, {"deferrable": True}), id="sensor-deferrable"),
        pytest.param((Operator, {"deferrable": False}), id="operator-sync"),
        pytest.param((Operator, {"deferrable": True}), id="operator-deferrable"),
    ]
)
def subject(request: pytest.FixtureRequest, sandbox: Sandbox, context: dict[str, Any]) -> Any:
    kind, mode = request.param
    return kind(sandbox, context, **mode)


class TestContract:
    @pytest.mark.parametrize("seconds", [0.0, 0.08], ids=["ended", "running"])
    def test_success_leaves_the_id_and_the_link(self, subject: Any, sandbox: Sandbox, seconds: float) -> None:
        waited = subject.wait(sandbox.define(seconds=seconds))

        assert waited.context["ti"].xcoms.keys() == {"workflow_id", "workflow_link", "workflow_report"}
        assert waited.context["ti"].xcoms["workflow_id"] == waited.workflow_id
        assert waited.context["ti"].xcoms["workflow_link"].endswith(PAGE)

    @pytest.mark.parametrize("seconds", [0.0, 0.08], ids=["ended", "running"])
    def test_success_is_reported(self, subject: Any, sandbox: Sandbox, seconds: float) -> None:
        waited = subject.wait(sandbox.define(seconds=seconds))

        report = waited.report
        assert (report.workflow_id, report.outcome) == (waited.workflow_id, RunOutcome.SUCCEEDED)
        assert report.status == "COMPLETED"
        assert report.polls == sandbox.counts.requests[STATUS_CALL]
        assert report.ended_at is not None
        assert report.last_poll_at is not None
        assert report.dashboard_url is None
        assert report.error is None

    def test_a_failure_is_reported_with_its_words(self, subject: Any, sandbox: Sandbox) -> None:
        with pytest.raises(subject.failure):
            subject.wait(sandbox.define(seconds=0.0, status="EXPIRED"))

        report = RunReport.from_json(subject.context["ti"].xcoms["workflow_report"])
        assert (report.outcome, report.status) == (RunOutcome.FAILED, "EXPIRED")
        assert report.error is not None
        assert report.error["type"] == "WorkflowFailed"
        assert "EXPIRED" in report.error["message"]

    @pytest.mark.thorough
    def test_a_timeout_is_reported_as_a_run_that_goes_on(self, subject: Any, sandbox: Sandbox) -> None:
        with pytest.raises(AirflowTaskTimeout):
            subject.wait(sandbox.define(seconds=600), execution_timeout=timedelta(seconds=0.2))

        report = RunReport.from_json(subject.context["ti"].xcoms["workflow_report"])
        assert report.outcome is RunOutcome.RUNNING
        assert (report.error or {})["type"] == "DeadlineReached"

    @pytest.mark.parametrize("seconds", [0.0, 0.08], ids=["ended", "running"])
    def test_a_failure_status_is_raised_with_its_name(
        self, subject: Any, sandbox: Sandbox, seconds: float
    ) -> None:
        with pytest.raises(subject.failure, match="failure status TIMED_OUT"):
            subject.wait(sandbox.define(seconds=seconds, status="TIMED_OUT"))

    @pytest.mark.thorough
    def test_execution_timeout_ends_the_wait_and_says_that_the_workflow_goes_on(
        self, subject: Any, sandbox: Sandbox
    ) -> None:
        with pytest.raises(AirflowTaskTimeout, match="goes on") as raised:
            subject.wait(sandbox.define(seconds=600), execution_timeout=timedelta(seconds=0.2))

        assert subject.context["ti"].xcoms["workflow_id"] in str(raised.value)

    def test_a_blip_is_not_a_failure(self, subject: Any, sandbox: Sandbox) -> None:
        sandbox.fault("server_error", status=500, form="html", path="/workflows/{workflowId}", times=7)

        subject.wait(sandbox.define(seconds=0.08))

    @pytest.mark.thorough
    def test_an_outage_longer_than_the_budget_is_raised_as_it_is(
        self, subject: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        capped = sandbox.connection | {"extra": {"max_attempts": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(capped))
        sandbox.fault("server_error", status=500, path="/workflows/{workflowId}")

        with pytest.raises(errors.ServiceUnavailable) as raised:
            subject.wait(sandbox.define(seconds=0.0), max_outage=0.25)

        assert raised.value.fingerprint
        assert sandbox.counts.requests[STATUS_CALL] >= 3

    def test_a_permanent_refusal_is_raised_at_once(self, subject: Any, sandbox: Sandbox) -> None:
        sandbox.fault("forbidden", path="/workflows/{workflowId}")

        with pytest.raises(errors.PermissionDenied):
            subject.wait(sandbox.define(seconds=0.0))

        assert sandbox.counts.requests[STATUS_CALL] == 1

    def test_the_report_has_the_dashboard_s_page_where_the_connection_knows_it(
        self, subject: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_dashboard = sandbox.connection | {
            "extra": {"dashboard_url": "https://dashboard.example.org/runs/{workflow_id}/view"}
        }
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(with_dashboard))

        waited = subject.wait(sandbox.define(seconds=0.0))

        assert waited.report.dashboard_url == f"https://dashboard.example.org/runs/{waited.workflow_id}/view"
        assert waited.context["ti"].xcoms["workflow_link"].endswith(PAGE)

    @pytest.mark.parametrize("spelling", [str, str.upper], ids=["as it is", "in capitals"])
    def test_the_report_has_no_link_to_the_api_itself(
        self, subject: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, spelling: Any
    ) -> None:
        api = {"dashboard_url": f"{spelling(sandbox.url)}/workflows/{{workflow_id}}"}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(sandbox.connection | {"extra": api}))

        waited = subject.wait(sandbox.define(seconds=0.0))

        assert waited.report.dashboard_url is None


class TestDeferring:
    def test_a_task_whose_workflow_has_ended_does_not_defer(
        self, sandbox: Sandbox, context: dict[str, Any]
    ) -> None:
        operator = run_operator(sandbox, seconds=0.0, wait_for_completion=True, deferrable=True)

        assert operator.execute(context) == context["ti"].xcoms["workflow_id"]  # type: ignore[arg-type]

    def test_id_link_and_record_are_there_before_the_wait_begins(
        self, sandbox: Sandbox, context: dict[str, Any]
    ) -> None:
        operator = run_operator(sandbox, seconds=600, wait_for_completion=True, deferrable=True)

        with pytest.raises(TaskDeferred):
            operator.execute(context)  # type: ignore[arg-type]

        workflow_id = context["ti"].xcoms["workflow_id"]
        assert context["ti"].xcoms["workflow_link"].endswith(PAGE)
        report = RunReport.from_json(context["ti"].xcoms["workflow_report"])
        assert (report.workflow_id, report.outcome) == (workflow_id, RunOutcome.RUNNING)
        assert context["task_state_store"].get(RUN_KEY)["workflow_id"] == workflow_id

    def test_the_report_says_when_the_next_poll_is_due(
        self, sandbox: Sandbox, context: dict[str, Any]
    ) -> None:
        operator = run_operator(sandbox, seconds=600, wait_for_completion=True, deferrable=True)

        with pytest.raises(TaskDeferred):
            operator.execute(context)  # type: ignore[arg-type]

        report = RunReport.from_json(context["ti"].xcoms["workflow_report"])
        assert report.polls == 1
        assert report.status is not None
        assert report.last_poll_at is not None
        assert report.next_poll_at is not None
        assert report.next_poll_at > report.last_poll_at

    def test_a_failure_that_a_webhook_brings_is_reported_with_when_the_run_was_started(
        self, sandbox: Sandbox, context: dict[str, Any]
    ) -> None:
        operator = run_operator(sandbox, seconds=600, wait_for_completion=True, deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)  # type: ignore[arg-type]
        workflow_id = context["ti"].xcoms["workflow_id"]
        event = {"workflow_id": workflow_id, "status": "FAILED"}

        with pytest.raises(errors.WorkflowFailed):
            operator.resume_execution(deferred.value.method_name, {"event": event}, context)  # type: ignore[arg-type]

        report = RunReport.from_json(context["ti"].xcoms["workflow_report"])
        assert report.submitted_at == pytest.approx(report.ended_at, abs=60)
        assert (report.outcome, report.status) == (RunOutcome.FAILED, "FAILED")
        assert report.polls == sandbox.counts.requests[STATUS_CALL] == 1
        assert report.last_poll_at is not None

    def test_an_event_is_held_back_until_airflow_can_take_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert earliest_event(1000.0) == 1000.0 + HEARTBEATS_BEFORE_EVENT * 5

        monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "1")

        assert earliest_event(1000.0) == 1000.0 + HEARTBEATS_BEFORE_EVENT * 1

    def test_a_deferred_task_carries_the_wait_on(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        operator = run_operator(
            sandbox,
            seconds=600,
            wait_for_completion=True,
            deferrable=True,
            execution_timeout=timedelta(hours=1),
        )

        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)  # type: ignore[arg-type]

        trigger = deferred.value.trigger
        assert isinstance(trigger, WorkflowStatusTrigger)
        assert trigger.started is not None
        assert trigger.deadline == pytest.approx(trigger.started + 3600, abs=5)
        assert trigger.not_before == pytest.approx(trigger.started + 10, abs=5)


def run_operator(sandbox: Sandbox, **arguments: Any) -> RunWorkflowOperator:
    definition = {name: arguments.pop(name) for name in ("seconds", "status") if name in arguments}
    with sandbox.client() as client:
        case_id = client.create_case().case_id
    sandbox.counts.reset()
    return RunWorkflowOperator(
        task_id="run", workflow_definition_id=sandbox.define(**definition), case_id=case_id, **arguments
    )


#: What is stored of a run, but for its phase and its generation.
STORED_RUN = {
    "format": 1,
    "workflow_definition_id": "d",
    "case_id": "c",
    "workflow_id": "w",
    "started": 1.0,
}


class TestDurability:
    """What is written to Airflow when; the decision table with real kills is among the integration tests."""

    @pytest.mark.parametrize(
        ("record", "decision"),
        [
            (None, Decision.SUBMIT),
            ({"phase": "submitting", "clears": 1}, Decision.UNKNOWN),
            ({"phase": "submitted", "clears": 1}, Decision.REATTACH),
            ({"phase": "not_submitted", "clears": 1}, Decision.SUBMIT),
            ({"phase": "succeeded", "clears": 1}, Decision.KEEP),
            ({"phase": "failed", "clears": 1}, Decision.SUBMIT),
        ],
    )
    def test_decisions(
        self, context: dict[str, Any], record: dict[str, Any] | None, decision: Decision
    ) -> None:
        if record is not None:
            context["task_state_store"].set(RUN_KEY, STORED_RUN | record)

        assert decide(run_records(context).read()) is decision  # type: ignore[arg-type]

    def test_the_intent_is_written_before_the_post_and_the_id_after_it(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[tuple[str, int]] = []

        class Watched(TaskStateStore):
            def set(self, key: str, value: Any, *, retention: object = None) -> None:
                written.append((value["phase"], sandbox.counts.requests[RUN_CALL]))
                super().set(key, value, retention=retention)

        operator = run_operator(sandbox, seconds=0.0)

        operator.execute({"ti": TaskInstance(), "task_state_store": Watched()})  # type: ignore[typeddict-item, arg-type]

        assert written == [("submitting", 0), ("submitted", 1)]

    def test_a_refused_run_leaves_no_intent_behind(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        operator = run_operator(sandbox, seconds=0.0)
        sandbox.fault("forbidden", path="/workflows/run", times=1)

        with pytest.raises(errors.PermissionDenied):
            operator.execute(context)  # type: ignore[arg-type]
        operator.execute(context)  # type: ignore[arg-type]

        assert sum(sandbox.counts.runs_per_case.values()) == 1

    def test_a_report_has_nothing_that_stands_in_the_place_of_an_id(
        self, sandbox: Sandbox, context: dict[str, Any]
    ) -> None:
        operator = RunWorkflowOperator(
            task_id="run", workflow_definition_id="Kowalska", case_id="90051412345", parameters_id="Nowak"
        )

        with pytest.raises(errors.InvalidInput):
            operator.execute(context)  # type: ignore[arg-type]

        report = str(context["ti"].xcoms["workflow_report"])
        assert not [name for name in ("Kowalska", "90051412345", "Nowak") if name in report]

    def test_bad_input_leaves_no_intent_behind(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        operator = RunWorkflowOperator(task_id="run", workflow_definition_id="x", case_id="y")

        with pytest.raises(errors.InvalidInput):
            operator.execute(context)  # type: ignore[arg-type]

        assert context["task_state_store"].get(RUN_KEY) is None
        assert sandbox.counts.total_requests == 0

    @pytest.mark.parametrize(
        ("choice", "error", "retried"),
        [("fail", AirflowFailException, False), ("resubmit", AirflowException, True)],
    )
    def test_a_lost_response_is_retried_only_where_asked(
        self,
        sandbox: Sandbox,
        context: dict[str, Any],
        choice: str,
        error: type[Exception],
        retried: bool,
    ) -> None:
        operator = run_operator(sandbox, seconds=0.0, on_unknown_outcome=choice)
        sandbox.fault("cut_after", path="/workflows/run", times=1)

        with pytest.raises(error) as raised:
            operator.execute(context)  # type: ignore[arg-type]

        assert isinstance(raised.value, AirflowFailException) is not retried
        assert sum(sandbox.counts.runs_per_case.values()) == 1

    def test_an_id_that_cannot_be_stored_is_not_lost(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.0)

        class Broken(TaskStateStore):
            def set(self, key: str, value: Any, *, retention: object = None) -> None:
                if value["phase"] == "submitted":
                    raise RuntimeError("the API server is away")
                super().set(key, value, retention=retention)

        operator = run_operator(sandbox, seconds=0.0, on_unknown_outcome="resubmit")

        with pytest.raises(AirflowFailException, match="was started for case") as raised:
            operator.execute({"ti": TaskInstance(), "task_state_store": Broken()})  # type: ignore[typeddict-item, arg-type]

        (workflow_id,) = re.findall(r"Workflow (\S+) was started", str(raised.value))
        with sandbox.client() as client:
            assert client.read_workflow(workflow_id).id == workflow_id

    def test_a_store_that_fails_does_not_hide_what_went_wrong(self, sandbox: Sandbox) -> None:
        class Broken(TaskStateStore):
            def set(self, key: str, value: Any, *, retention: object = None) -> None:
                if value["phase"] == "not_submitted":
                    raise RuntimeError("the API server is away")
                super().set(key, value, retention=retention)

        operator = run_operator(sandbox, seconds=0.0)
        sandbox.fault("forbidden", path="/workflows/run")

        with pytest.raises(errors.PermissionDenied):
            operator.execute({"ti": TaskInstance(), "task_state_store": Broken()})  # type: ignore[typeddict-item, arg-type]

    def test_without_durability_nothing_is_stored(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        run_operator(sandbox, seconds=0.0, durable=False).execute(context)  # type: ignore[arg-type]

        assert context["task_state_store"].stored == {}

    def test_an_unknown_choice_is_refused(self) -> None:
        with pytest.raises(errors.InvalidInput, match="on_unknown_outcome must be"):
            RunWorkflowOperator(
                task_id="run",
                workflow_definition_id="x",
                case_id="y",
                on_unknown_outcome="perhaps",  # type: ignore[arg-type]
            )


class TestRetryPolicy:
    @pytest.mark.parametrize(
        ("error", "action", "delay"),
        [
            (errors.RateLimited("m", retry_after=30.0), "retry", timedelta(seconds=30)),
            (errors.ServiceUnavailable("m", retry_after=5.0), "retry", timedelta(seconds=5)),
            (errors.RateLimited("m"), "default", None),
            (errors.ServiceUnreachable("m"), "default", None),
            (errors.RequestRejected("m"), "fail", None),
            (errors.NotFound("m"), "fail", None),
            (errors.AuthenticationFailed("m"), "fail", None),
            (errors.InvalidInput("m"), "fail", None),
            (errors.ConnectionNotFound("m"), "fail", None),
            (errors.WorkflowFailed("m"), "fail", None),
            (errors.OutcomeUnknown("m"), "fail", None),
            (errors.WorkflowNotCompleted("m"), "default", None),
            (ValueError("m"), "default", None),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_decides_by_the_error(self, error: Exception, action: str, delay: timedelta | None) -> None:
        decision = WorkflowsRetryPolicy().evaluate(error, 1, 3)

        assert (decision.action.value, decision.retry_delay) == (action, delay)

    def test_is_the_operators_default_and_can_be_replaced(self) -> None:
        ids = {"workflow_definition_id": "x", "case_id": "y"}

        with DAG("mapped"):
            mapped = RunWorkflowOperator.partial(task_id="c", workflow_definition_id="x").expand(
                case_id=["y"]
            )
        theirs = ExceptionRetryPolicy(rules=[])

        default = RunWorkflowOperator(task_id="a", **ids)
        unmapped = mapped.unmap({"case_id": "y"})
        own = RunWorkflowOperator(task_id="b", retry_policy=theirs, **ids)

        assert isinstance(default.retry_policy, WorkflowsRetryPolicy)
        assert isinstance(unmapped.retry_policy, WorkflowsRetryPolicy)
        assert own.retry_policy is theirs


class TestKill:
    def test_says_that_the_workflow_goes_on(
        self, sandbox: Sandbox, context: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        operator = run_operator(sandbox, seconds=0.0)
        workflow_id = operator.execute(context)  # type: ignore[arg-type]

        operator.on_kill()

        assert re.search(f"Workflow {workflow_id} goes on", capsys.readouterr().out)

    def test_in_the_middle_of_the_request_says_that_a_run_may_exist(
        self, sandbox: Sandbox, context: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        operator = run_operator(sandbox, seconds=0.0)
        sandbox.fault("cut_after", path="/workflows/run")
        with pytest.raises(AirflowFailException):
            operator.execute(context)  # type: ignore[arg-type]

        operator.on_kill()

        assert f"A run for case {operator.case_id}" in capsys.readouterr().out

    async def test_of_a_deferred_task_says_so_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        await WorkflowStatusTrigger(workflow_id="63131229-edc5-49d0-888b-7724e65d7d2d").on_kill()

        assert "goes on" in capsys.readouterr().out
