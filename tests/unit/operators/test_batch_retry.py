"""A retry of the batch operator: what it submits again, what it leaves alone, and what a kill costs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput, ServiceUnavailable
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import (
    PARAMETERS_CALL,
    RESULT_CALL,
    RUN_CALL,
    STATUS_CALL,
    BatchTask,
    Service,
    cases,
)
from tests.unit.tasks import TaskStateStore

pytestmark = pytest.mark.sampled(3)

RETRY_FAILED, RESUBMIT = {"resubmit_failed": True}, {"on_unknown_outcome": "resubmit"}
ANEW = {RUN_CALL: 3, STATUS_CALL: 3, RESULT_CALL: 3}


class TestRetry:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("outcome", "arguments", "requests"),
        [
            ("failed", {}, {}),
            ("failed", RESUBMIT, {}),
            ("failed", RETRY_FAILED, ANEW),
            ("unknown", {}, {}),
            ("unknown", RETRY_FAILED, {}),
            ("unknown", RESUBMIT, ANEW),
            ("not_submitted", {}, ANEW),
            ("not_submitted", RETRY_FAILED | RESUBMIT, ANEW),
            ("running", {}, {STATUS_CALL: 3, RESULT_CALL: 3}),
            ("running", RETRY_FAILED | RESUBMIT, {STATUS_CALL: 3, RESULT_CALL: 3}),
            ("result_missing", {}, {RESULT_CALL: 3}),
            ("result_missing", RETRY_FAILED | RESUBMIT, {RESULT_CALL: 3}),
        ],
    )
    def test_goes_on_with_what_is_left_and_nothing_else(
        self,
        batch: BatchTask,
        sandbox: Sandbox,
        tried: Callable[..., BatchFailed],
        outcome: str,
        arguments: dict[str, Any],
        requests: dict[str, int],
    ) -> None:
        assert tried(outcome, **arguments).is_retryable() is bool(requests)

        if requests:
            batch.run(cases(3), **arguments)
        else:
            with pytest.raises(BatchFailed):
                batch.run(cases(3), **arguments)

        assert sandbox.counts.requests == requests
        assert batch.outcomes == ["succeeded" if requests else outcome] * 3

    @pytest.mark.thorough
    def test_keeps_the_rows_that_have_succeeded(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.definition_id = sandbox.define(seconds=0.0, needs_parameters=True)
        items = [{"first_name": "Ada", "parameters": {}}, {"first_name": "Bob"}, {"first_name": "Eve"}]
        with pytest.raises(BatchFailed):
            batch.run(items)
        first = batch.output[0]
        sandbox.define(batch.definition_id, seconds=0.0)
        sandbox.counts.reset()

        batch.run(items)

        assert batch.output[0] == first
        assert batch.outcomes == ["succeeded"] * 3
        assert sandbox.counts.requests[RUN_CALL] == 2

    @pytest.mark.thorough
    def test_after_success_returns_the_summary_without_a_request(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        summary = batch.run(cases(3))
        sandbox.counts.reset()

        assert batch.run(cases(3)) == summary
        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    def test_a_dag_run_of_the_same_name_as_one_that_was_deleted_starts_over(
        self, batch: BatchTask, sandbox: Sandbox, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("failed")
        batch.store = TaskStateStore()

        batch.run([{"first_name": "Somebody else"}])

        assert sandbox.counts.requests[RUN_CALL] == 1
        assert batch.outcomes == ["succeeded"]

    @pytest.mark.thorough
    @pytest.mark.parametrize(
        "items", [cases(4), cases(2), [*cases(2), {"first_name": "Marker"}]], ids=["more", "fewer", "another"]
    )
    def test_changed_items_are_refused(
        self, batch: BatchTask, sandbox: Sandbox, tried: Callable[..., BatchFailed], items: Any
    ) -> None:
        tried("not_submitted")

        with pytest.raises(InvalidInput, match="items has changed") as raised:
            batch.run(items)

        assert "Marker" not in str(raised.value)
        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    def test_nothing_is_sent_when_the_state_is_gone(
        self, batch: BatchTask, sandbox: Sandbox, tried: Callable[..., BatchFailed]
    ) -> None:
        tried("not_submitted")
        shutil.rmtree(batch.folder / "_state")

        with pytest.raises(AirflowFailException, match="state is gone"):
            batch.run(cases(3))

        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    @pytest.mark.parametrize("choice", ["fail", "resubmit"])
    def test_lost_parameters_of_the_batch_are_created_again(
        self, batch: BatchTask, service: Service, choice: str
    ) -> None:
        arguments = {"parameters": {"limit": 1}, "on_unknown_outcome": choice}
        service.sandbox.fault("cut_after", path="/parameters")
        with pytest.raises(ServiceUnavailable) as raised:
            batch.run(cases(3), max_outage=0.1, **arguments)
        assert raised.value.is_retryable()
        assert service.sandbox.counts.requests[RUN_CALL] == 0
        service.well()

        batch.run(cases(3), **arguments)

        assert service.sandbox.counts.requests[PARAMETERS_CALL] == 1
        assert service.sandbox.counts.requests[RUN_CALL] == 3

    @pytest.mark.thorough
    @pytest.mark.parametrize("path", ["/cases", "/parameters"])
    def test_lost_responses_to_calls_that_cost_nothing_leave_no_row_unknown(
        self, batch: BatchTask, sandbox: Sandbox, path: str
    ) -> None:
        items = [{"first_name": f"Ada{row}", "parameters": {"limit": row}} for row in range(12)]
        sandbox.fault("cut_after", path=path, times=5)

        batch.run(items)

        assert batch.outcomes == ["succeeded"] * 12
        assert [sandbox.counts.runs_per_case[row["case_id"]] for row in batch.output] == [1] * 12
        assert sandbox.counts.requests[RUN_CALL] == 12
        assert sandbox.counts.requests[f"POST {path}"] == 12 + 5


class Killed(BaseException):
    """Nothing that a task could catch."""


class KilledAt(TaskStateStore):
    """Kills the worker when it writes that it has come so far."""

    def __init__(self, phase: str) -> None:
        super().__init__()
        self.phase: str | None = phase

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        if self.phase is not None and value.get("phase") == self.phase:
            self.phase = None
            raise Killed
        super().set(key, value, retention=retention)


class TestKill:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("phase", "submitted_again", "results_again"),
        [("submitting", 3, 3), ("waiting", 0, 3), ("done", 0, 3)],
    )
    def test_a_retry_goes_on_from_there(
        self, batch: BatchTask, sandbox: Sandbox, phase: str, submitted_again: int, results_again: int
    ) -> None:
        batch.store = KilledAt(phase)
        with pytest.raises(Killed):
            batch.run(cases(3))
        sandbox.counts.reset()

        batch.run(cases(3))

        assert sandbox.counts.requests[RUN_CALL] == submitted_again
        assert sandbox.counts.requests[RESULT_CALL] == results_again
        assert batch.outcomes == ["succeeded"] * 3

    @pytest.mark.thorough
    def test_while_the_output_was_written_changes_nothing_in_it(self, batch: BatchTask) -> None:
        batch.store = KilledAt("done")
        with pytest.raises(Killed):
            batch.run(cases(3))
        first = (batch.folder / "results.jsonl").read_bytes()

        batch.run(cases(3))

        assert (batch.folder / "results.jsonl").read_bytes() == first
