"""What a batch came to: success or failure, and whether a retry has something to do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.batch.failure_policy import FailurePolicy
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy


def failure(
    outcomes: dict[str, int],
    max_failed_share: float = 0.0,
    *,
    resubmit_failed: bool = False,
    resubmit_unknown: bool = False,
) -> BatchFailed | None:
    policy = FailurePolicy(
        max_failed_share, resubmit_failed=resubmit_failed, resubmit_unknown=resubmit_unknown
    )
    return policy.evaluate(report_of(outcomes))


def report_of(outcomes: dict[str, int]) -> BatchReport:
    begun = BatchReport.begun("definition", 0.0)
    return dataclasses.replace(
        begun, rows=sum(outcomes.values()), outcomes=outcomes, output="s3://bucket/results.jsonl"
    )


@pytest.mark.parametrize(
    ("outcomes", "max_failed_share", "fails"),
    [
        ({"succeeded": 100}, 0.0, False),
        ({"succeeded": 99, "failed": 1}, 0.0, True),
        ({"succeeded": 99, "failed": 1}, 1.0, False),
        ({"failed": 100}, 1.0, False),
        ({"succeeded": 95, "failed": 5}, 0.05, False),
        ({"succeeded": 94, "failed": 6}, 0.05, True),
        ({"succeeded": 99, "failed": 1}, 0, True),
        # Rows that were skipped are neither missed nor part of the whole.
        ({"skipped": 100}, 0.0, False),
        ({"succeeded": 99, "skipped": 1}, 0.0, False),
        ({"succeeded": 9, "failed": 1, "skipped": 90}, 0.05, True),
        ({"succeeded": 9, "failed": 1, "skipped": 90}, 0.1, False),
        *(
            ({"succeeded": 99, outcome: 1}, 0.0, True)
            for outcome in ("running", "result_missing", "not_submitted", "unknown")
        ),
        ({"succeeded": 96, "failed": 2, "unknown": 2}, 0.03, True),
    ],
)
def test_rows_that_did_not_succeed_fail_the_batch_beyond_the_share_that_may_fail(
    outcomes: dict[str, int], max_failed_share: Any, fails: bool
) -> None:
    assert (failure(outcomes, max_failed_share) is not None) is fails


@pytest.mark.parametrize("max_failed_share", ["fail", "", 1.01, -0.1, 5, True, None, float("nan"), "0.5"])
def test_what_is_not_a_share_is_refused(max_failed_share: Any) -> None:
    with pytest.raises(InvalidInput, match="max_failed_share"):
        FailurePolicy(max_failed_share, resubmit_failed=False, resubmit_unknown=False)


@pytest.mark.parametrize(
    ("outcome", "choices", "retried"),
    [
        ("running", {}, True),
        ("result_missing", {}, True),
        ("not_submitted", {}, True),
        ("failed", {}, False),
        ("failed", {"resubmit_failed": True}, True),
        ("failed", {"resubmit_unknown": True}, False),
        ("unknown", {}, False),
        ("unknown", {"resubmit_failed": True}, False),
        ("unknown", {"resubmit_unknown": True}, True),
    ],
)
def test_the_task_is_retried_only_when_a_retry_has_something_to_do(
    outcome: str, choices: dict[str, bool], retried: bool
) -> None:
    raised = failure({"succeeded": 5, outcome: 3}, **choices)

    assert raised is not None
    assert raised.is_retryable() is retried
    decision = WorkflowsRetryPolicy().evaluate(raised, try_number=1, max_tries=3)
    assert (decision.action is not RetryAction.FAIL) is retried


def test_the_message_has_the_counts_and_where_to_find_more() -> None:
    raised = failure({"succeeded": 990, "failed": 3, "not_submitted": 1007, "skipped": 20})

    assert str(raised) == (
        "1,010 of 2,020 rows did not succeed (3 failed, 1,007 not_submitted), and 20 bad rows were skipped. "
        "Each row is in s3://bucket/results.jsonl, with its outcome, error code and error. "
        "A retry submits 1,007 (1,007 runs billed)."
    )
