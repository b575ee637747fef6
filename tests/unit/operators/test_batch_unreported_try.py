"""A batch's try that fails before it has reported anything: Airflow has dropped the earlier XComs by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.operators.batch_record import BATCH_KEY
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.unit.batch_task import BatchTask, cases
from tests.unit.half_failed import ONE_BY_ONE, OUTCOMES, HalfFailed, table

COUNTS = {name: OUTCOMES.count(name) for name in OUTCOMES}


@pytest.fixture
def half(batch: BatchTask, connected: Sandbox) -> HalfFailed:
    return HalfFailed(batch, connected)


def rows_out_of_range(half: HalfFailed) -> tuple[Any, dict[str, Any]]:
    half.press("resubmit", rows="1-400")
    return table(), {}


def changed_input_without_keys(half: HalfFailed) -> tuple[Any, dict[str, Any]]:
    half.batch.clear()
    return [{"first_name": "Grace"}], {}


def impossible_definition(half: HalfFailed) -> tuple[Any, dict[str, Any]]:
    half.batch.clear()
    half.batch.definition_id = "90051412345"
    return table(), {}


def no_connection(half: HalfFailed) -> tuple[Any, dict[str, Any]]:
    half.batch.clear()
    return table(), {"workflows_conn_id": "nowhere"}


def record_of_another_version(half: HalfFailed) -> tuple[Any, dict[str, Any]]:
    half.batch.store.set(BATCH_KEY, {**half.batch.store.get(BATCH_KEY), "format": 99})
    half.batch.ti.try_number += 1
    return table(), {}


class TestAfterEarlierTries:
    @pytest.mark.thorough
    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (rows_out_of_range, "InvalidInput"),
            (changed_input_without_keys, "InvalidInput"),
            (impossible_definition, "InvalidInput"),
            (record_of_another_version, "OutcomeUnknown"),
        ],
    )
    def test_leaves_a_report_of_the_rows_as_they_are_and_of_its_error(
        self, half: HalfFailed, change: Callable[[HalfFailed], tuple[Any, dict[str, Any]]], error: str
    ) -> None:
        before = half.batch.ti.xcoms[REPORT_KEY]
        items, arguments = change(half)
        half.batch.ti.xcoms.clear()

        failed(half.batch, items, **ONE_BY_ONE, **arguments)

        report = half.batch.ti.xcoms[REPORT_KEY]
        assert report["phase"] == "ended"
        assert report["outcomes"] == COUNTS
        assert report["rows"] == len(OUTCOMES)
        assert report["repair"] == before["repair"]
        assert report["problem_rows"] == before["problem_rows"]
        assert report["unknown_rows"] == before["unknown_rows"]
        assert report["output"] == before["output"]
        assert report["error"]["type"] == error
        assert report["error"]["message"]
        assert report["try_number"] == half.batch.ti.try_number
        assert half.new_runs == {}
        assert BatchReport.from_json(report).to_json() == report

    @pytest.mark.thorough
    def test_of_a_connection_that_is_gone_says_what_was_reported_before_the_wait(
        self, half: HalfFailed
    ) -> None:
        items, arguments = no_connection(half)
        half.batch.ti.xcoms.clear()

        failed(half.batch, items, **ONE_BY_ONE, **arguments)

        report = half.batch.ti.xcoms[REPORT_KEY]
        assert report["rows"] == len(OUTCOMES)
        assert report["phase"] == "ended"
        assert report["error"]["type"] == "ConnectionNotFound"

    @pytest.mark.thorough
    def test_says_in_the_log_what_a_repair_does_and_costs(
        self, half: HalfFailed, capsys: pytest.CaptureFixture[str]
    ) -> None:
        items, _ = changed_input_without_keys(half)

        failed(half.batch, items, **ONE_BY_ONE)

        assert "A repair (press Repair, or clear the task)" in capsys.readouterr().out

    def test_names_no_output_in_the_log_that_is_not_there(
        self, batch: BatchTask, connected: Sandbox, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch.run(cases(2))
        batch.clear()
        output = batch.folder / "results.jsonl"
        output.unlink()

        batch.definition_id = "90051412345"
        capsys.readouterr()

        failed(batch, cases(2))

        said = capsys.readouterr().out
        assert "A repair (" in said
        assert f"Output: {output}" not in said
        assert batch.ti.xcoms[REPORT_KEY]["output"] == str(output)


class TestFirst:
    def test_leaves_a_report_without_rows_and_without_what_may_be_personal(
        self, batch: BatchTask, connected: Sandbox
    ) -> None:
        batch.definition_id = "90051412345"

        failed(batch, cases(3))

        report = batch.ti.xcoms[REPORT_KEY]
        assert (report["rows"], report["outcomes"], report["phase"]) == (0, {}, "ended")
        assert report["error"]["type"] == "InvalidInput"
        assert "workflow_definition_id" in report["error"]["message"]
        assert "90051412345" not in str(report)
        assert not connected.workflows

    def test_of_a_bad_row_leaves_a_report(self, batch: BatchTask, connected: Sandbox) -> None:
        failed(batch, [{"first_name": 7}])

        assert batch.ti.xcoms[REPORT_KEY]["error"]["type"] == "InvalidInput"


def failed(batch: BatchTask, items: Any, **arguments: Any) -> None:
    with pytest.raises((InvalidInput, AirflowException)):
        batch.run(items, **arguments)
