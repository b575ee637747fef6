"""What a batch came to: success or failure, and whether a retry has something to do."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.failure_policy import BatchFailed, FailurePolicy, evaluate
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy


def failure(
    outcomes: dict[str, int],
    on_failure: Any = "fail",
    *,
    resubmit_failed: bool = False,
    resubmit: bool = False,
) -> BatchFailed | None:
    summary = {"output": "s3://bucket/results.jsonl", "rows": sum(outcomes.values()), "outcomes": outcomes}
    return evaluate(summary, FailurePolicy(on_failure, resubmit_failed=resubmit_failed, resubmit=resubmit))


@pytest.mark.parametrize(
    ("outcomes", "on_failure", "fails"),
    [
        ({"succeeded": 100}, "fail", False),
        ({"succeeded": 99, "failed": 1}, "fail", True),
        ({"succeeded": 99, "failed": 1}, "succeed", False),
        ({"failed": 100}, "succeed", False),
        ({"succeeded": 95, "failed": 5}, 0.05, False),
        ({"succeeded": 94, "failed": 6}, 0.05, True),
        ({"succeeded": 99, "failed": 1}, 0, True),
        ({"succeeded": 100}, 0.0, False),
        # Rows that were skipped are neither missed nor part of the whole.
        ({"skipped": 100}, "fail", False),
        ({"succeeded": 99, "skipped": 1}, "fail", False),
        ({"succeeded": 9, "failed": 1, "skipped": 90}, 0.05, True),
        ({"succeeded": 9, "failed": 1, "skipped": 90}, 0.1, False),
        *(
            ({"succeeded": 99, outcome: 1}, "fail", True)
            for outcome in ("running", "result_missing", "not_submitted", "unknown")
        ),
        ({"succeeded": 96, "failed": 2, "unknown": 2}, 0.03, True),
    ],
)
def test_rows_that_did_not_succeed_fail_the_batch_beyond_what_is_borne(
    outcomes: dict[str, int], on_failure: Any, fails: bool
) -> None:
    assert (failure(outcomes, on_failure) is not None) is fails


@pytest.mark.parametrize("on_failure", ["ignore", "", 1, 1.0, -0.1, 5, True, None, float("nan"), "0.5"])
def test_what_is_no_choice_is_refused(on_failure: Any) -> None:
    with pytest.raises(InvalidInput, match="on_failure"):
        FailurePolicy(on_failure, resubmit_failed=False, resubmit=False)


@pytest.mark.parametrize(
    ("outcome", "choices", "retried"),
    [
        ("running", {}, True),
        ("result_missing", {}, True),
        ("not_submitted", {}, True),
        ("failed", {}, False),
        ("failed", {"resubmit_failed": True}, True),
        ("failed", {"resubmit": True}, False),
        ("unknown", {}, False),
        ("unknown", {"resubmit_failed": True}, False),
        ("unknown", {"resubmit": True}, True),
    ],
)
def test_the_task_is_retried_only_when_a_retry_has_something_to_do(
    outcome: str, choices: dict[str, bool], retried: bool
) -> None:
    raised = failure({"succeeded": 5, outcome: 3}, **choices)

    assert raised is not None
    assert raised.transient is retried
    decision = WorkflowsRetryPolicy().evaluate(raised, try_number=1, max_tries=3)
    assert (decision.action is not RetryAction.FAIL) is retried


def test_the_message_has_the_counts_and_where_to_look() -> None:
    raised = failure({"succeeded": 990, "failed": 3, "not_submitted": 1007, "skipped": 20})

    assert str(raised) == (
        "1,010 of 2,000 rows did not succeed (failed 3, not_submitted 1,007). Besides, 20 bad rows were skipped. "
        "Each row is in s3://bucket/results.jsonl, with its outcome, error code and error. "
        "A retry goes on with 1,007 of them."
    )
