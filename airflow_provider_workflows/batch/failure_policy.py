"""When a batch counts as failed, and what its task returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.manifest import Manifest
    from airflow_provider_workflows.batch.report import BatchReport
    from airflow_provider_workflows.batch.try_end import RetryWork
    from airflow_provider_workflows.storage import ObjectStoragePath


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
        self, report: BatchReport, withheld: Mapping[RowOutcome, int] | None = None
    ) -> BatchFailed | None:
        """Return the error of a batch that has failed, or None for one that has succeeded.

        :param report: what there is to say of the batch, whose try has ended
        :param withheld: rows that no retry submits, as a person has said, by outcome
        """
        from airflow_provider_workflows.batch.try_end import TryEnd  # noqa: PLC0415  (not while parsing)

        end = TryEnd(report, self, withheld or {})
        submitted = report.rows - report.outcomes.get(RowOutcome.SKIPPED.value, 0)
        if end.failed <= self.max_failed_share * submitted:
            return None
        has_work = self.retry_of(report.outcomes, withheld or {}).rows > 0
        return BatchFailed(end.sentence, retry=Retry.LATER if has_work else Retry.NEVER)

    def retry_of(self, outcomes: Mapping[str, int], withheld: Mapping[RowOutcome, int]) -> RetryWork:
        """Return what a retry would do.

        :param outcomes: number of rows by outcome
        :param withheld: rows that no retry submits, as a person has said, by outcome
        """
        from airflow_provider_workflows.batch.try_end import RetryWork  # noqa: PLC0415  (not while parsing)

        return RetryWork(
            submits=sum(
                outcomes.get(outcome.value, 0) - withheld.get(outcome, 0)
                for outcome in self._submitted_outcomes
            ),
            waits_for=outcomes.get(RowOutcome.RUNNING.value, 0),
            fetches=outcomes.get(RowOutcome.RESULT_MISSING.value, 0),
        )

    @property
    def _submitted_outcomes(self) -> list[RowOutcome]:
        outcomes = [RowOutcome.NOT_SUBMITTED]
        if self.resubmit_failed:
            outcomes.append(RowOutcome.FAILED)
        if self.resubmit_unknown:
            outcomes.append(RowOutcome.UNKNOWN)
        return outcomes


def summarize(
    output: ObjectStoragePath, report: BatchReport, manifest: Manifest, *, seconds: float
) -> dict[str, Any]:
    """Return what the task returns: the URI of the output and counts, and no value from a row."""
    summary = {
        "output": str(output),
        "first_row": manifest.first_row,
        "rows": report.rows,
        "outcomes": dict(sorted(report.outcomes.items())),
        "statuses": dict(sorted(report.statuses.items())),
        "seconds": round(seconds, 3),
    }
    return summary if manifest.sharding is None else {**summary, "sharding": manifest.sharding}
