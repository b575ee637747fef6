"""A single run whose page has buttons: what a try does by the instruction of a person, counted at the service."""

from __future__ import annotations

import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import errors, retry
from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY, Instructions
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.operators.run_recording import RunRecording
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.operators.test_batch_instructions import KilledError, kill_at
from tests.unit.operators.test_batch_repair import lines
from tests.unit.operators.test_run_modes import RUN_CALL
from tests.unit.operators.test_run_repair import MODES, Task, each, failed, succeeded

pytestmark = pytest.mark.sampled(3)

WAITS = MODES["worker"]
START_OVER = {"on_clear": "start_over"}


class PressedTask(Task):
    """A task whose page has buttons."""

    def press(self, action: str, *, age: float = 1.0, **changed: Any) -> None:
        """Do what a button does: leave an instruction, and clear the task unless it is to stop."""
        instruction = {
            "format": 1,
            "id": action,
            "action": action,
            "asked_at": time.time() - age,
            "asked_by": "ada",
        }
        self.context["task_state_store"].set(INSTRUCTION_KEY, instruction | changed)
        if action != "stop":
            self.clear()

    @property
    def instruction(self) -> Any:
        return self.context["task_state_store"].get(INSTRUCTION_KEY)


@pytest.fixture
def task(connected: Sandbox, context: dict[str, Any], short_pauses: None) -> PressedTask:
    return PressedTask(connected, context)


@each(MODES)
class TestRepair:
    def test_keeps_a_run_that_has_succeeded_whatever_the_dag_says(
        self, task: PressedTask, mode: dict[str, Any]
    ) -> None:
        succeeded(task, mode)
        task.press("repair")

        task.run(**mode, **START_OVER)

        assert (task.runs, task.instruction) == (1, None)

    def test_submits_a_new_run_where_it_has_failed_and_says_who_has_asked(
        self, task: PressedTask, mode: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        failed(task, mode)
        task.press("repair")

        task.run(**mode)

        assert (task.runs, task.instruction) == (2, None)
        (line,) = lines(capsys, "Cleared (repair, for which ada has asked at")
        assert "keeps 0, waits for 0, submits 1 anew" in line


@each(MODES)
class TestStartOver:
    def test_submits_a_new_run_whatever_there_is(self, task: PressedTask, mode: dict[str, Any]) -> None:
        succeeded(task, mode)
        task.press("start_over")

        task.run(**mode)

        assert (task.runs, task.instruction) == (2, None)

    def test_is_followed_once(self, task: PressedTask, mode: dict[str, Any]) -> None:
        succeeded(task, mode)
        task.press("start_over")
        task.run(**mode)
        task.clear()

        task.run(**mode)

        assert task.runs == 2

    def test_is_not_followed_by_a_retry(self, task: PressedTask, mode: dict[str, Any]) -> None:
        succeeded(task, mode)
        before = task.context["ti"].max_tries
        task.press("start_over")
        task.context["ti"].max_tries = before

        task.run(**mode)

        assert task.runs == 1
        assert task.instruction is not None


def test_resubmit_does_what_a_repair_does_because_a_single_run_has_no_rows(task: PressedTask) -> None:
    succeeded(task, WAITS)
    task.press("resubmit", rows="1")

    task.run(**WAITS)

    assert (task.runs, task.instruction) == (1, None)


@pytest.mark.parametrize("changed", [{"format": 2}, {"asked_at": 0.0}], ids=str)
def test_one_of_another_format_or_of_yesterday_is_not_followed(
    task: PressedTask, changed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    succeeded(task, WAITS)
    task.press("start_over", **changed)

    task.run(**WAITS)

    assert task.runs == 1
    assert len(lines(capsys, "which is not followed")) == 1


class TestUnknownOutcome:
    def unknown(self, task: PressedTask) -> None:
        task.sandbox.fault("cut_after", path="/workflows/run", times=1)
        with pytest.raises(AirflowFailException):
            task.run(**WAITS)

    def test_a_repair_leaves_it_and_is_over(self, task: PressedTask) -> None:
        self.unknown(task)
        task.press("repair")

        with pytest.raises(AirflowFailException, match="nobody knows whether"):
            task.run(**WAITS, **START_OVER)

        assert (task.runs, task.instruction) == (1, None)
        task.clear()
        task.run(**WAITS, **START_OVER)
        assert task.runs == 2

    def test_starting_over_submits_another(self, task: PressedTask) -> None:
        self.unknown(task)
        task.press("start_over")

        task.run(**WAITS)

        assert task.runs == 2


class TestKill:
    @pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        ("owner", "name"),
        [(Instructions, "take"), (RunRecording, "begin"), (Instructions, "delete")],
        ids=lambda value: getattr(value, "__name__", value),
    )
    def test_between_the_clear_and_the_run_has_it_followed_once(
        self, task: PressedTask, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, is_over: bool
    ) -> None:
        succeeded(task, WAITS)
        task.press("start_over")
        kill_at(monkeypatch, owner, name, is_over=is_over)
        with pytest.raises(KilledError):
            task.run(**WAITS)
        assert task.runs == 1
        task.context["ti"].try_number += 1

        task.run(**WAITS)
        task.clear()
        task.run(**WAITS)

        assert (task.runs, task.instruction) == (2, None)


class TestStop:
    def test_before_the_run_starts_none_until_the_next_clear(self, task: PressedTask) -> None:
        task.press("stop")

        for _ in range(2):
            with pytest.raises(errors.SubmissionStopped, match="ada has asked to stop") as raised:
                task.run(**WAITS)
        assert task.sandbox.counts.requests[RUN_CALL] == 0
        decision = WorkflowsRetryPolicy().evaluate(raised.value, 1, 3)
        assert decision.action.value == "fail"
        assert task.record["phase"] == "not_submitted"

        task.clear()
        task.run(**WAITS)
        assert (task.runs, task.instruction) == (1, None)

    def test_while_the_service_refuses_connections_starts_no_run_once_it_is_back(
        self, task: PressedTask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.01))
        task.sandbox.fault("server_error", status=503, path="/workflows/run", times=2)
        of_store = task.context["task_state_store"]
        reads = 0

        def get(key: str) -> Any:
            nonlocal reads
            if key == INSTRUCTION_KEY:
                reads += 1
                if task.sandbox.counts.requests[RUN_CALL] == 1 and task.instruction is None:
                    task.press("stop", age=-1.0)
            return type(of_store).get(of_store, key)

        class Store:
            set, delete = of_store.set, of_store.delete

        store = Store()
        store.get = get  # type: ignore[attr-defined]
        task.context["task_state_store"], original = store, of_store
        monkeypatch.setattr(PressedTask, "instruction", property(lambda _: original.get(INSTRUCTION_KEY)))

        with pytest.raises(errors.SubmissionStopped):
            task.run(**WAITS)

        assert reads > 1
        assert task.runs == 0
        assert original.get(RUN_KEY)["phase"] == "not_submitted"

    @each(MODES)
    def test_after_the_run_was_started_changes_nothing(self, task: PressedTask, mode: dict[str, Any]) -> None:
        succeeded(task, mode)
        task.press("stop")

        task.run(**mode)

        assert task.runs == 1

    def test_after_a_clear_holds_for_the_try_that_has_begun(self, task: PressedTask) -> None:
        failed(task, WAITS)
        task.clear()
        task.press("stop", age=-60.0)

        for _ in range(2):
            with pytest.raises(errors.SubmissionStopped):
                task.run(**WAITS)

        assert task.runs == 1

    def test_keeps_a_run_that_has_succeeded_where_a_clear_would_start_over(self, task: PressedTask) -> None:
        succeeded(task, WAITS)
        task.clear()
        task.press("stop", age=-60.0)

        task.run(**WAITS, **START_OVER)

        assert task.runs == 1


def test_a_run_that_is_not_durable_follows_nothing(task: PressedTask) -> None:
    task.press("stop")

    task.run(**WAITS, durable=False)

    assert task.runs == 1
