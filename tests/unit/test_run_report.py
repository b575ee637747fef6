"""When the report of a single run is due, and what it says of a task that fails."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.polling import Wait
from airflow_provider_workflows.run_report import RunOutcome, RunReport, is_report_due

WORKFLOW_ID = "0198a5c4-7c1e-7b3a-9d55-3f6a2b1c4d5e"


@pytest.mark.parametrize(
    ("age", "reported_before", "is_due"),
    [
        (20, 9.9, False),
        (20, 10, True),
        (300, 59, False),
        (300, 60, True),
        (3600, 599, False),
        (3600, 600, True),
        (86400, 600, True),
    ],
)
def test_a_report_is_due_after_a_fifth_of_the_run_s_age_within_bounds(
    age: float, reported_before: float, is_due: bool
) -> None:
    wait = Wait(WORKFLOW_ID, started=1000.0, status="PROCESSING")
    now = 1000.0 + age

    assert is_report_due(wait, now, reported_at=now - reported_before, status="PROCESSING") is is_due


@pytest.mark.parametrize(("reported_before", "is_due"), [(9.9, False), (10, True)])
def test_another_status_is_reported_after_ten_seconds(reported_before: float, is_due: bool) -> None:
    wait = Wait(WORKFLOW_ID, started=1000.0, status="IN_REVIEW")

    assert is_report_due(wait, 5000.0, reported_at=5000.0 - reported_before, status="PROCESSING") is is_due


@pytest.mark.parametrize(
    ("given", "failure", "may_have_started", "outcome"),
    [
        ({}, TypeError("Kowalska"), False, RunOutcome.NOT_SUBMITTED),
        ({}, TypeError("Kowalska"), True, RunOutcome.UNKNOWN),
        ({"workflow_id": WORKFLOW_ID}, TypeError("Kowalska"), True, RunOutcome.RUNNING),
        (
            {"workflow_id": WORKFLOW_ID, "outcome": RunOutcome.SUCCEEDED},
            TypeError("Kowalska"),
            True,
            RunOutcome.SUCCEEDED,
        ),
        ({}, errors.OutcomeUnknown("lost"), True, RunOutcome.UNKNOWN),
        ({}, errors.InvalidInput("case_id: none"), False, RunOutcome.NOT_SUBMITTED),
    ],
)
def test_a_failure_leaves_what_is_known_of_the_run(
    given: dict[str, object], failure: Exception, may_have_started: bool, outcome: RunOutcome
) -> None:
    report = RunReport("workflows_default", 1.0, **given)  # type: ignore[arg-type]

    failed = report.failed(failure, 2.0, may_have_started=may_have_started)

    assert failed.outcome is outcome
    assert failed.error is not None
    assert failed.error["type"] == type(failure).__name__


def test_the_text_of_another_package_s_exception_is_not_reported() -> None:
    failed = RunReport("workflows_default", 1.0).failed(TypeError("Kowalska"), 2.0)

    assert "Kowalska" not in str(failed)
