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
from airflow_provider_workflows.api.polling import FRACTION_OF_AGE

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_workflows.api.polling import Wait

FORMAT = 1
KIND = "run"
#: The report of a run that goes on is written after a poll, once in this many seconds at most.
MIN_REPORT_SECONDS = 10.0
#: A report that is older than this is followed by one after the next poll.
MAX_REPORT_SECONDS = 600.0


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
    :param polls: how often it was polled by this try, as far as was reported before a webhook has ended the wait
    :param last_poll_at: when it was polled last
    :param next_poll_at: when the next poll is due
    :param webhooks: whether a webhook says when it has ended
    :param poll_interval: seconds between two polls at least
    :param max_poll_interval: seconds between two polls at most
    :param dashboard_url: its page in the service's dashboard, where the connection says where that is
    :param error: ``{"type", "message", "code", "fingerprint"}`` of what went wrong
    :param try_number: number of the try
    :param revision: the definition's revision that the run is of, if the service has said so
    :param execution_version: the version that executes it, likewise
    :param record_id: id of the record that it is about
    :param expires_at: when it expires, if the service has said so
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
    revision: int | str | None = None
    execution_version: int | str | None = None
    record_id: str | None = None
    expires_at: float | None = None

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

    def with_evidence(self, said: Mapping[str, Any]) -> Self:
        """Return the report with the record and the versions of the run where it has none.

        :param said: what a poll has said of the run, by the names of the report's fields; others are left out
        """
        evidence = ("record_id", "revision", "execution_version")
        missing: dict[str, Any] = {name: said.get(name) for name in evidence if getattr(self, name) is None}
        return dataclasses.replace(self, **missing)

    def failed(self, failure: BaseException, at: float, *, may_have_started: bool = False) -> Self:
        """Return the report of a run whose task fails.

        :param failure: what went wrong; of an exception of another package the type alone is reported
        :param at: now
        :param may_have_started: whether the call that starts a run was sent, and its response is not known
        """
        outcome = self.outcome
        if not self.workflow_id:
            outcome = RunOutcome.UNKNOWN if may_have_started else RunOutcome.NOT_SUBMITTED
        status, ended_at = self.status, self.ended_at
        error = workflows_error_in(failure)
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
            error=failure_json(failure),
            at=at,
        )


def is_report_due(wait: Wait, now: float, *, reported_at: float, status: str | None) -> bool:
    """Return whether a run that goes on is to be reported again.

    A report stands for about as long as lies between two polls, which grows with the run's age, within bounds; not
    so long once another status was seen.

    :param wait: the wait for the run
    :param now: seconds since the epoch
    :param reported_at: when it was reported last, in seconds since the epoch
    :param status: the status that was reported
    """
    seconds = min(max(FRACTION_OF_AGE * (now - wait.started), MIN_REPORT_SECONDS), MAX_REPORT_SECONDS)
    return now - reported_at >= (seconds if wait.status == status else MIN_REPORT_SECONDS)


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
    # Its text may be personal.
    words = "The task's log has its text."
    return {"type": type(failure).__name__, "message": words, "code": None, "fingerprint": None}
