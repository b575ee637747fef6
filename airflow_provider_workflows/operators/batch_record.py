"""What a task remembers of its batch, over its tries and clears, and which of its tries may act."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.claim import Claim
from airflow_provider_workflows.batch.manifest import Manifest
from airflow_provider_workflows.batch.place import BatchPlace
from airflow_provider_workflows.operators.records import Records, TaskStateRecordStore, without_none

if TYPE_CHECKING:
    from airflow.sdk import Context
    from typing_extensions import Self

#: The keys of the records in the task's state store.
BATCH_KEY = "workflow_batch"
CLAIM_KEY = "workflow_batch_claim"


class BatchPhase(str, enum.Enum):
    """How far a task has come with its batch."""

    SUBMITTING = "submitting"
    """The input is checked, and rows may have been submitted."""
    WAITING = "waiting"
    """Each row that could be submitted was."""
    FAILED = "failed"
    """The output is written, and the failure policy says that the batch has failed."""
    DONE = "done"
    """The output is written, and the batch has succeeded."""


@dataclass(frozen=True)
class BatchRecord:
    """What a task remembers of its batch; what happened to each row is in the batch's journal.

    :param phase: how far it has come
    :param begun_at: when the batch began, in seconds since the epoch
    :param place: where the output and the batch's state are
    :param manifest: the checked input
    :param summary: what the task returns, once the batch has succeeded
    :param cases: number of rows that had a case, or more, when this was written
    :param earlier: URIs of the state folders of earlier starts, which are removed when this one has ended well
    :param has_results: whether an output with results was written, which one without must not replace
    :param whole_output: what ``written_output_digest`` gave once the output had all results; None if that is not
        known
    :param host: base URL of the service at which the runs are
    :param followed: id of the latest instruction of a person that was followed
    :param withholds: whether rows are withheld until the next clear, as a person has said
    :param stopped_by: name of the person who has stopped the submission, until the next clear
    """

    phase: BatchPhase
    begun_at: float
    place: BatchPlace
    manifest: Manifest
    summary: Mapping[str, Any] | None = None
    cases: int = 0
    earlier: tuple[str, ...] = ()
    has_results: bool = False
    whole_output: str | None = None
    host: str | None = None
    followed: str | None = None
    withholds: bool = False
    stopped_by: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return without_none(
            {
                "phase": self.phase.value,
                "begun_at": self.begun_at,
                "place": self.place.to_json(),
                "manifest": dataclasses.asdict(self.manifest),
                "summary": None if self.summary is None else dict(self.summary),
                "cases": self.cases,
                "earlier": list(self.earlier),
                "has_results": self.has_results,
                "whole_output": self.whole_output,
                "host": self.host,
                "followed": self.followed,
                "withholds": self.withholds,
                "stopped_by": self.stopped_by,
            }
        )

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that ``to_json`` made JSON of.

        :raises TypeError: if there are other fields
        :raises ValueError: if a value cannot be right
        """
        typed = {
            "phase": BatchPhase(fields["phase"]),
            "place": BatchPlace.from_json(fields["place"]),
            "manifest": Manifest(**fields["manifest"]),
            "earlier": tuple(fields["earlier"]),
        }
        return cls(**{**fields, **typed})

    def at(self, phase: BatchPhase, *, cases: int | None = None, stopped_by: str | None = None) -> Self:
        """Return the record with another phase.

        :param cases: number of rows that have a case by then; None if that has not changed
        :param stopped_by: name of the person who has stopped the submission since; None if nobody has
        """
        return dataclasses.replace(
            self,
            phase=phase,
            cases=self.cases if cases is None else cases,
            has_results=self.has_results or phase is BatchPhase.FAILED,
            withholds=self.withholds or stopped_by is not None,
            stopped_by=stopped_by or self.stopped_by,
        )

    def done(self, summary: Mapping[str, Any]) -> Self:
        """Return the record of a batch that has succeeded, with what the task returns."""
        return dataclasses.replace(self, phase=BatchPhase.DONE, summary=summary, has_results=True)


def batch_records(context: Context) -> Records[BatchRecord]:
    """Return the record of a task's batch.

    :param context: the task's context
    """
    return Records(TaskStateRecordStore(context, BATCH_KEY), BatchRecord)


def claim_records(context: Context) -> Records[Claim]:
    """Return the latest claim of a task's tries.

    :param context: the task's context
    """
    return Records(TaskStateRecordStore(context, CLAIM_KEY), Claim)
