"""A task that is cleared while it starts its run: Airflow stores nothing more for the try that gets its id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import WorkflowsClient
from airflow_provider_workflows.operators import handover, run_recording
from airflow_provider_workflows.operators.handover import Handover
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage_retry import StorageRetry
from tests.unit.operators.conftest import Variables
from tests.unit.operators.test_batch_repair import lines
from tests.unit.operators.test_run_repair import MODES, Task, each
from tests.unit.tasks import TaskStateStore

WAITS = MODES["worker"]
START_OVER = {"on_clear": "start_over"}


class GoneError(Exception):
    """Airflow's API does not know the task instance any more."""


class ClearedStore(TaskStateStore):
    """A store that refuses what the try would write that was cleared as it started its run."""

    is_gone = False

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        if self.is_gone:
            raise GoneError
        super().set(key, value, retention=retention)


class ClearedTask(Task):
    """A task that somebody clears while its call that starts a run is under way."""

    def run_and_clear(self, **arguments: Any) -> None:
        """Run a try to which that happens, and do what Airflow does then."""
        store = self.context["task_state_store"] = ClearedStore()
        start_run = WorkflowsClient.start_run

        def cleared_meanwhile(client: WorkflowsClient, *ids: Any) -> Any:
            workflow = start_run(client, *ids)
            store.is_gone = True
            return workflow

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(WorkflowsClient, "start_run", cleared_meanwhile)
            with pytest.raises(AirflowFailException, match="could not store its id"):
                self.operator(**arguments).execute(self.context)
        store.is_gone = False
        self.clear()


@pytest.fixture
def task(
    connected: Sandbox, context: dict[str, Any], short_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> ClearedTask:
    monkeypatch.setattr(
        run_recording,
        "store_retry",
        lambda what, log, **_: StorageRetry(what, meanwhile="", log=log, is_stopped=lambda: True),
    )
    return ClearedTask(connected, context)


@each(MODES)
def test_the_next_try_goes_on_with_the_run_and_nothing_is_left(
    task: ClearedTask, mode: dict[str, Any], variables: Variables, capsys: pytest.CaptureFixture[str]
) -> None:
    task.run_and_clear(**mode)
    (left,) = variables.values
    (line,) = lines(capsys, "is billed, and Airflow could not store its id")
    assert f"It is in Airflow's Variable {left}" in line
    assert "critical" in line

    workflow_id = task.run(**mode)

    assert workflow_id == task.sandbox.workflows[0].id
    assert task.runs == 1
    assert variables.values == {}
    assert task.record["workflow_id"] == workflow_id


def test_what_is_left_has_ids_alone_and_says_whose_it_is(task: ClearedTask, variables: Variables) -> None:
    task.run_and_clear(**WAITS)

    (value,) = map(json.loads, variables.values.values())
    (description,) = variables.descriptions.values()
    assert set(value) == {"format", "submission_id", "workflow_id", "started"}
    assert description is not None
    assert "airflow-provider-workflows" in description


def test_starting_over_submits_another_and_removes_what_is_left(
    task: ClearedTask, variables: Variables
) -> None:
    task.run_and_clear(**WAITS)

    task.run(**WAITS, **START_OVER)

    assert (task.runs, variables.values) == (2, {})


@pytest.mark.parametrize("changed", [{"submission_id": "another"}, {"format": 2}], ids=str)
def test_what_another_submission_has_left_is_not_taken_for_its_own(
    task: ClearedTask, variables: Variables, changed: dict[str, Any]
) -> None:
    task.run_and_clear(**WAITS)
    ((key, value),) = variables.values.items()
    variables.values[key] = json.dumps(json.loads(value) | changed)

    with pytest.raises(AirflowFailException, match="nobody knows whether"):
        task.run(**WAITS)

    assert task.runs == 1


@pytest.mark.parametrize("fails", ["set", "get"])
def test_without_it_the_outcome_is_unknown(
    task: ClearedTask, variables: Variables, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(variables, fails, refuse)
    task.run_and_clear(**WAITS)

    with pytest.raises(AirflowFailException, match="nobody knows whether"):
        task.run(**WAITS)

    assert task.runs == 1


def test_a_retry_without_a_clear_reads_no_variable(
    task: ClearedTask, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run_and_clear(**WAITS)
    stored = task.context["task_state_store"]
    stored.set("workflow_run", stored.get("workflow_run") | {"clears": task.context["ti"].max_tries})

    with pytest.raises(AirflowFailException, match="nobody knows whether"):
        task.run(**WAITS)

    assert len(variables.values) == 1


@pytest.mark.thorough
def test_an_id_that_could_be_stored_after_all_is_left_nowhere(
    task: ClearedTask, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_recording, "store_retry", store_retry_without_pauses)
    store = task.context["task_state_store"] = ClearedStore()
    writes: list[str] = []
    write = TaskStateStore.set

    def set_later(key: str, value: Any, *, retention: object = None) -> None:
        writes.append(value.get("phase"))
        if writes.count("submitted") == 1 and value.get("phase") == "submitted":
            raise GoneError
        write(store, key, value, retention=retention)

    monkeypatch.setattr(store, "set", set_later)

    task.run(**WAITS)

    assert writes.count("submitted") == 2
    assert variables.values == {}


def store_retry_without_pauses(what: str, log: Any, **_: Any) -> StorageRetry:
    return StorageRetry(what, meanwhile="", log=log, sleep=lambda _: None)


def test_the_next_try_waits_for_a_try_that_has_not_ended(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "HANDOVER_SECONDS", 60.0)
    before = Handover(("dag", "run", "task", -1), variables)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            before.leave("one", "w", 7.0)

    assert Handover(("dag", "run", "task", -1), variables).find("one", sleep) == ("w", 7.0)
    assert len(pauses) == 3


def test_each_map_index_has_its_own() -> None:
    keys = {Handover(("dag", "run", "task", index)).key for index in (-1, 0, 1)}

    assert len(keys) == 3
