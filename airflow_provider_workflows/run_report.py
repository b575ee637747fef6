"""What there is to say of a single run: its page, its alerts and other tasks read it, in other processes."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import (
    DeadlineReached,
    OutcomeUnknown,
    WorkflowFailed,
    WorkflowsError,
    workflows_error_in,
)

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = 1
KIND = "run"
#: While a run goes on, its report is written once in this many seconds, and a line is logged.
REPORT_SECONDS = 600.0


class RunOutcome(str, enum.Enum):
    """What has become of a run."""

    RUNNING = "running"
    """It goes on, or was not seen to end."""
    SUCCEEDED = "succeeded"
    """It has ended in a success status."""
    FAILED = "failed"
    """It has ended in a failure status."""
    UNKNOWN = "unknown"
    """The response to the call that starts it was lost: nobody knows whether there is a run."""
    NOT_SUBMITTED = "not_submitted"
    """There is no run."""


@dataclass(frozen=True)
class RunReport:
    """What there is to say of a run at one moment. Moments are seconds since the epoch; nothing in it is personal.

    :param conn_id: id of the connection
    :param at: when this was written
    :param workflow_definition_id: id of the workflow definition; None for a task that only waits
    :param workflow_id: id of the run, once it is known
    :param case_id: id of the case; None for a task that only waits
    :param parameters_id: id of the parameters
    :param outcome: what has become of it
    :param status: the status that was seen last
    :param submitted_at: when it was submitted, or the wait for it began
    :param ended_at: when it was seen to have ended
    :param polls: how often it was polled by this try
    :param last_poll_at: when it was polled last
    :param next_poll_at: when the next poll is due
    :param webhooks: whether a webhook says when it has ended
    :param poll_interval: seconds between two polls at least
    :param max_poll_interval: seconds between two polls at most
    :param dashboard_url: its page in the service's dashboard, where the connection says where that is
    :param error: ``{"type", "message", "code", "fingerprint"}`` of what went wrong
    :param try_number: number of the try
    """

    conn_id: str
    at: float
    workflow_definition_id: str | None = None
    workflow_id: str | None = None
    case_id: str | None = None
    parameters_id: str | None = None
    outcome: RunOutcome = RunOutcome.RUNNING
    status: str | None = None
    submitted_at: float | None = None
    ended_at: float | None = None
    polls: int = 0
    last_poll_at: float | None = None
    next_poll_at: float | None = None
    webhooks: bool = False
    poll_interval: float = 0.0
    max_poll_interval: float = 0.0
    dashboard_url: str | None = None
    error: Mapping[str, Any] | None = None
    try_number: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        error = None if self.error is None else dict(self.error)
        return {"format": FORMAT, "kind": KIND, **fields, "outcome": self.outcome.value, "error": error}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the report that ``to_json`` made JSON of.

        :raises LookupError: if a field is missing
        :raises TypeError: if there are other fields
        :raises ValueError: if it is of another format, or a value cannot be right
        """
        given = dict(fields)
        if (given.pop("format"), given.pop("kind")) != (FORMAT, KIND):
            raise ValueError("it is not a report of a run in the format that this version reads")
        return cls(**{**given, "outcome": RunOutcome(given["outcome"])})

    def failed(self, error: WorkflowsError, at: float) -> Self:
        """Return the report of a run whose task fails.

        :param error: what went wrong
        :param at: now
        """
        outcome = RunOutcome.RUNNING if self.workflow_id else RunOutcome.NOT_SUBMITTED
        status, ended_at = self.status, self.ended_at
        if isinstance(error, OutcomeUnknown):
            outcome = RunOutcome.UNKNOWN
        elif isinstance(error, WorkflowFailed):
            outcome, status, ended_at = RunOutcome.FAILED, error.workflow_status, at
        elif isinstance(error, DeadlineReached):
            status = error.workflow_status
        return dataclasses.replace(
            self,
            outcome=outcome,
            status=status,
            ended_at=ended_at,
            next_poll_at=None,
            error=error_json(error),
            at=at,
        )


def error_json(error: WorkflowsError) -> dict[str, Any]:
    """Return what a report says of an error; its words hold nothing personal.

    :param error: what went wrong
    """
    return {
        "type": type(error).__name__,
        "message": str(error),
        "code": error.code,
        "fingerprint": error.fingerprint,
    }


def failure_json(failure: BaseException) -> dict[str, Any]:
    """Return what a report says of what fails a task; of an exception of another package its type alone.

    :param failure: what was raised
    """
    error = workflows_error_in(failure)
    if error is not None:
        return error_json(error)
    return {"type": type(failure).__name__, "message": "", "code": None, "fingerprint": None}
