"""One behaviour in three modes: poke, reschedule and deferrable."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk.module_loading import import_string

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY
from tests.unit.tasks import TaskInstance, TaskStateStore, event_of, rescheduled

STATUS_CALL = "GET /workflows/{workflowId}"

Wait = Callable[..., Any]


def context_of(instance: TaskInstance | None = None) -> Any:
    return {"ti": instance or TaskInstance(), "task_state_store": TaskStateStore()}


def poke(**arguments: Any) -> Any:
    return WorkflowStatusSensor(task_id="wait", mode="poke", deferrable=False, **arguments).execute(
        context_of()
    )


def reschedule(**arguments: Any) -> Any:
    context = context_of()
    while True:
        sensor = WorkflowStatusSensor(task_id="wait", mode="reschedule", deferrable=False, **arguments)
        try:
            return sensor.execute(context)
        except AirflowRescheduleException as again:
            rescheduled(context, again)


def defer(**arguments: Any) -> Any:
    sensor = WorkflowStatusSensor(task_id="wait", deferrable=True, **arguments)
    context = context_of()
    try:
        return sensor.execute(context)
    except TaskDeferred as deferred:
        event = event_of(deferred)
        sensor = WorkflowStatusSensor(task_id="wait", deferrable=True, **arguments)
        return sensor.resume_execution(deferred.method_name, {"event": event}, context)


@pytest.fixture(params=[poke, reschedule, defer])
def wait(request: pytest.FixtureRequest, connected: Sandbox, short_pauses: None) -> Wait:
    """Wait for a workflow as the sensor does in one of its modes."""
    function: Wait = request.param
    return lambda **arguments: function(**{"poke_interval": 0.02, "timeout": 30} | arguments)


def started(sandbox: Sandbox, **definition: Any) -> str:
    """Start a workflow and return its id."""
    with sandbox.client() as client:
        workflow = client.run_workflow(sandbox.define(**definition), client.create_case().case_id)
    sandbox.counts.reset()
    return workflow.id


def fault_from_the_second_poll(sandbox: Sandbox, name: str, **fault: Any) -> None:
    """Have polls fail once there was a response to the first one."""

    def begin() -> None:
        while not sandbox.counts.requests[STATUS_CALL]:
            time.sleep(0.001)
        sandbox.fault(name, path="/workflows/{workflowId}", **fault)

    threading.Thread(target=begin, daemon=True).start()


@pytest.mark.parametrize("seconds", [0.0, 0.08], ids=["ended", "running"])
class TestEndedWorkflow:
    def test_returns_the_success_status(self, wait: Wait, sandbox: Sandbox, seconds: float) -> None:
        assert wait(workflow_id=started(sandbox, seconds=seconds)) == "COMPLETED"

    @pytest.mark.parametrize("status", ["FAILED", "EXPIRED"])
    def test_fails_at_once_and_without_a_retry_on_a_failure_status(
        self, wait: Wait, sandbox: Sandbox, seconds: float, status: str
    ) -> None:
        workflow_id = started(sandbox, seconds=seconds, status=status)

        with pytest.raises(AirflowFailException, match=f"{workflow_id} .* {status}"):
            wait(workflow_id=workflow_id)

    @pytest.mark.parametrize("option", ["soft_fail", "never_fail"])
    def test_is_skipped_on_a_failure_status_where_asked(
        self, wait: Wait, sandbox: Sandbox, seconds: float, option: str
    ) -> None:
        workflow_id = started(sandbox, seconds=seconds, status="FAILED")

        with pytest.raises(AirflowSkipException):
            wait(workflow_id=workflow_id, **{option: True})


class TestTimeout:
    def test_fails(self, wait: Wait, sandbox: Sandbox) -> None:
        begin = time.monotonic()

        with pytest.raises(AirflowSensorTimeout, match="timed out"):
            wait(workflow_id=started(sandbox, seconds=600), timeout=0.2)

        assert time.monotonic() - begin >= 0.2

    def test_skips_with_soft_fail(self, wait: Wait, sandbox: Sandbox) -> None:
        with pytest.raises(AirflowSkipException):
            wait(workflow_id=started(sandbox, seconds=600), timeout=0.1, soft_fail=True)

    def test_also_ends_the_wait_for_an_unknown_status(self, wait: Wait, sandbox: Sandbox) -> None:
        with pytest.raises(AirflowSensorTimeout):
            wait(workflow_id=started(sandbox, seconds=0.0, status="ON_THE_MOON"), timeout=0.1)


class TestErrors:
    def test_an_unknown_workflow_is_not_found(self, wait: Wait) -> None:
        with pytest.raises(errors.NotFound, match=DEFINITION):
            wait(workflow_id=DEFINITION)

    @pytest.mark.parametrize(
        ("workflow_id", "message"),
        [("", "workflow_id is empty"), (None, "must be an id as text, not NoneType")],
    )
    def test_a_malformed_id_is_refused_before_anything_is_sent(
        self, wait: Wait, sandbox: Sandbox, workflow_id: str | None, message: str
    ) -> None:
        with pytest.raises(errors.InvalidInput, match=message):
            wait(workflow_id=workflow_id)

        assert sandbox.counts.total_requests == 0

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_an_error_while_waiting_is_raised_as_it_is(
        self, wait: Wait, sandbox: Sandbox, soft_fail: bool
    ) -> None:
        workflow_id = started(sandbox, seconds=600)
        fault_from_the_second_poll(sandbox, "forbidden")

        with pytest.raises(errors.PermissionDenied) as raised:
            wait(workflow_id=workflow_id, soft_fail=soft_fail)

        assert raised.value.fingerprint

    def test_an_error_while_waiting_skips_with_never_fail(self, wait: Wait, sandbox: Sandbox) -> None:
        workflow_id = started(sandbox, seconds=600)
        fault_from_the_second_poll(sandbox, "forbidden")

        with pytest.raises(AirflowSkipException):
            wait(workflow_id=workflow_id, never_fail=True)


class TestRejectedKey:
    @pytest.mark.parametrize(
        # With key and secret: with the token that there was, and with a new one.
        ("credentials", "polls"),
        [("connection", 1), ("connection_with_key", 2)],
        ids=["token", "key"],
    )
    def test_ends_the_task_at_its_first_poll(
        self, wait: Wait, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, credentials: str, polls: int
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(getattr(sandbox, credentials)))
        workflow_id = started(sandbox, seconds=600)
        sandbox.fault("unauthorized", path="/workflows/{workflowId}")

        with pytest.raises(errors.AuthenticationFailed):
            wait(workflow_id=workflow_id)

        assert sandbox.counts.requests[STATUS_CALL] == polls

    @pytest.mark.thorough
    def test_is_waited_out_once_a_poll_has_succeeded(self, wait: Wait, sandbox: Sandbox) -> None:
        workflow_id = started(sandbox, seconds=0.3)
        fault_from_the_second_poll(sandbox, "unauthorized", times=6)

        assert wait(workflow_id=workflow_id) == "COMPLETED"


class TestWebhooks:
    @pytest.mark.parametrize("spelled", [str.upper, lambda name: f" {name}\n"], ids=["capitals", "blanks"])
    def test_find_the_task_however_the_id_was_spelled(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, spelled: Callable[[str], str]
    ) -> None:
        connection = sandbox.connection
        extra = connection["extra"] | {"webhooks": True}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection | {"extra": extra}))
        workflow_id = started(sandbox, seconds=600)
        instance = TaskInstance()
        sensor = WorkflowStatusSensor(task_id="wait", workflow_id=spelled(workflow_id), deferrable=True)

        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute(context_of(instance))

        _, fields = deferred.value.trigger.serialize()
        assert instance.xcoms[WORKFLOW_ID_KEY] == fields["workflow_id"].lower() == workflow_id


class TestTrigger:
    def test_stores_ids_and_numbers_only(self) -> None:
        path, fields = WorkflowStatusTrigger(
            workflow_id=DEFINITION, workflows_conn_id="conn", deadline=1.5
        ).serialize()

        assert import_string(path) is WorkflowStatusTrigger
        assert {type(value) for value in fields.values()} <= {str, int, float, bool, type(None)}
        assert import_string(path)(**fields).serialize() == (path, fields)

    @pytest.mark.thorough
    async def test_uses_one_connection_for_all_its_polls(
        self, sandbox: Sandbox, connected: Sandbox, short_pauses: None
    ) -> None:
        workflow_id = started(sandbox, seconds=0.3)

        event = await anext(
            WorkflowStatusTrigger(workflow_id=workflow_id, poll_interval=0.02, max_poll_interval=0.02).run()
        )

        assert (event.payload["workflow_id"], event.payload["status"]) == (workflow_id, "COMPLETED")
        assert event.payload["polls"] == sandbox.counts.requests[STATUS_CALL] >= 3
        assert sandbox.counts.total_connections == 1

    @pytest.mark.thorough
    async def test_reports_a_missing_connection(self) -> None:
        event = await anext(
            WorkflowStatusTrigger(
                workflow_id=DEFINITION, workflows_conn_id="no_such_connection", max_outage=0.1
            ).run()
        )

        assert "no_such_connection" in event.payload["error"]["message"]
