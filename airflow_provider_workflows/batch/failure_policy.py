"""What a batch came to: its summary, and whether that is a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput, WorkflowsError
from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_workflows.batch.collect import Collection

#: What a retry can go on with, and nothing is run twice.
_SAFE_TO_RETRY = (RowOutcome.NOT_SUBMITTED, RowOutcome.RUNNING, RowOutcome.RESULT_MISSING)


class BatchFailed(WorkflowsError):
    """Too many rows of a batch did not succeed; ``transient`` when a retry of the task has something to do."""

    def __init__(self, message: str, *, transient: bool = False, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.transient = transient


@dataclass(frozen=True)
class FailurePolicy:
    """When a batch has failed, and what a retry is to do then.

    :param on_failure: ``"fail"``, ``"succeed"``, or the share of rows up to which the batch succeeds
    :param resubmit_failed: whether a retry submits rows again whose run has failed
    :param resubmit: whether it submits those again of which nobody knows whether they were submitted
    :raises InvalidInput: when ``on_failure`` is none of these
    """

    on_failure: str | float
    resubmit_failed: bool
    resubmit: bool

    def __post_init__(self) -> None:
        share = self.on_failure
        is_share = isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share < 1
        if not is_share and share not in ("fail", "succeed"):
            raise InvalidInput(
                f"on_failure must be 'fail', 'succeed' or a share of the rows from 0 up to 1, not {share!r}"
            )


def summarize(
    output: ObjectStoragePath, collection: Collection, *, first_row: int, seconds: float
) -> dict[str, Any]:
    """Return what the task returns: where the output is, and counts, but nothing out of it."""
    return {
        "output": str(output),
        "first_row": first_row,
        "rows": sum(collection.outcomes.values()),
        "outcomes": {outcome.value: number for outcome, number in sorted(collection.outcomes.items())},
        "statuses": dict(sorted(collection.statuses.items())),
        "seconds": round(seconds, 3),
    }


def evaluate(summary: Mapping[str, Any], failing: FailurePolicy) -> BatchFailed | None:
    """Return what to fail with, or None when the batch has succeeded well enough."""
    outcomes: Mapping[str, int] = summary["outcomes"]
    skipped = outcomes.get(RowOutcome.SKIPPED.value, 0)
    sent = summary["rows"] - skipped
    missed = {
        name: number
        for name, number in outcomes.items()
        if name not in (RowOutcome.SUCCEEDED.value, RowOutcome.SKIPPED.value)
    }
    number = sum(missed.values())
    if number == 0 or failing.on_failure == "succeed":
        return None
    if isinstance(failing.on_failure, (int, float)) and number <= failing.on_failure * sent:
        return None
    retried = [outcome.value for outcome in _SAFE_TO_RETRY]
    retried += [RowOutcome.FAILED.value] * failing.resubmit_failed + [
        RowOutcome.UNKNOWN.value
    ] * failing.resubmit
    worth_a_retry = sum(missed.get(name, 0) for name in retried)
    counts = ", ".join(f"{name} {count:,}" for name, count in missed.items())
    bad = f" Besides, {skipped:,} bad rows were skipped." if skipped else ""
    retry = (
        f"A retry goes on with {worth_a_retry:,} of them."
        if worth_a_retry
        else "A retry would change nothing."
    )
    return BatchFailed(
        f"{number:,} of {sent:,} rows did not succeed ({counts}).{bad} Each row is in {summary['output']}, with "
        f"its outcome, error code and error. {retry}",
        transient=bool(worth_a_retry),
    )
