"""The state of each row of a batch, as its journal says, and the row's outcome."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import WorkflowFailed
from airflow_provider_workflows.api.status import Outcome, Statuses

if TYPE_CHECKING:
    from airflow_provider_workflows.api.errors import WorkflowsError


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
    """The call that starts a run was cut off or its response lost, so nobody knows whether there is a run."""
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
    :param submitted_at: when the run was started, or the request for it was sent, in seconds since the epoch
    :param begun: the call that is under way, or whose response was lost: ``"resource"``, ``"case"``, ``"record"``,
        ``"parameters"`` or ``"run"``
    :param status: the workflow's status that ended the wait for it
    :param ended_at: when that was seen, in seconds since the epoch
    :param error: the fields of the error that the row met
    :param compared_case_id: id of the row's case, if the response that started the run named another: then polls
        compare it
    :param compared_record_id: the same of the row's record
    :param withheld: whether a person has said that the row is not submitted before the next clear
    :param record_id: id of the row's record, once there is one
    :param documents: the documents that its files have become, each with the digest of its file
    :param had_run: whether it has had a run, where it has neither a case nor a record
    :param revision: the definition's revision that the run is of, as the service gives it
    :param execution_version: the version that executes the run, likewise
    """

    case_id: str | None = None
    parameters_id: str | None = None
    workflow_id: str | None = None
    submitted_at: float | None = None
    begun: str | None = None
    status: str | None = None
    ended_at: float | None = None
    error: Mapping[str, Any] | None = None
    compared_case_id: str | None = None
    compared_record_id: str | None = None
    withheld: bool | None = None
    record_id: str | None = None
    had_run: bool | None = None
    documents: Sequence[Mapping[str, str]] | None = None
    revision: int | str | None = None
    execution_version: int | str | None = None

    @property
    def is_begun(self) -> bool:
        """Whether the service has something of the row, which stays so when the row is submitted again."""
        return self.case_id is not None or self.record_id is not None or self.had_run is not None

    def change(self, entry: Mapping[str, Any], fields: AbstractSet[str] | None = None) -> None:
        """Apply an entry of the journal; fields that it does not name stay as they are.

        An entry that says how a run has ended names the run. It is left out if the row has another run by now: a
        triggerer that lags may write of the one before. A new run has not ended.

        :param entry: values by the names of fields
        :param fields: the fields that are needed; None for all
        """
        workflow_id = entry.get("workflow_id")
        if workflow_id is not None and workflow_id != self.workflow_id:
            if "ended_at" in entry or "status" in entry:
                return
            self.status = self.ended_at = self.error = None
        for name, value in entry.items():
            if name != "row" and (fields is None or name in fields):
                setattr(self, name, value)

    @property
    def has_no_run(self) -> bool:
        """Whether the row surely has no run: no response to the call that starts one was lost.

        A case, a record or parameters too many cost nothing, so that those calls are simply made again.
        """
        return self.workflow_id is None and self.begun != "run"

    @property
    def is_due(self) -> bool:
        """Whether the row has no run and may be submitted."""
        return self.has_no_run and not self.withheld

    @property
    def is_running(self) -> bool:
        """Whether the row has a run that was not seen to end."""
        return self.workflow_id is not None and self.ended_at is None

    @property
    def is_overdue(self) -> bool:
        """Whether the row's run was past its expiry and pending when the wait for it ended: it may go on.

        A run that was seen to fail has a status, and no error.
        """
        return self.ended_at is not None and (self.error or {}).get("kind") == WorkflowFailed.__name__

    def has_ended_by(self, statuses: Statuses) -> bool:
        """Return whether the row's run was seen in a status that ends it.

        The wait for a run may have ended in another way: the service did not know it or refused access to it,
        because the connection led elsewhere for a while, or the connection says now that the status is no end.

        :param statuses: which status means what, as the connection says
        """
        return (
            self.ended_at is not None
            and self.status is not None
            and self.error is None
            and statuses.outcome(self.status) is not Outcome.PENDING
        )

    def outcome(self, statuses: Statuses) -> RowOutcome:
        """Return what became of the row, as far as the journal says.

        :param statuses: which status means what, as the connection says
        """
        if self.has_no_run:
            return RowOutcome.NOT_SUBMITTED
        if self.workflow_id is None:
            return RowOutcome.UNKNOWN
        if self.is_running:
            return RowOutcome.RUNNING
        if self.error is not None or self.status is None:
            return RowOutcome.FAILED
        return OUTCOMES[statuses.outcome(self.status)]


#: An entry that has a row's run be waited for again.
WAIT_AGAIN: Mapping[str, None] = dict.fromkeys(("status", "ended_at", "error"))

#: An entry that makes a row due again; it keeps its case or record and its parameters.
SUBMIT_AGAIN: Mapping[str, None] = dict.fromkeys(
    (
        "workflow_id",
        "submitted_at",
        "begun",
        "status",
        "ended_at",
        "error",
        "compared_case_id",
        "compared_record_id",
        "withheld",
        "revision",
        "execution_version",
    )
)


def error_fields(error: WorkflowsError) -> dict[str, Any]:
    """Return the fields of an error that the journal keeps for each row that met it."""
    return {name: value for name, value in error.to_json().items() if value is not None and name != "detail"}
