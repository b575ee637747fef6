"""What a task remembers over its processes, as JSON in a store: its run, its batch, what it has created."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_workflows.airflow_internals.task_state import (
    clears,
    never_expire,
    task_state_store,
)
from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.storage_retry import StorageRetry

if TYPE_CHECKING:
    from airflow.sdk import Context
    from typing_extensions import Self

    from airflow_provider_workflows.batch.manifest import Manifest
    from airflow_provider_workflows.batch.ownership import Claim
    from airflow_provider_workflows.batch.place import BatchPlace

#: The keys of the task's state store. A record is written whole under its key, so that it is never half true.
RUN_KEY = "workflow_run"
CASE_KEY = "workflow_case"
PARAMETERS_KEY = "workflow_parameters"
BATCH_KEY = "workflow_batch"
OUTAGE_KEY = "workflow_status_outage"
CLAIM_KEY = "workflow_batch_claim"

#: How often the digest of a created case is iterated; it takes some 40 ms.
DIGEST_ITERATIONS = 50_000


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
    :param case_id: id of the case
    :param parameters_id: id of the parameters; None for a workflow without any
    :param workflow_id: id of the run, once it is known
    :param started: when the run was started, in seconds since the epoch
    :param status: the status in which the run ended
    :param earlier: the records that this one has taken the place of, the latest first, until its run has ended
        well: those of starts before, or of another input
    :param host: base URL of the service at which the run is
    """

    phase: RunPhase
    workflow_definition_id: str
    case_id: str
    parameters_id: str | None = None
    workflow_id: str | None = None
    started: float | None = None
    status: str | None = None
    earlier: tuple[Self, ...] = ()
    host: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        earlier = [record.to_json() for record in self.earlier]
        return _without_none(
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

    def has_input_of(self, other: RunRecord) -> bool:
        """Return whether the run is of the same definition, case and parameters as another."""
        return self._input == other._input

    @property
    def _input(self) -> tuple[str, ...]:
        ids = (self.workflow_definition_id, self.case_id, self.parameters_id or "")
        return tuple(text.strip().lower() for text in ids)


@dataclass(frozen=True)
class CreationRecord:
    """What a task remembers of the case, or of the parameters, that it has created: nothing of what is in them.

    :param created_id: the id that the service gave
    :param salt: random bytes, in hexadecimal
    :param digest: a digest of the input, keyed by the salt, in hexadecimal
    """

    created_id: str
    salt: str
    digest: str

    @classmethod
    def of(cls, created_id: str, content: object) -> Self:
        """Return the record of what was created.

        :param created_id: the id that the service gave
        :param content: the input, as JSON
        """
        salt = secrets.token_hex(16)
        return cls(created_id, salt, _digest(content, salt))

    def is_of(self, content: object) -> bool:
        """Return whether that was created from the same input."""
        return hmac.compare_digest(self.digest, _digest(content, self.salt))

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that ``to_json`` made JSON of.

        :raises TypeError: if there are other fields
        """
        return cls(**fields)


def _digest(content: object, salt: str) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=False).encode()
    # Slow on purpose: there are so few personal numbers that a fast hash of one would be found by trying them all.
    return hashlib.pbkdf2_hmac("sha256", text, bytes.fromhex(salt), DIGEST_ITERATIONS).hex()


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
    :param host: base URL of the service at which the runs are
    """

    phase: BatchPhase
    begun_at: float
    place: BatchPlace
    manifest: Manifest
    summary: Mapping[str, Any] | None = None
    cases: int = 0
    earlier: tuple[str, ...] = ()
    has_results: bool = False
    host: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return _without_none(
            {
                "phase": self.phase.value,
                "begun_at": self.begun_at,
                "place": self.place.to_json(),
                "manifest": dataclasses.asdict(self.manifest),
                "summary": None if self.summary is None else dict(self.summary),
                "cases": self.cases,
                "earlier": list(self.earlier),
                "has_results": self.has_results,
                "host": self.host,
            }
        )

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that ``to_json`` made JSON of.

        :raises TypeError: if there are other fields
        :raises ValueError: if a value cannot be right
        """
        # Not above: a task with a single run has no use for the 20 modules of the batch.
        from airflow_provider_workflows.batch.manifest import Manifest  # noqa: PLC0415
        from airflow_provider_workflows.batch.place import BatchPlace  # noqa: PLC0415

        typed = {
            "phase": BatchPhase(fields["phase"]),
            "place": BatchPlace.from_json(fields["place"]),
            "manifest": Manifest(**fields["manifest"]),
            "earlier": tuple(fields["earlier"]),
        }
        return cls(**{**fields, **typed})

    def at(self, phase: BatchPhase, *, cases: int | None = None) -> Self:
        """Return the record with another phase.

        :param cases: number of rows that have a case by then; None if that has not changed
        """
        return dataclasses.replace(
            self,
            phase=phase,
            cases=self.cases if cases is None else cases,
            has_results=self.has_results or phase is BatchPhase.FAILED,
        )

    def done(self, summary: Mapping[str, Any]) -> Self:
        """Return the record of a batch that has succeeded, with what the task returns."""
        return dataclasses.replace(self, phase=BatchPhase.DONE, summary=summary, has_results=True)


@dataclass(frozen=True)
class OutageRecord:
    """What a rescheduled sensor remembers of an outage, since each of its polls is a process of its own.

    :param since: when the first of its polls failed, in seconds since the epoch
    :param last_failure_at: when the latest poll failed, in seconds since the epoch
    :param try_number: the try of the task that they belong to
    """

    since: float
    last_failure_at: float
    try_number: int

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that ``to_json`` made JSON of.

        :raises TypeError: if there are other fields
        """
        return cls(**fields)


class Record(Protocol):
    """One of the records above."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record that ``to_json`` made JSON of."""


class RecordStore(Protocol):
    """Keeps one JSON object of a task over its tries, and over clears."""

    @property
    def was_cleared(self) -> bool:
        """Whether the task was cleared since the object that ``read`` has returned was written."""

    def read(self) -> Mapping[str, Any] | None:
        """Return the object, or None if nothing is stored."""

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write the object in place of the one that is there; it is stored once this returns."""

    def delete(self) -> None:
        """Remove the object."""


class TaskStateRecordStore:
    """Keeps a record in Airflow's task state store, beside the number by which a clear shows.

    :param context: the task's context
    :param key: the key in the store
    :raises AirflowFailException: if this Airflow has no task state store
    """

    def __init__(self, context: Context, key: str) -> None:
        self._store = task_state_store(context)
        self._clears = clears(context)
        self._key = key
        self._was_cleared = False

    @property
    def was_cleared(self) -> bool:
        """Whether the task was cleared since the record that ``read`` has returned was written."""
        return self._was_cleared

    def read(self) -> Mapping[str, Any] | None:
        """Return what an earlier try has written, whether it was cleared or not."""
        stored = self._store.get(self._key)
        if not isinstance(stored, Mapping):
            return None
        self._was_cleared = stored.get("clears") != self._clears
        return {name: value for name, value in stored.items() if name != "clears"}

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write the record in place of the one that is there."""
        self._store.set(self._key, {**fields, "clears": self._clears}, retention=never_expire())

    def delete(self) -> None:
        """Remove the record."""
        self._store.delete(self._key)


RecordT = TypeVar("RecordT", bound=Record)


class Records(Generic[RecordT]):
    """The record of one task, typed.

    :param store: keeps it as JSON
    :param kind: the class of the record
    """

    #: The format of what is stored. Another number is another version's, which this one must not guess at.
    FORMAT = 1

    def __init__(self, store: RecordStore, kind: type[RecordT]) -> None:
        self._store = store
        self._kind = kind

    def read(self) -> RecordT | None:
        """Return the record that an earlier try has written, or None if nothing is stored.

        :raises OutcomeUnknown: if the record cannot be read: submitting anew might run, and bill, all again
        """
        stored = self._store.read()
        if stored is None:
            return None
        fields = dict(stored)
        written_format = fields.pop("format", None)
        if written_format == self.FORMAT:
            with contextlib.suppress(LookupError, TypeError, ValueError):
                return self._kind.from_json(fields)
        raise OutcomeUnknown(
            f"The task's record of an earlier try has format {written_format!r}, and this version of "
            f"airflow-provider-workflows reads format {self.FORMAT}, so what was submitted is not known. "
            'Install the version that wrote it, or set on_clear="start_over" and clear the task.'
        )

    @property
    def was_cleared(self) -> bool:
        """Whether the task was cleared since the record that ``read`` has returned was written."""
        return self._store.was_cleared

    def write(self, record: RecordT) -> RecordT:
        """Write a record in place of the one that is there, and return it."""
        self._store.write({"format": self.FORMAT, **record.to_json()})
        return record

    def delete(self) -> None:
        """Remove the record."""
        self._store.delete()


def store_retry(
    what: str, log: Any, *, is_stopped: Callable[[], bool] | None = None, **time: Any
) -> StorageRetry:
    """Return what tries again to write a record, as an API server may be restarted.

    :param what: what is written, as the subject of a sentence
    :param log: the task's log
    :param is_stopped: returns whether the task was told to stop
    :param time: the clock and the like, as ``StorageRetry`` takes them
    """
    return StorageRetry(
        f"{what} in Airflow's task state store",
        meanwhile="the task waits",
        is_stopped=is_stopped,
        log=log,
        **time,
    )


@contextlib.contextmanager
def best_effort(log: Any) -> Iterator[None]:
    """Log what goes wrong with Airflow's store, so that it does not take the place of the task's own error.

    :param log: the task's log
    """
    try:
        yield
    except Exception:
        log.exception("Airflow's task state store could not be written.")


def run_records(context: Context) -> Records[RunRecord]:
    """Return the record of a task's run.

    :param context: the task's context
    """
    return Records(TaskStateRecordStore(context, RUN_KEY), RunRecord)


def creation_records(context: Context, key: str) -> Records[CreationRecord]:
    """Return the record of the case, or of the parameters, that a task has created.

    :param context: the task's context
    :param key: ``CASE_KEY`` or ``PARAMETERS_KEY``
    """
    return Records(TaskStateRecordStore(context, key), CreationRecord)


def batch_records(context: Context) -> Records[BatchRecord]:
    """Return the record of a task's batch.

    :param context: the task's context
    """
    return Records(TaskStateRecordStore(context, BATCH_KEY), BatchRecord)


def outage_records(context: Context) -> Records[OutageRecord]:
    """Return the record of a sensor's outage.

    :param context: the task's context
    """
    return Records(TaskStateRecordStore(context, OUTAGE_KEY), OutageRecord)


def claim_records(context: Context) -> Records[Claim]:
    """Return the latest claim of a task's tries.

    :param context: the task's context
    """
    from airflow_provider_workflows.batch.ownership import Claim  # noqa: PLC0415  (as above)

    return Records(TaskStateRecordStore(context, CLAIM_KEY), Claim)


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
