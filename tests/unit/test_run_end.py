"""The block at the end of a single run's try that fails: what failed and why, and what to do at what cost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_workflows.run_end import RunEnd
from airflow_provider_workflows.run_report import RunOutcome, RunReport

PAGE = "https://airflow.example.org/page"
ERROR = {"type": "WorkflowFailed", "message": "It has failed.", "code": None, "fingerprint": None}


def end(outcome: RunOutcome, *, retries_left: int = 1, is_retryable: bool = True, **given: Any) -> RunEnd:
    report = RunReport("workflows_default", 0.0, outcome=outcome, try_number=2)
    return RunEnd(report, PAGE, retries_left, is_retryable, **given)


def test_says_what_failed_and_why_where_to_find_more_and_what_to_do_at_what_cost() -> None:
    failed = end(RunOutcome.FAILED, is_retryable=False)
    report = dataclasses.replace(failed.report, status="EXPIRED", error=ERROR, dashboard_url="https://d/1")

    assert dataclasses.replace(failed, report=report).lines == [
        "Try 2 has failed: the run has failed, status EXPIRED.",
        "Error: WorkflowFailed: It has failed.",
        f"Page: {PAGE}",
        "Dashboard: https://d/1",
        "Airflow does not retry the task.",
        "A repair (press Repair, or clear the task): 1 run billed; submits a new run.",
        (
            'Starting over (press Start over, or set on_clear="start_over" and clear the task): 1 run billed; '
            "submits a new run, whatever there is."
        ),
    ]


@pytest.mark.parametrize(
    ("outcome", "given", "work"),
    [
        (RunOutcome.RUNNING, {}, "no run billed; waits for the run that there is"),
        (RunOutcome.RUNNING, {"durable": False}, "1 run billed; submits a new run"),
        (RunOutcome.SUCCEEDED, {}, "no run billed; keeps the run"),
        (RunOutcome.FAILED, {}, "1 run billed; submits a new run"),
        (RunOutcome.NOT_SUBMITTED, {}, "1 run billed; submits the run"),
        (
            RunOutcome.UNKNOWN,
            {},
            "no run billed; submits nothing as long as it is not known whether there is a run",
        ),
        (
            RunOutcome.UNKNOWN,
            {"resubmits_unknown": True},
            "1 run billed; submits a run, at the risk of a second one",
        ),
    ],
)
def test_says_what_a_retry_and_a_repair_do_and_cost(
    outcome: RunOutcome, given: dict[str, Any], work: str
) -> None:
    lines = end(outcome, **given).lines

    assert f"A retry: {work}. 1 retry is left." in lines
    assert f"A repair (press Repair, or clear the task): {work}." in lines


@pytest.mark.parametrize(
    ("retries_left", "is_retryable", "words"),
    [(0, True, "No retry is left."), (2, False, "Airflow does not retry the task.")],
)
def test_says_that_no_retry_comes(retries_left: int, is_retryable: bool, words: str) -> None:
    lines = end(RunOutcome.NOT_SUBMITTED, retries_left=retries_left, is_retryable=is_retryable).lines

    assert [line for line in lines if "retr" in line] == [words]
