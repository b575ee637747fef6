"""What is known of each row of a batch, and what that makes of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.api.status import Outcome, Statuses


class RowOutcome(str, enum.Enum):
    """What became of a row."""

    SUCCEEDED = "succeeded"
    """The workflow ended in a success status, and its result is in the output."""
    FAILED = "failed"
    """The workflow ended in a failure status."""
    RUNNING = "running"
    """The workflow goes on, or could not be polled for too long."""
    RESULT_MISSING = "result_missing"
    """The workflow succeeded, and its result could not be fetched."""
    NOT_SUBMITTED = "not_submitted"
    """There is no run: the service refused it, or could not be reached."""
    UNKNOWN = "unknown"
    """A call was cut off or its response lost, so nobody here knows whether there is a run."""
    SKIPPED = "skipped"
    """The row was bad, and nothing was sent for it."""


#: What the end of a workflow makes of its row.
OUTCOMES = {
    Outcome.SUCCESS: RowOutcome.SUCCEEDED,
    Outcome.FAILURE: RowOutcome.FAILED,
    Outcome.PENDING: RowOutcome.RUNNING,
}


@dataclass(slots=True)
class RowState:
    """What the journal says of a row. A batch has a hundred thousand of these.

    :param case_id: id of the row's case, once there is one
    :param parameters_id: id of the row's own parameters
    :param workflow_id: id of its run
    :param submitted_at: when the run was started, in seconds since the epoch
    :param begun: the call that is under way, or of which nobody knows what became
    :param status: the workflow's status that ended the wait for it
    :param ended_at: when that was seen, in seconds since the epoch
    :param error: the fields of what went wrong
    """

    case_id: str | None = None
    parameters_id: str | None = None
    workflow_id: str | None = None
    submitted_at: float | None = None
    begun: str | None = None
    status: str | None = None
    ended_at: float | None = None
    error: Mapping[str, Any] | None = None

    def change(self, fields: Mapping[str, Any]) -> None:
        """Take in an entry of the journal; what it says nothing of stays as it was."""
        for name, value in fields.items():
            if name != "row":
                setattr(self, name, value)

    def outcome(self, statuses: Statuses) -> RowOutcome:
        """Return what became of the row, as far as the journal knows."""
        if self.workflow_id is None:
            return RowOutcome.NOT_SUBMITTED if self.begun is None else RowOutcome.UNKNOWN
        if self.ended_at is None:
            return RowOutcome.RUNNING
        if self.error is not None or self.status is None:
            return RowOutcome.FAILED
        return OUTCOMES[statuses.outcome(self.status)]


#: An entry that has a row submitted again: with the case and the parameters that it has.
SUBMIT_AGAIN: Mapping[str, None] = dict.fromkeys(
    ("workflow_id", "submitted_at", "begun", "status", "ended_at", "error")
)
