"""A single run whose task was cleared: whatever was cleared, nothing is paid for twice unless that is asked for."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.lineage.assets import definition
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.lineage.test_events import events_of
from tests.unit.operators.test_run_modes import OFTEN, RUN_CALL, STATUS_CALL, drive

pytestmark = pytest.mark.sampled(3)

MODES: dict[str, dict[str, Any]] = {
    "worker": {"wait_for_completion": True, "deferrable": False},
    "triggerer": {"wait_for_completion": True, "deferrable": True},
    "no wait": {"wait_for_completion": False},
}
WAITING = {name: mode for name, mode in MODES.items() if mode["wait_for_completion"]}
OUTLET = Asset("results")
STARTS_OVER = 'with on_clear="start_over": keeps 0, waits for 0, submits 1 anew'


def each(modes: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mode", modes.values(), ids=modes.keys())


class Task:
    """A task with one run; each of its tries is a new operator, as Airflow makes them."""

    def __init__(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.context = context
        self.definition_id = sandbox.define(seconds=0.0)
        self.case_id = self.new_case()
        self.outlets: list[Any] = []

    def new_case(self) -> str:
        with self.sandbox.client() as client:
            return client.create_case().case_id

    def new_parameters(self) -> str:
        with self.sandbox.client() as client:
            return client.create_parameters(self.definition_id, {"limit": 5}).id

    def operator(self, **arguments: Any) -> RunWorkflowOperator:
        given = {
            "workflow_definition_id": self.definition_id,
            "case_id": self.case_id,
            "outlets": [OUTLET],
            **OFTEN,
        }
        operator = RunWorkflowOperator(**{"task_id": "run", **given, **arguments})
        self.outlets = operator.outlets
        return operator

    def run(self, **arguments: Any) -> str:
        """Run a try to its end, in the worker and the triggerer."""
        workflow_id: str = drive(lambda: self.operator(**arguments), self.context)
        return workflow_id

    def clear(self) -> None:
        self.context["ti"].clear()
        self.context["outlet_events"] = type(self.context["outlet_events"])()

    @property
    def record(self) -> dict[str, Any]:
        stored: dict[str, Any] = self.context["task_state_store"].get(RUN_KEY)
        return stored

    @property
    def runs(self) -> int:
        return sum(self.sandbox.counts.runs_per_case.values())


@pytest.fixture
def task(connected: Sandbox, context: dict[str, Any], short_pauses: None) -> Task:
    return Task(connected, context)


def succeeded(task: Task, mode: dict[str, Any]) -> None:
    task.run(**mode)


def failed(task: Task, mode: dict[str, Any]) -> None:
    task.sandbox.define(task.definition_id, seconds=0.0, status="FAILED")
    if mode["wait_for_completion"]:
        with pytest.raises(errors.WorkflowFailed):
            task.run(**mode)
    else:
        task.run(**mode)
    task.sandbox.define(task.definition_id, seconds=0.0)


def expired(task: Task, mode: dict[str, Any]) -> None:
    """The task ends by its timeout, and its run expires after that."""
    task.sandbox.define(task.definition_id, seconds=0.4, status="EXPIRED")
    task.run(**mode | {"wait_for_completion": False})
    drain(task)
    task.sandbox.define(task.definition_id, seconds=0.0)


def running(task: Task, mode: dict[str, Any]) -> None:
    """The task ends by its timeout, or has ended, and its run goes on."""
    task.sandbox.define(task.definition_id, seconds=0.7)
    if mode["wait_for_completion"]:
        with pytest.raises(AirflowTaskTimeout):
            task.run(**mode, execution_timeout=timedelta(seconds=0.05))
    else:
        task.run(**mode)


def deferred(task: Task, mode: dict[str, Any]) -> None:
    task.sandbox.define(task.definition_id, seconds=0.7)
    with pytest.raises(TaskDeferred):
        task.operator(**mode | {"wait_for_completion": True, "deferrable": True}).execute(task.context)  # type: ignore[arg-type]


def not_submitted(task: Task, mode: dict[str, Any]) -> None:
    task.sandbox.fault("forbidden", path="/workflows/run", times=1)
    with pytest.raises(errors.PermissionDenied):
        task.run(**mode)


def drain(task: Task) -> None:
    """Wait until the run of the record has ended."""
    with task.sandbox.client() as client:
        while client.read_workflow(task.record["workflow_id"]).status == "RUNNING":
            time.sleep(0.02)


#: What has become of the task, and what its log says of a repair: for a task that waits, and for one that does not.
KEEPS = "Cleared: keeps 1, waits for 0, submits 0 anew"
WAITS = "Cleared: keeps 0, waits for 1, submits 0 anew"
SUBMITS = "Cleared: keeps 0, waits for 0, submits 1 anew"
STATES: list[tuple[Callable[..., None], str, str, int]] = [
    (succeeded, KEEPS, KEEPS, 1),
    (running, WAITS, KEEPS, 1),
    (deferred, WAITS, KEEPS, 1),
    (failed, SUBMITS, SUBMITS, 2),
    (expired, SUBMITS, SUBMITS, 2),
    (not_submitted, SUBMITS, SUBMITS, 1),
]
NAMES = [state.__name__ for state, *_ in STATES]


@each(MODES)
@pytest.mark.parametrize(("state", "waiting", "without_wait", "runs"), STATES, ids=NAMES)
class TestRepair:
    @pytest.mark.costly(6)
    @pytest.mark.thorough
    def test_submits_only_what_failed_or_never_started_and_says_so_first(
        self,
        task: Task,
        mode: dict[str, Any],
        state: Callable[..., None],
        waiting: str,
        without_wait: str,
        runs: int,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        state(task, mode)
        before = task.context["ti"].xcoms.get("workflow_id")
        task.clear()
        capsys.readouterr()

        workflow_id = task.run(**mode)

        log = capsys.readouterr().out
        assert task.runs == runs
        assert (workflow_id == before) is (runs == 1 and state is not not_submitted)
        lines = [line for line in log.splitlines() if "leared" in line]
        assert len(lines) == 1
        assert (waiting if mode["wait_for_completion"] else without_wait) in lines[0]
        assert "warning" in lines[0].lower()
        assert log.index("Cleared") < log.find("Started workflow") or "Started workflow" not in log

    @pytest.mark.costly(6)
    @pytest.mark.thorough
    def test_a_second_clear_pays_for_nothing(
        self,
        task: Task,
        mode: dict[str, Any],
        state: Callable[..., None],
        waiting: str,
        without_wait: str,
        runs: int,
    ) -> None:
        state(task, mode)
        task.clear()
        workflow_id = task.run(**mode)
        task.clear()

        assert task.run(**mode) == workflow_id
        assert task.runs == runs


class TestOfARunThatSucceeded:
    @each(MODES)
    def test_its_id_and_its_link_are_pushed_again(self, task: Task, mode: dict[str, Any]) -> None:
        workflow_id = task.run(**mode)
        task.clear()

        assert task.run(**mode) == workflow_id

        xcoms = task.context["ti"].xcoms
        assert xcoms.keys() == {"workflow_id", "workflow_link", "workflow_report"}
        assert xcoms["workflow_id"] == xcoms["workflow_report"]["workflow_id"] == workflow_id

    @each(WAITING)
    def test_its_asset_events_are_made_again_and_nothing_is_asked_of_the_service(
        self, task: Task, mode: dict[str, Any]
    ) -> None:
        workflow_id = task.run(**mode)
        task.clear()
        task.sandbox.counts.reset()

        task.run(**mode)

        extra = {
            "workflow_definition_id": task.definition_id,
            "workflow_id": workflow_id,
            "case_id": task.case_id,
            "status": "COMPLETED",
        }
        task.context["outlets"] = task.outlets
        uri = definition(task.definition_id, task.sandbox.url).uri
        assert events_of(task.context) == {"results": [extra], uri: [extra]}
        assert task.sandbox.counts.total_requests == 0

    def test_without_a_wait_one_poll_says_that_it_has_succeeded(self, task: Task) -> None:
        task.run()
        task.clear()
        task.sandbox.counts.reset()

        task.run()

        assert task.sandbox.counts.requests == {STATUS_CALL: 1}

    @each(WAITING)
    def test_a_retry_of_a_try_that_was_killed_after_it_submits_nothing(
        self, task: Task, mode: dict[str, Any]
    ) -> None:
        workflow_id = task.run(**mode)

        assert task.run(**mode) == workflow_id
        assert task.runs == 1

    @each(WAITING)
    def test_a_store_that_fails_at_the_end_does_not_fail_the_task(
        self, task: Task, mode: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = task.context["task_state_store"]
        write = store.set

        def failing(key: str, value: Any, *, retention: object = None) -> None:
            if value["phase"] == "succeeded":
                raise RuntimeError("the API server is away")
            write(key, value, retention=retention)

        monkeypatch.setattr(store, "set", failing)
        workflow_id = task.run(**mode)
        task.clear()

        assert task.run(**mode) == workflow_id
        assert task.runs == 1


class TestUnknown:
    @pytest.fixture(autouse=True)
    def lost(self, task: Task) -> None:
        task.sandbox.fault("cut_after", path="/workflows/run", times=1)
        with pytest.raises(AirflowFailException):
            task.run()
        task.clear()

    def test_is_left_alone_by_a_repair(self, task: Task, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(AirflowFailException, match="nobody knows"):
            task.run()

        line = "Cleared: keeps 0, waits for 0, submits 0 anew, leaves 1 of which it is not known whether"
        assert line in capsys.readouterr().out
        assert task.runs == 1

    def test_is_submitted_again_where_that_is_asked_for(self, task: Task) -> None:
        task.run(on_unknown_outcome="resubmit")

        assert task.runs == 2

    def test_is_submitted_again_by_a_start_over(self, task: Task) -> None:
        task.run(on_clear="start_over")

        assert task.runs == 2


@each(MODES)
class TestStartOver:
    @pytest.mark.parametrize("state", [succeeded, running, deferred, failed])
    def test_submits_anew_whatever_there_is_and_says_so_first(
        self,
        task: Task,
        mode: dict[str, Any],
        state: Callable[..., None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        state(task, mode)
        before = task.context["ti"].xcoms["workflow_id"]
        task.clear()
        task.sandbox.define(task.definition_id, seconds=0.0)
        capsys.readouterr()

        assert task.run(**mode, on_clear="start_over") != before

        log = capsys.readouterr().out
        assert task.runs == 2
        assert log.count(STARTS_OVER) == 1
        assert log.index(STARTS_OVER) < log.index("Started workflow")

    def test_a_retry_that_was_not_cleared_does_not_start_over(self, task: Task, mode: dict[str, Any]) -> None:
        first = task.run(**mode, on_clear="start_over")

        assert task.run(**mode, on_clear="start_over") == first
        assert task.runs == 1

    def test_a_record_of_another_version_does_not_keep_it_from_starting(
        self, task: Task, mode: dict[str, Any]
    ) -> None:
        task.context["task_state_store"].set(RUN_KEY, {"format": 99, "clears": 1})
        task.clear()

        assert task.run(**mode, on_clear="start_over")


class TestEarlierRecord:
    @pytest.mark.thorough
    def test_is_kept_until_the_new_run_has_ended_well_and_then_removed(self, task: Task) -> None:
        mode = MODES["triggerer"]
        first = task.run(**mode)
        task.clear()
        task.sandbox.define(task.definition_id, seconds=0.3)

        with pytest.raises(TaskDeferred):
            task.operator(**mode, on_clear="start_over").execute(task.context)  # type: ignore[arg-type]
        (earlier,) = task.record["earlier"]
        second = task.run(**mode, on_clear="start_over")

        assert earlier["workflow_id"] == first
        assert task.record["workflow_id"] == second
        assert "earlier" not in task.record

    @each(WAITING)
    def test_of_a_run_that_succeeded_is_what_a_repair_keeps_if_the_new_run_has_failed(
        self, task: Task, mode: dict[str, Any]
    ) -> None:
        first = task.run(**mode)
        task.clear()
        task.sandbox.define(task.definition_id, seconds=0.0, status="FAILED")
        with pytest.raises(errors.WorkflowFailed):
            task.run(**mode, on_clear="start_over")
        task.clear()

        assert task.run(**mode) == first
        assert task.runs == 2

    def test_outlasts_a_start_over_that_is_refused(self, task: Task) -> None:
        first = task.run()
        task.clear()
        not_submitted(task, MODES["no wait"] | {"on_clear": "start_over"})
        task.clear()

        assert task.run() == first
        assert task.runs == 1


@each(MODES)
@pytest.mark.parametrize("is_cleared", [True, False], ids=["clear", "retry"])
class TestChangedInput:
    def change(self, task: Task, what: str) -> dict[str, str]:
        if what == "workflow_definition_id":
            return {what: task.sandbox.define(seconds=0.0)}
        return {what: task.new_case() if what == "case_id" else task.new_parameters()}

    @pytest.mark.parametrize("what", ["case_id", "workflow_definition_id", "parameters_id"])
    def test_is_a_new_run_and_the_log_says_so(
        self,
        task: Task,
        mode: dict[str, Any],
        what: str,
        is_cleared: bool,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        first = task.run(**mode)
        if is_cleared:
            task.clear()
        changed = self.change(task, what)

        second = task.run(**mode, **changed)

        assert second != first
        assert task.sandbox.counts.runs_per_case[changed.get("case_id", task.case_id)] >= 1
        assert task.runs == 2
        log = capsys.readouterr().out
        assert "keeps 0, waits for 0, submits 1 anew" in log
        assert first in log

    def test_a_run_of_another_case_that_goes_on_is_not_waited_for(
        self,
        task: Task,
        mode: dict[str, Any],
        is_cleared: bool,
    ) -> None:
        task.sandbox.define(task.definition_id, seconds=600)
        with pytest.raises(TaskDeferred):
            task.operator(**MODES["triggerer"]).execute(task.context)  # type: ignore[arg-type]
        if is_cleared:
            task.clear()
        task.sandbox.define(task.definition_id, seconds=0.0)
        case_id = task.new_case()

        workflow_id = task.run(**mode, case_id=case_id)

        assert task.sandbox.counts.runs_per_case == {task.case_id: 1, case_id: 1}
        assert task.record["workflow_id"] == workflow_id

    def test_the_same_ids_in_capitals_are_the_same_input(
        self,
        task: Task,
        mode: dict[str, Any],
        is_cleared: bool,
    ) -> None:
        first = task.run(**mode)
        if is_cleared:
            task.clear()

        assert task.run(**mode, case_id=task.case_id.upper()) == first


class TestService:
    @pytest.mark.thorough
    @each(WAITING)
    def test_an_outage_during_a_repair_is_waited_out(self, task: Task, mode: dict[str, Any]) -> None:
        running(task, mode)
        first = task.record["workflow_id"]
        task.clear()
        task.sandbox.fault("server_error", status=500, path="/workflows/{workflowId}", times=7)

        assert task.run(**mode) == first
        assert task.runs == 1

    @each(MODES)
    def test_a_run_that_the_service_does_not_know_is_not_submitted_again_unasked(
        self, task: Task, mode: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        running(task, mode)
        task.clear()
        lost = task.record | {"workflow_id": str(uuid.uuid4())}
        task.context["task_state_store"].set(RUN_KEY, lost)

        with pytest.raises(errors.NotFound):
            task.run(**mode)

        assert 'set on_clear="start_over"' in capsys.readouterr().out.replace('\\"', '"')
        assert task.runs == 1


class TestMissingRecord:
    """What a later Airflow discards when a task is cleared."""

    DISCARDED = "Airflow has no record of its earlier tries"

    def test_of_a_cleared_task_is_said(self, task: Task, capsys: pytest.CaptureFixture[str]) -> None:
        task.run(retries=1)
        task.clear()
        task.context["task_state_store"].stored.clear()

        task.run(retries=1)

        assert self.DISCARDED in capsys.readouterr().out

    def test_of_a_retry_is_not_worth_a_word(self, task: Task, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(errors.InvalidInput):
            task.run(case_id="x", retries=1)
        task.context["ti"].try_number = 2

        task.run(retries=1)

        assert self.DISCARDED not in capsys.readouterr().out

    def test_of_tries_that_were_refused_is_not_missing(
        self, task: Task, capsys: pytest.CaptureFixture[str]
    ) -> None:
        not_submitted(task, MODES["no wait"])
        task.clear()

        task.run()

        assert self.DISCARDED not in capsys.readouterr().out


def test_without_durability_a_clear_submits_anew(task: Task) -> None:
    task.run(durable=False)
    task.clear()

    task.run(durable=False)

    assert task.runs == 2


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="on_clear must be"):
        RunWorkflowOperator(
            task_id="run",
            workflow_definition_id="x",
            case_id="y",
            on_clear="go_on",  # type: ignore[arg-type]
        )


def test_nothing_but_ids_a_status_and_the_host_is_recorded(task: Task) -> None:
    task.run(**MODES["worker"])

    assert task.sandbox.counts.requests[RUN_CALL] == 1
    assert json.dumps(task.record)
    assert set(task.record) == {
        "format",
        "clears",
        "phase",
        "workflow_definition_id",
        "case_id",
        "workflow_id",
        "status",
        "host",
    }


class TestConnection:
    @pytest.mark.thorough
    @pytest.mark.parametrize("before", [succeeded, running])
    @pytest.mark.parametrize("is_clear", [True, False])
    def test_that_leads_to_another_host_is_refused_and_back_again_goes_on(
        self,
        task: Task,
        monkeypatch: pytest.MonkeyPatch,
        before: Callable[[Task, dict[str, Any]], None],
        is_clear: bool,
    ) -> None:
        before(task, MODES["no wait"])
        if is_clear:
            task.clear()
        with Sandbox() as other, monkeypatch.context() as elsewhere:
            connection = json.dumps(task.sandbox.connection | {"host": other.url, "port": None})
            elsewhere.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", connection)
            with pytest.raises(errors.InvalidInput, match=r"The connection leads to .* now, and .* at http"):
                task.run(**MODES["worker"])
            assert other.counts.total_requests == 0

        assert task.run(**MODES["worker"]) == task.record["workflow_id"]
        assert task.runs == 1

    @pytest.mark.parametrize("is_clear", [True, False])
    @each(WAITING)
    def test_that_says_now_that_a_status_is_a_success_keeps_the_run(
        self, task: Task, monkeypatch: pytest.MonkeyPatch, is_clear: bool, mode: dict[str, Any]
    ) -> None:
        failed(task, mode)
        if is_clear:
            task.clear()
        connection = task.sandbox.connection
        connection["extra"] |= {"success_statuses": ["COMPLETED", "FAILED"], "failure_statuses": ["EXPIRED"]}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection))

        assert task.run(**mode) == task.record["workflow_id"]
        assert (task.runs, task.record["phase"]) == (1, "succeeded")

    @each(WAITING)
    def test_that_says_now_that_a_status_is_no_end_waits_for_the_run(
        self, task: Task, monkeypatch: pytest.MonkeyPatch, mode: dict[str, Any]
    ) -> None:
        connection = task.sandbox.connection
        connection["extra"] |= {"failure_statuses": ["IN_REVIEW"]}
        task.sandbox.define(task.definition_id, seconds=0.0, status="IN_REVIEW")
        with monkeypatch.context() as before:
            before.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection))
            with pytest.raises(errors.WorkflowFailed):
                task.run(**mode)
        task.clear()

        with pytest.raises(AirflowTaskTimeout):
            task.run(**mode, execution_timeout=timedelta(seconds=0.2))

        assert task.runs == 1
