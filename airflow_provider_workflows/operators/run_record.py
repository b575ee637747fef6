"""What a task remembers of its run, over its tries and clears."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.operators.records import Records, TaskStateRecordStore, without_none

if TYPE_CHECKING:
    from airflow.sdk import Context
    from typing_extensions import Self

#: The key of the record in the task's state store.
RUN_KEY = "workflow_run"


class RunPhase(str, enum.Enum):
    """How far a task has come with its run."""

    SUBMITTING = "submitting"
    """The request is about to be sent: a run may exist."""
    NOT_SUBMITTED = "not_submitted"
    """The request was surely not carried out: there is no run."""
    SUBMITTED = "submitted"
    """The run's id is known."""
    SUCCEEDED = "succeeded"
    """The run has ended in a success status."""
    FAILED = "failed"
    """The run has ended in a failure status: a retry submits a new one."""


@dataclass(frozen=True)
class RunRecord:
    """What a task remembers of its run.

    :param phase: how far it has come
    :param workflow_definition_id: id of the workflow definition
    :param case_id: id of the case, if there is one
    :param parameters_id: id of the parameters; None for a workflow without any
    :param workflow_id: id of the run, once it is known
    :param started: when the run was started, in seconds since the epoch
    :param status: the status in which the run ended
    :param earlier: the records that this one has taken the place of, the latest first, until its run has ended
        well: those of starts before, or of another input
    :param host: base URL of the service at which the run is
    :param followed: id of the latest instruction of a person that was followed
    :param submission_id: names the submission of the run: what is handed over has it too
    :param record_id: id of the record that the run is about
    :param inline_digest: a digest of the parameters that the run was started with inline
    :param link_sent: whether its end user's link was handed to all callbacks; None if not
    :param versions: what the service has said of its revision and execution version, as ``versions_of`` returns it
    """

    phase: RunPhase
    workflow_definition_id: str
    case_id: str | None = None
    parameters_id: str | None = None
    workflow_id: str | None = None
    started: float | None = None
    status: str | None = None
    earlier: tuple[Self, ...] = ()
    host: str | None = None
    followed: str | None = None
    submission_id: str | None = None
    record_id: str | None = None
    inline_digest: str | None = None
    link_sent: bool | None = None
    versions: Mapping[str, int | str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        earlier = [record.to_json() for record in self.earlier]
        return without_none(
            dataclasses.asdict(self) | {"phase": self.phase.value, "earlier": earlier or None}
        )

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that ``to_json`` made JSON of.

        :raises TypeError: if there are other fields
        :raises ValueError: if a value cannot be right
        """
        earlier = tuple(map(cls.from_json, fields.get("earlier", ())))
        record = cls(**{**fields, "phase": RunPhase(fields["phase"]), "earlier": earlier})
        if record.phase is RunPhase.SUBMITTED and (record.workflow_id is None or record.started is None):
            raise ValueError("a run that was submitted has an id")
        if record.phase is RunPhase.SUCCEEDED and record.workflow_id is None:
            raise ValueError("a run that has succeeded has an id")
        return record

    @property
    def history(self) -> tuple[Self, ...]:
        """This record alone, and each of the earlier ones, the latest first."""
        return (dataclasses.replace(self, earlier=()), *self.earlier)

    def without(self, run: Self) -> tuple[Self, ...]:
        """Return the history without one of its records, the latest first."""
        return tuple(one for one in self.history if one != run)

    def has_input_of(self, other: RunRecord) -> bool:
        """Return whether the run was started with the same ids and inline parameters as another."""
        return self.has_ids_of(other) and self.inline_digest == other.inline_digest

    def has_ids_of(self, other: RunRecord) -> bool:
        """Return whether the run was started for the same definition, case, set of parameters and record."""
        return self._ids == other._ids

    @property
    def _ids(self) -> tuple[str, ...]:
        ids = (self.workflow_definition_id, self.case_id, self.parameters_id, self.record_id)
        return tuple((text or "").strip().lower() for text in ids)

    @property
    def subject(self) -> str:
        """The words for what the run is for, by its ids."""
        return RunDetails(self.workflow_definition_id, self.case_id, record_id=self.record_id).subject


@dataclass(frozen=True)
class StartedRun:
    """A run that was started.

    :param workflow_id: its id
    :param started: when it was started, in seconds since the epoch
    :param status: the success status in which it has ended, if that is known
    :param expires_at: when it expires, in seconds since the epoch, if the response that started it has said so
    :param link: its end user's link, if the response that started it has it
    :param link_sent: whether an earlier try has had the link sent
    :param versions: what the service has said of its revision and execution version, if anything
    """

    workflow_id: str
    started: float
    status: str | None = None
    expires_at: float | None = None
    link: str | None = field(default=None, repr=False)
    link_sent: bool = False
    versions: Mapping[str, int | str] | None = None


def run_records(context: Context) -> Records[RunRecord]:
    """Return the record of a task's run.

    :param context: the task's context
    """
    return Records(TaskStateRecordStore(context, RUN_KEY), RunRecord)
