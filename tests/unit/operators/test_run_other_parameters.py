"""A run task whose inline parameters render to something else in a later try: nothing is paid for twice unasked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.tables import READY_RECORD
from tests.unit.operators.test_run_modes import OFTEN, drive

NAME = "AIRFLOW_CONN_WORKFLOWS_DEFAULT"
FIRST, SECOND = {"at": "morning"}, {"at": "evening"}
MODES: dict[str, dict[str, Any]] = {
    "worker": {"wait_for_completion": True, "deferrable": False},
    "triggerer": {"wait_for_completion": True, "deferrable": True},
    "no wait": {"wait_for_completion": False},
}
WAITING = {name: mode for name, mode in MODES.items() if mode["wait_for_completion"]}


class Task:
    """A task with one run of generation 3; each of its tries is a new operator, as Airflow makes them."""

    def __init__(self, sandbox: Sandbox, context: dict[str, Any]) -> None:
        self.sandbox = sandbox
        self.context = context
        self.definition_id = sandbox.define(seconds=0.0)

    def operator(self, **arguments: Any) -> RunWorkflowOperator:
        given = {"task_id": "run", "workflow_definition_id": self.definition_id, **OFTEN, **arguments}
        return RunWorkflowOperator(**given)

    def run(self, **arguments: Any) -> str:
        workflow_id: str = drive(lambda: self.operator(**arguments), self.context)
        return workflow_id

    def cut_off(self) -> None:
        """Let a try lose the response to the request that starts its run."""
        self.sandbox.fault("cut_after", path="/workflows", times=1)
        with pytest.raises(AirflowFailException):
            self.run(parameters=FIRST)

    @property
    def runs(self) -> list[Any]:
        """The parameters of the runs that the service knows, in the order of their starts."""
        return [workflow.parameters for workflow in self.sandbox.workflows]

    @property
    def record(self) -> dict[str, Any]:
        stored: dict[str, Any] = self.context["task_state_store"].get(RUN_KEY)
        return stored


@pytest.fixture
def task(
    connected: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, short_pauses: None
) -> Task:
    given = json.loads(connected.environment[NAME])
    extra = given.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    monkeypatch.setenv(NAME, json.dumps({**given, "extra": {**extra, "api_generation": 3}}))
    return Task(connected, context)


def each(modes: dict[str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("mode", modes.values(), ids=modes.keys())


class TestRetry:
    @each(MODES)
    def test_goes_on_with_the_run_that_goes_on(self, task: Task, mode: dict[str, Any]) -> None:
        task.sandbox.define(task.definition_id, seconds=0.2)
        first = task.run(parameters=FIRST)

        assert task.run(parameters=SECOND, **mode) == first
        assert task.runs == [FIRST]

    @each(MODES)
    def test_keeps_the_run_that_has_succeeded(self, task: Task, mode: dict[str, Any]) -> None:
        first = task.run(parameters=FIRST, **mode)

        assert task.run(parameters=SECOND, **mode) == first
        assert task.runs == [FIRST]

    def test_says_so_in_one_line_without_a_value(
        self, task: Task, capsys: pytest.CaptureFixture[str]
    ) -> None:
        task.run(parameters=FIRST)
        capsys.readouterr()

        task.run(parameters=SECOND)

        lines = [line for line in capsys.readouterr().out.splitlines() if "parameters" in line]
        assert len(lines) == 1
        assert "The parameters of this try are not those of the earlier one" in lines[0]
        assert not [value for value in ("morning", "evening") if value in lines[0]]

    def test_submits_no_run_where_one_may_have_been_submitted(self, task: Task) -> None:
        task.cut_off()

        with pytest.raises(AirflowFailException, match="cut off while it submitted"):
            task.run(parameters=SECOND)

        assert task.runs == [FIRST]

    def test_submits_another_run_with_consent_where_one_may_have_been_submitted(self, task: Task) -> None:
        task.sandbox.fault("cut_after", path="/workflows", times=1)
        with pytest.raises(AirflowException, match="A retry submits again"):
            task.run(parameters=FIRST, on_unknown_outcome="resubmit")

        task.run(parameters=SECOND, on_unknown_outcome="resubmit")

        assert task.runs == [FIRST, SECOND]

    def test_submits_a_run_with_what_it_renders_where_none_was_submitted(self, task: Task) -> None:
        task.sandbox.fault("forbidden", path="/workflows", times=1)
        with pytest.raises(errors.PermissionDenied):
            task.run(parameters=FIRST)

        task.run(parameters=SECOND)

        assert task.runs == [SECOND]

    @each(WAITING)
    def test_submits_a_run_with_what_it_renders_where_the_earlier_one_has_failed(
        self, task: Task, mode: dict[str, Any]
    ) -> None:
        task.sandbox.define(task.definition_id, seconds=0.0, status="FAILED")
        with pytest.raises(errors.WorkflowFailed):
            task.run(parameters=FIRST, **mode)
        task.sandbox.define(task.definition_id, seconds=0.0)

        task.run(parameters=SECOND, **mode)

        assert task.runs == [FIRST, SECOND]

    def test_goes_on_with_the_run_of_the_latest_clear(self, task: Task) -> None:
        task.sandbox.define(task.definition_id, seconds=600)
        task.run(parameters=FIRST)
        task.context["ti"].clear()
        second = task.run(parameters=SECOND)

        assert task.run(parameters={"at": "night"}) == second
        assert task.runs == [FIRST, SECOND]

    def test_of_another_record_submits_another_run(self, task: Task) -> None:
        first = task.run(parameters=FIRST)

        assert task.run(parameters=FIRST, record_id=READY_RECORD) != first


class TestClear:
    @each(MODES)
    def test_submits_another_run(self, task: Task, mode: dict[str, Any]) -> None:
        task.run(parameters=FIRST, **mode)
        task.context["ti"].clear()

        task.run(parameters=SECOND, **mode)

        assert task.runs == [FIRST, SECOND]

    @each(MODES)
    def test_keeps_the_run_with_its_parameters_that_a_retry_with_others_went_on_with(
        self, task: Task, mode: dict[str, Any]
    ) -> None:
        first = task.run(parameters=FIRST, **mode)
        task.run(parameters=SECOND, **mode)
        task.context["ti"].clear()

        assert task.run(parameters=FIRST, **mode) == first
        assert task.runs == [FIRST]

    def test_submits_another_run_for_parameters_with_which_a_retry_went_on_with_the_first_one(
        self, task: Task
    ) -> None:
        task.sandbox.define(task.definition_id, seconds=0.2)
        task.run(parameters=FIRST)
        task.run(parameters=SECOND, **MODES["worker"])
        task.context["ti"].clear()

        task.run(parameters=SECOND)

        assert task.runs == [FIRST, SECOND]

    def test_keeps_a_run_whose_task_rendered_other_parameters_after_its_wait(self, task: Task) -> None:
        task.sandbox.define(task.definition_id, seconds=0.2)
        with pytest.raises(TaskDeferred) as deferred:
            task.operator(parameters=FIRST, **MODES["triggerer"]).execute(task.context)  # type: ignore[arg-type]
        event = {"workflow_id": task.record["workflow_id"], "status": "COMPLETED"}
        arguments = {**(deferred.value.kwargs or {}), "event": event}
        task.operator(parameters=SECOND, **MODES["triggerer"]).resume_execution(
            deferred.value.method_name,
            arguments,
            task.context,  # type: ignore[arg-type]
        )
        task.context["ti"].clear()

        task.run(parameters=FIRST, **MODES["worker"])

        assert task.runs == [FIRST]

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ({"limit": 1, "within": [{"share": -0.0}]}, {"limit": 1.0, "within": [{"share": 0}]}),
            ({"limit": 1e30}, {"limit": int(1e30)}),
            (None, {}),
            ({}, None),
        ],
    )
    def test_keeps_the_run_of_the_same_parameters_in_another_spelling(
        self, task: Task, first: dict[str, Any] | None, second: dict[str, Any] | None
    ) -> None:
        workflow_id = task.run(parameters=first)
        task.context["ti"].clear()

        assert task.run(parameters=second) == workflow_id
        assert len(task.runs) == 1

    @pytest.mark.parametrize(
        ("first", "second"),
        [(1, True), (0, False), (1, "1"), (1, 1.5), (None, {}), (2**53, 2**53 + 1), (2.0**53, 2**53 + 1)],
    )
    def test_submits_another_run_for_a_value_that_only_resembles_the_first_one(
        self, task: Task, first: object, second: object
    ) -> None:
        task.run(parameters={"limit": first})
        task.context["ti"].clear()

        task.run(parameters={"limit": second})

        assert len(task.runs) == 2
