"""The batch operator: its tries, what each of them submits, and what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout, TaskDeferred

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.batch import submit as submit_module
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import (
    AUTHORIZE_CALL,
    CASE_CALL,
    PARAMETERS_CALL,
    RESULT_CALL,
    RUN_CALL,
    STATUS_CALL,
    BatchTask,
    cases,
)


class TestSuccess:
    @pytest.mark.thorough
    def test_returns_the_counts_and_where_the_output_is(self, batch: BatchTask) -> None:
        summary = batch.run(cases(5))

        assert summary.pop("seconds") > 0
        assert summary == {
            "output": str(batch.folder / "results.jsonl"),
            "first_row": 1,
            "rows": 5,
            "outcomes": {"succeeded": 5},
            "statuses": {"COMPLETED": 5},
        }

    @pytest.mark.thorough
    def test_each_row_costs_the_requests_it_needs_and_no_more(
        self, batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(sandbox.connection_with_key))
        batch.run(cases(40), parameters={"limit": 1}, max_concurrency=4)

        assert sandbox.counts.requests == {
            AUTHORIZE_CALL: 1,
            PARAMETERS_CALL: 1,
            CASE_CALL: 40,
            RUN_CALL: 40,
            STATUS_CALL: 40,
            RESULT_CALL: 40,
        }
        connections = sandbox.counts.connections
        assert max(connections[call] for call in (CASE_CALL, RUN_CALL, RESULT_CALL)) <= 4

    @pytest.mark.thorough
    def test_leaves_the_output_and_the_state_by_which_a_clear_repairs_it(self, batch: BatchTask) -> None:
        batch.run(cases(3))

        assert batch.outcomes == ["succeeded"] * 3
        assert [path.name for path in sorted(batch.folder.iterdir())] == [
            "_state",
            "results.jsonl",
            "run_index.bin",
        ]
        assert len(batch.state_folders) == 1

    @pytest.mark.thorough
    def test_gives_the_same_whether_it_waits_in_the_triggerer_or_in_the_worker(
        self, batch: BatchTask, connected: Sandbox, tmp_path: Path
    ) -> None:
        batch.definition_id = connected.define(seconds=(0.0, 0.2), result={"decision": "PASS"})
        waiting_here = BatchTask(tmp_path / "other", batch.definition_id)

        summaries = [batch.run(cases(20)), waiting_here.run(cases(20), deferrable=False)]

        assert len(batch.deferred) == 1
        assert waiting_here.deferred == []
        assert _without_place_and_time(summaries[0]) == _without_place_and_time(summaries[1])
        assert [_shape(row) for row in batch.output] == [_shape(row) for row in waiting_here.output]

    @pytest.mark.thorough
    def test_a_mapped_task_writes_into_a_folder_of_its_own(self, batch: BatchTask) -> None:
        batch.ti.map_index = 7

        assert batch.run(cases(1))["output"] == str(batch.folder / "00007" / "results.jsonl")

    @pytest.mark.thorough
    @pytest.mark.parametrize("name", ["run[1]", "a b", "nightly-ü"])
    def test_the_folder_may_have_any_name(self, batch: BatchTask, connected: Sandbox, name: str) -> None:
        batch.folder = batch.folder / name

        batch.run(cases(3), output_path=f"file://{batch.folder}")

        assert batch.outcomes == ["succeeded"] * 3
        assert max(connected.counts.runs_per_case.values()) == 1

    @pytest.mark.thorough
    def test_bad_rows_are_skipped_where_asked(self, batch: BatchTask, sandbox: Sandbox) -> None:
        batch.run([*cases(2), {"email": 3}], on_bad_row="skip")

        assert batch.outcomes == ["succeeded", "succeeded", "skipped"]
        assert sandbox.counts.cases == 2


def _without_place_and_time(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in ("output", "seconds")}


def _shape(row: dict[str, Any]) -> dict[str, Any]:
    own = ("case_id", "workflow_id", "submitted_at", "ended_at", "result")
    return {name: value is not None if name in own else value for name, value in row.items()}


class TestBeforeTheFirstCall:
    @pytest.mark.parametrize(
        ("items", "arguments", "match"),
        [
            ([{"email": 3}], {}, "row 1"),
            ([], {}, "no rows"),
            ([{"first_name": "Ada"}], {"output_path": "relative/folder"}, "output"),
            ([{"first_name": "Ada"}], {"output_path": "/dev/null/folder"}, "output"),
            ([{"first_name": "Ada"}], {"workflow_definition_id": " "}, "workflow_definition_id"),
            ("/does/not/exist.csv", {}, "items"),
        ],
    )
    def test_what_cannot_be_right_is_refused(
        self, batch: BatchTask, sandbox: Sandbox, items: Any, arguments: dict[str, Any], match: str
    ) -> None:
        with pytest.raises(InvalidInput, match=match):
            batch.run(items, **arguments)

        assert sandbox.counts.total_requests == 0

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("on_bad_row", "ignore"),
            ("max_failed_share", 5),
            ("on_unknown_outcome", "retry"),
            ("output_format", "xlsx"),
            ("output_delimiter", "::"),
            ("output_rows_per_file", 0),
            ("max_concurrency", 0),
            ("max_concurrency", 1.5),
            ("max_concurrency", 1001),
            ("requests_per_second", 0),
            ("requests_per_second", float("inf")),
            ("poll_interval", 0),
        ],
    )
    def test_an_argument_that_cannot_be_right_is_refused_when_the_dag_is_read(
        self, batch: BatchTask, argument: str, value: Any
    ) -> None:
        with pytest.raises(InvalidInput, match=argument):
            batch.operator(cases(1), **{argument: value})


class TestFailure:
    @pytest.mark.thorough
    @pytest.mark.parametrize("max_failed_share", [1.0, 0.5])
    def test_is_tolerated_as_far_as_asked(
        self, batch: BatchTask, sandbox: Sandbox, max_failed_share: float
    ) -> None:
        sandbox.fault("cut_after", path="/workflows/run", times=1)

        assert batch.run(cases(3), max_failed_share=max_failed_share)["outcomes"] == {
            "succeeded": 2,
            "unknown": 1,
        }

    @pytest.mark.thorough
    def test_is_raised_once_the_output_is_written(
        self, batch: BatchTask, tried: Callable[..., BatchFailed]
    ) -> None:
        raised = tried("failed")

        assert "3 of 3 rows did not succeed (3 failed)" in str(raised)
        assert str(batch.folder / "results.jsonl") in str(raised)
        assert len(batch.state_folders) == 1

    @pytest.mark.thorough
    def test_of_the_first_row_is_raised_as_it_is(
        self, batch: BatchTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(submit_module, "FIRST_MAX_OUTAGE_SECONDS", 0.0)
        sandbox.stop()

        with pytest.raises(errors.ServiceUnreachable):
            batch.run(cases(3))

        sandbox.start()
        assert batch.run(cases(3))["outcomes"] == {"succeeded": 3}

    @pytest.mark.thorough
    @pytest.mark.parametrize("deferrable", [True, False])
    def test_execution_timeout_writes_what_there_is_and_a_retry_goes_on(
        self, batch: BatchTask, sandbox: Sandbox, deferrable: bool
    ) -> None:
        batch.definition_id = sandbox.define(seconds=0.5)

        with pytest.raises(AirflowTaskTimeout, match="3 running"):
            batch.run(cases(3), execution_timeout=timedelta(seconds=0.2), deferrable=deferrable)
        assert batch.outcomes == ["running"] * 3

        batch.run(cases(3), deferrable=deferrable)
        assert batch.outcomes == ["succeeded"] * 3
        assert sandbox.counts.requests[RUN_CALL] == 3

    @pytest.mark.thorough
    def test_to_read_the_state_in_the_triggerer_is_raised_and_a_retry_goes_on(
        self, batch: BatchTask, sandbox: Sandbox
    ) -> None:
        operator = batch.operator(cases(3))
        with pytest.raises(TaskDeferred):
            operator.execute(batch.context)
        event = {"error": errors.WorkflowsError("The state could not be read.").to_json()}

        with pytest.raises(errors.WorkflowsError, match="could not be read"):
            operator.resume_execution("execute_complete", {"event": event}, batch.context)

        batch.run(cases(3))
        assert sandbox.counts.requests[RUN_CALL] == 3


class TestDeferring:
    @pytest.mark.thorough
    def test_stores_the_same_whatever_the_number_of_rows(self, batch: BatchTask) -> None:
        stored = []
        for number in (9, 90):
            batch.clear()
            batch.run(cases(number), on_clear="start_over")
            stored.append(json.dumps(batch.deferred[-1].trigger.serialize()[1]))

        assert len(stored[1]) <= len(stored[0]) + 10

    @pytest.mark.thorough
    def test_events_are_counts(self, batch: BatchTask) -> None:
        batch.run(cases(3))

        assert batch.events == [{"ended": 3, "running": 0, "timed_out": False}]
