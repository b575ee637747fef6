"""A task with a single run, in a process of its own, that is told to stop or loses its supervisor."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.timeout import timeout

from airflow_provider_workflows.api.errors import Stopped
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.operators.test_batch_stop import (
    ENDED,
    FAILED,
    PROCESSES,
    STOPPED,
    TIMED_OUT,
    FileStore,
    wait_until,
)
from tests.unit.operators.test_run_modes import OFTEN, RUN_CALL, STATUS_CALL
from tests.unit.tasks import TaskInstance

AUTHORIZE_CALL = "POST /auth/authorize"
WAITS = {"wait_for_completion": True, "deferrable": False}
#: Longer than Airflow lets a process live after SIGTERM: what takes so long was not waited for.
LONG_SECONDS = 600.0
#: A request that is under way when the signal comes takes so long.
REQUEST_SECONDS = 0.5


class Task:
    """A task whose tries may be in other processes."""

    def __init__(self, sandbox: Sandbox, store: FileStore) -> None:
        self.sandbox = sandbox
        self.context: Any = {
            "ti": TaskInstance(),
            "task_state_store": store,
            "outlet_events": OutletEventAccessors(),
        }
        self.definition_id = sandbox.define(seconds=0.0)
        with sandbox.client() as client:
            self.case_id = client.create_case().case_id
        sandbox.counts.reset()

    def operator(self, **arguments: Any) -> RunWorkflowOperator:
        ids = {"workflow_definition_id": self.definition_id, "case_id": self.case_id}
        return RunWorkflowOperator(**{"task_id": "run", **ids, **OFTEN, **arguments})

    def run(self, **arguments: Any) -> str:
        """Run a try in this process."""
        workflow_id: str = self.operator(**arguments).execute(self.context)
        return workflow_id

    @property
    def record(self) -> dict[str, Any]:
        return self.context["task_state_store"].get(RUN_KEY) or {}

    @property
    def runs(self) -> int:
        return sum(self.sandbox.counts.runs_per_case.values())


def run_try(task: Task, arguments: dict[str, Any]) -> None:
    """Run a try as Airflow's task process does: SIGTERM calls ``on_kill``, and nothing more."""
    operator = task.operator(**arguments)
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    try:
        operator.execute(task.context)
    except Stopped:
        os._exit(STOPPED)
    except AirflowTaskTimeout:
        os._exit(TIMED_OUT)
    except BaseException:  # noqa: BLE001
        os._exit(FAILED)
    os._exit(ENDED)


def run_try_with_timeout(task: Task, arguments: dict[str, Any]) -> None:
    """Run a try as Airflow does where ``execution_timeout`` is set; a test says by SIGALRM when that has passed."""
    with timeout(3600):
        run_try(task, arguments)


def run_supervisor(task: Task, arguments: dict[str, Any]) -> None:
    """Stand for a supervisor: the task's process is its child."""
    child = PROCESSES.Process(target=run_try, args=(task, arguments))
    child.start()
    child.join()


@pytest.fixture
def task(connected: Sandbox, short_pauses: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    # So that there is a call before the one that starts a run.
    monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connected.connection_with_key))
    return Task(connected, FileStore(tmp_path / "store.json"))


@pytest.fixture
def begin() -> Iterator[Callable[..., Any]]:
    processes = []

    def begin(target: Callable[..., None], task: Task, **arguments: Any) -> Any:
        process = PROCESSES.Process(target=target, args=(task, arguments))
        process.start()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.join()


def has_arrived(task: Task, call: str) -> Callable[[], bool]:
    return lambda: task.sandbox.counts.requests[call] > 0


def terminate(process: Any, number: int = signal.SIGTERM, *, seconds: float = 5.0) -> int:
    """Send SIGTERM, and return how the process has ended; Airflow would kill it after 5 seconds."""
    os.kill(process.pid, number)
    process.join(seconds)
    assert process.exitcode is not None, "it has not ended in order"
    return int(process.exitcode)


class TestSigterm:
    @pytest.mark.thorough
    @pytest.mark.parametrize("arguments", [WAITS, {**WAITS, "deferrable": True}], ids=["worker", "triggerer"])
    def test_while_a_run_is_being_started_stores_its_id_and_ends_in_order(
        self, task: Task, begin: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        task.sandbox.fault("latency", seconds=REQUEST_SECONDS, path="/workflows/run")
        process = begin(run_try, task, **arguments)
        wait_until(has_arrived(task, RUN_CALL))
        assert task.record["phase"] == "submitting"

        assert terminate(process) == STOPPED

        assert task.record["phase"] == "submitted"
        assert task.run(**WAITS) == task.record["workflow_id"]
        assert task.sandbox.counts.runs_per_case == {task.case_id: 1}

    @pytest.mark.thorough
    def test_while_a_run_is_being_started_whose_end_a_webhook_will_tell_does_not_defer(
        self, task: Task, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_webhooks = task.sandbox.connection_with_key
        with_webhooks["extra"] |= {"webhooks": True}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(with_webhooks))
        task.sandbox.fault("latency", seconds=REQUEST_SECONDS, path="/workflows/run")
        process = begin(run_try, task, wait_for_completion=True, deferrable=True)
        wait_until(has_arrived(task, RUN_CALL))

        assert terminate(process) == STOPPED

        assert task.record["phase"] == "submitted"

    @pytest.mark.thorough
    def test_while_a_run_is_being_started_that_is_not_waited_for_lets_the_task_succeed(
        self, task: Task, begin: Callable[..., Any]
    ) -> None:
        task.sandbox.fault("latency", seconds=REQUEST_SECONDS, path="/workflows/run")
        process = begin(run_try, task)
        wait_until(has_arrived(task, RUN_CALL))

        assert terminate(process) == ENDED

        assert task.run() == task.record["workflow_id"]
        assert task.runs == 1

    def test_before_the_request_that_starts_a_run_starts_none(
        self, task: Task, begin: Callable[..., Any]
    ) -> None:
        task.sandbox.fault("latency", seconds=LONG_SECONDS, path="/auth/authorize", times=1)
        process = begin(run_try, task, **WAITS)
        wait_until(has_arrived(task, AUTHORIZE_CALL))

        assert terminate(process) == STOPPED

        assert (task.runs, task.sandbox.counts.requests[RUN_CALL]) == (0, 0)
        assert task.record["phase"] == "not_submitted"
        assert task.run(**WAITS)
        assert task.runs == 1

    def test_in_a_pause_after_a_refusal_sends_the_request_no_more(
        self, task: Task, begin: Callable[..., Any]
    ) -> None:
        task.sandbox.fault("rate_limited", retry_after=60, path="/workflows/run", times=1)
        process = begin(run_try, task, **WAITS)
        wait_until(has_arrived(task, RUN_CALL))

        assert terminate(process) == STOPPED

        assert task.sandbox.counts.requests[RUN_CALL] == 1
        assert task.record["phase"] == "not_submitted"
        assert task.run(**WAITS)
        assert task.runs == 1

    @pytest.mark.thorough
    def test_in_a_pause_between_two_polls_ends_the_wait(self, task: Task, begin: Callable[..., Any]) -> None:
        task.sandbox.define(task.definition_id, seconds=1.0)
        process = begin(run_try, task, **WAITS, poll_interval=LONG_SECONDS, max_poll_interval=LONG_SECONDS)
        wait_until(has_arrived(task, STATUS_CALL))

        assert terminate(process) == STOPPED

        polls = task.sandbox.counts.requests[STATUS_CALL]
        assert task.run(**WAITS) == task.record["workflow_id"]
        assert (task.runs, polls) == (1, 1)

    def test_in_the_midst_of_a_poll_cuts_it(self, task: Task, begin: Callable[..., Any]) -> None:
        task.sandbox.fault("latency", seconds=LONG_SECONDS, path="/workflows/{workflowId}", times=1)
        process = begin(run_try, task, **WAITS)
        wait_until(has_arrived(task, STATUS_CALL))

        assert terminate(process) == STOPPED

        assert task.run(**WAITS) == task.record["workflow_id"]
        assert task.runs == 1

    def test_during_an_outage_ends_the_wait(self, task: Task, begin: Callable[..., Any]) -> None:
        task.sandbox.fault("server_error", status=503, path="/workflows/{workflowId}")
        process = begin(run_try, task, **WAITS)
        wait_until(has_arrived(task, STATUS_CALL))

        assert terminate(process) == STOPPED

        task.sandbox.clear_faults()
        assert task.run(**WAITS) == task.record["workflow_id"]
        assert task.runs == 1


def test_a_task_that_was_told_to_stop_before_its_first_call_sends_nothing(task: Task) -> None:
    operator = task.operator(**WAITS)
    operator.on_kill()

    with pytest.raises(Stopped):
        operator.execute(task.context)

    assert task.sandbox.counts.total_requests == 0
    assert task.record == {}


def test_a_task_that_is_not_durable_stops_too(task: Task, begin: Callable[..., Any]) -> None:
    task.sandbox.fault("latency", seconds=LONG_SECONDS, path="/auth/authorize", times=1)
    process = begin(run_try, task, durable=False)
    wait_until(has_arrived(task, AUTHORIZE_CALL))

    assert terminate(process) == STOPPED
    assert task.runs == 0


class TestExecutionTimeout:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "arguments", [{}, WAITS, {**WAITS, "deferrable": True}], ids=["no wait", "worker", "triggerer"]
    )
    def test_while_a_run_is_being_started_stores_its_id_and_the_next_try_starts_no_other(
        self, task: Task, begin: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        task.sandbox.fault("latency", seconds=REQUEST_SECONDS, path="/workflows/run")
        process = begin(run_try_with_timeout, task, **arguments)
        wait_until(has_arrived(task, RUN_CALL))
        assert task.record["phase"] == "submitting"

        assert terminate(process, signal.SIGALRM, seconds=20) == TIMED_OUT

        assert task.record["phase"] == "submitted"
        assert task.run(**WAITS) == task.record["workflow_id"]
        assert task.sandbox.counts.runs_per_case == {task.case_id: 1}

    def test_before_the_request_that_starts_a_run_cuts_what_is_under_way_and_starts_none(
        self, task: Task, begin: Callable[..., Any]
    ) -> None:
        task.sandbox.fault("latency", seconds=LONG_SECONDS, path="/auth/authorize", times=1)
        process = begin(run_try_with_timeout, task, **WAITS)
        wait_until(has_arrived(task, AUTHORIZE_CALL))

        assert terminate(process, signal.SIGALRM, seconds=20) == TIMED_OUT

        assert (task.runs, task.record["phase"]) == (0, "not_submitted")
        assert task.run(**WAITS)
        assert task.runs == 1

    @pytest.mark.thorough
    def test_where_no_response_comes_at_all_leaves_the_outcome_unknown(
        self, task: Task, begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        impatient = task.sandbox.connection_with_key
        impatient["extra"] |= {"read_timeout": 1.0}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(impatient))
        task.sandbox.fault("latency", seconds=LONG_SECONDS, path="/workflows/run", times=1)
        process = begin(run_try_with_timeout, task, **WAITS)
        wait_until(has_arrived(task, RUN_CALL))

        assert terminate(process, signal.SIGALRM, seconds=20) == TIMED_OUT

        assert task.record["phase"] == "submitting"


class TestOrphan:
    @pytest.mark.thorough
    def test_starts_no_run_once_its_supervisor_is_gone(self, task: Task, begin: Callable[..., Any]) -> None:
        task.sandbox.fault("latency", seconds=REQUEST_SECONDS, path="/auth/authorize")
        supervisor = begin(run_supervisor, task, **WAITS)
        wait_until(has_arrived(task, AUTHORIZE_CALL))

        supervisor.kill()
        supervisor.join()

        # The orphan writes this once it has found that its supervisor is gone, and ends.
        wait_until(lambda: task.record.get("phase") == "not_submitted")
        assert (task.runs, task.sandbox.counts.requests[RUN_CALL]) == (0, 0)

    @pytest.mark.thorough
    def test_stores_the_id_of_the_run_that_it_was_starting_and_does_not_wait_for_it(
        self, task: Task, begin: Callable[..., Any]
    ) -> None:
        task.sandbox.fault("latency", seconds=REQUEST_SECONDS, path="/workflows/run")
        supervisor = begin(run_supervisor, task, **WAITS)
        wait_until(has_arrived(task, RUN_CALL))

        supervisor.kill()
        supervisor.join()

        wait_until(lambda: task.record.get("phase") == "submitted")
        assert task.run(**WAITS) == task.record["workflow_id"]
        assert task.runs == 1
