"""Which buttons can be pressed, and why the others cannot."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.ui.buttons import reasons_against, runs
from tests.unit.ui.conftest import batch_report, run_report

NOTHING_TO_REPAIR = {"keeps": 500, "waits_for": 0, "submits": 0, "leaves_unknown": 0, "leaves_failed": 0}


def pressable(report: dict[str, Any], state: str, **given: Any) -> set[str]:
    reasons = reasons_against(report, state, may_clear=True, **given)
    return {action for action, reason in reasons.items() if reason is None}


@pytest.mark.parametrize(
    ("report", "state", "expected"),
    [
        (batch_report(), "failed", {"repair", "start_over", "resubmit"}),
        (batch_report(), "success", {"repair", "start_over", "resubmit"}),
        (batch_report(), "up_for_retry", {"repair", "start_over", "resubmit"}),
        (batch_report(repair=NOTHING_TO_REPAIR), "success", {"start_over", "resubmit"}),
        (
            batch_report(repair=NOTHING_TO_REPAIR | {"leaves_unknown": 3}),
            "failed",
            {"start_over", "resubmit"},
        ),
        (
            batch_report(repair=NOTHING_TO_REPAIR, error={"type": "InvalidInput", "message": "rows: 501"}),
            "failed",
            {"repair", "start_over", "resubmit"},
        ),
        (
            batch_report(rows=0, outcomes={}, repair={}, error={"type": "InvalidInput", "message": "no id"}),
            "failed",
            {"repair"},
        ),
        (batch_report(phase="submitting"), "running", {"stop"}),
        (batch_report(phase="waiting"), "running", set()),
        (batch_report(phase="waiting"), "deferred", set()),
        (batch_report(rows=5, outcomes={"skipped": 5}), "failed", {"repair", "resubmit"}),
        (run_report(outcome="failed"), "failed", {"repair", "start_over"}),
        (run_report(), "failed", {"repair", "start_over"}),
        (run_report(outcome="succeeded"), "success", {"start_over"}),
        (run_report(outcome="unknown"), "failed", {"start_over"}),
        (run_report(), "deferred", set()),
        (run_report(workflow_id=None), "running", {"stop"}),
        (run_report(), "running", set()),
    ],
)
def test_a_button_can_be_pressed_where_it_makes_sense(
    report: dict[str, Any], state: str, expected: set[str]
) -> None:
    assert pressable(report, state) == expected


@pytest.mark.parametrize(
    ("operator", "state", "expected"),
    [
        ("RunWorkflowBatchOperator", "failed", {"repair"}),
        ("RunWorkflowOperator", "up_for_retry", {"repair"}),
        ("RunWorkflowTask", "failed", {"repair"}),
        ("WorkflowsBatchTask", "failed", {"repair"}),
        ("RunWorkflowBatchOperator", "running", set()),
        ("RunWorkflowBatchOperator", "upstream_failed", set()),
        ("BashOperator", "failed", set()),
        (None, "failed", set()),
    ],
)
def test_a_task_that_has_failed_before_it_has_reported_can_be_repaired(
    operator: str | None, state: str, expected: set[str]
) -> None:
    reasons = reasons_against(None, state, may_clear=True, operator=operator)

    assert {action for action, reason in reasons.items() if reason is None} == expected


def test_what_is_left_are_unknown_rows_and_the_page_says_how_to_settle_them() -> None:
    report = batch_report(repair=NOTHING_TO_REPAIR | {"leaves_unknown": 3})

    reason = reasons_against(report, "failed", may_clear=True)["repair"]

    assert 'on_unknown_outcome="resubmit"' in (reason or "")


def test_a_task_that_has_counted_no_rows_says_how_to_start_over() -> None:
    report = batch_report(rows=0, outcomes={}, repair={}, error={"type": "OutcomeUnknown", "message": "gone"})

    reason = reasons_against(report, "failed", may_clear=True)["start_over"]

    assert 'on_clear="start_over"' in (reason or "")


def test_a_stop_that_was_asked_for_is_not_asked_for_again() -> None:
    reasons = reasons_against(
        batch_report(phase="submitting"), "running", may_clear=True, stop_asked_by="ada"
    )

    assert reasons["stop"] == "ada has asked for it already; it takes a few seconds."


@pytest.mark.parametrize(("report", "number"), [(batch_report(), 495), (run_report(), 1)])
def test_starting_over_costs_a_run_for_each_row_that_is_not_bad(report: dict[str, Any], number: int) -> None:
    assert runs(report) == number
