"""When a batch counts as failed, and what its task returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.collect import Collection
    from airflow_provider_workflows.batch.manifest import Manifest
    from airflow_provider_workflows.storage import ObjectStoragePath

#: Rows that a retry of the task goes on with, without running anything twice.
_SAFE_TO_RETRY = (RowOutcome.NOT_SUBMITTED, RowOutcome.RUNNING, RowOutcome.RESULT_MISSING)

#: Rows that a retry of the task submits, unless they are withheld.
_SUBMITTED_AGAIN = (RowOutcome.NOT_SUBMITTED, RowOutcome.FAILED, RowOutcome.UNKNOWN)


@dataclass(frozen=True)
class FailurePolicy:
    """When a batch counts as failed, and what a retry of its task submits again.

    :param max_failed_share: the share of rows that may fail, from 0.0 to 1.0; at 1.0 a batch never fails
    :param resubmit_failed: whether a retry submits rows again whose run has failed
    :param resubmit_unknown: whether a retry submits rows again that may have been submitted before
    :raises InvalidInput: when ``max_failed_share`` is not a number from 0 to 1
    """

    max_failed_share: float
    resubmit_failed: bool
    resubmit_unknown: bool

    def __post_init__(self) -> None:
        share: object = self.max_failed_share
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 <= share <= 1:
            raise InvalidInput(f"max_failed_share must be a number from 0 to 1, not {share!r}")

    def evaluate(
        self, summary: Mapping[str, Any], withheld: Mapping[RowOutcome, int] | None = None
    ) -> BatchFailed | None:
        """Return the error of a batch that has failed, or None for one that has succeeded.

        :param summary: what ``summarize`` returned
        :param withheld: rows that no retry submits, as a person has said, by outcome
        """
        outcomes: Mapping[str, int] = summary["outcomes"]
        skipped = outcomes.get(RowOutcome.SKIPPED.value, 0)
        submitted = summary["rows"] - skipped
        failed = {
            name: count
            for name, count in outcomes.items()
            if name not in (RowOutcome.SUCCEEDED.value, RowOutcome.SKIPPED.value)
        }
        failed_rows = sum(failed.values())
        if failed_rows <= self.max_failed_share * submitted:
            return None
        withheld = {} if withheld is None else withheld
        retried_rows = sum(
            failed.get(outcome.value, 0) - (withheld.get(outcome, 0) if outcome in _SUBMITTED_AGAIN else 0)
            for outcome in self._retried_outcomes
        )
        counts = ", ".join(f"{name} {count:,}" for name, count in failed.items())
        bad = f" Besides, {skipped:,} bad rows were skipped." if skipped else ""
        unsent = withheld.get(RowOutcome.NOT_SUBMITTED, 0)
        stopped = (
            f" {unsent:,} were not sent because a person said so: the next clear submits them."
            if unsent
            else ""
        )
        retry = (
            f"A retry goes on with {retried_rows:,} of them."
            if retried_rows
            else "A retry would change nothing."
        )
        return BatchFailed(
            f"{failed_rows:,} of {submitted:,} rows did not succeed ({counts}).{bad}{stopped} Each row is in "
            f"{summary['output']}, with its outcome, error code and error. {retry}",
            retry=Retry.LATER if retried_rows else Retry.NEVER,
        )

    @property
    def _retried_outcomes(self) -> list[RowOutcome]:
        outcomes = list(_SAFE_TO_RETRY)
        if self.resubmit_failed:
            outcomes.append(RowOutcome.FAILED)
        if self.resubmit_unknown:
            outcomes.append(RowOutcome.UNKNOWN)
        return outcomes


def summarize(
    output: ObjectStoragePath, collection: Collection, manifest: Manifest, *, seconds: float
) -> dict[str, Any]:
    """Return what the task returns: the URI of the output and counts, and no value from a row."""
    summary = {
        "output": str(output),
        "first_row": manifest.first_row,
        "rows": sum(collection.outcomes.values()),
        "outcomes": {outcome.value: number for outcome, number in sorted(collection.outcomes.items())},
        "statuses": dict(sorted(collection.statuses.items())),
        "seconds": round(seconds, 3),
    }
    return summary if manifest.sharding is None else {**summary, "sharding": manifest.sharding}
