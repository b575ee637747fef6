"""Keep what a task remembers over its processes, its record, as JSON in the task's state store."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_provider_workflows.airflow_internals.supervisor import in_turn
from airflow_provider_workflows.airflow_internals.task_state import (
    clears,
    never_expire,
)
from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.operators.state_store import state_store
from airflow_provider_workflows.storage_retry import StorageRetry

if TYPE_CHECKING:
    from airflow.sdk import Context
    from typing_extensions import Self


@dataclass(frozen=True)
class FlatRecord:
    """A record whose fields are JSON as they are."""

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
    """What a task remembers: a frozen dataclass."""

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
    """Keeps a record in the task's state store, beside the number by which a clear shows.

    :param context: the task's context
    :param key: the key in the store
    :param outlasts_clear: as in ``state_store``
    :raises AirflowFailException: if the task has no state store
    """

    def __init__(self, context: Context, key: str, *, outlasts_clear: bool = True) -> None:
        self._store = state_store(context, outlasts_clear=outlasts_clear)
        self._clears = clears(context)
        self._key = key
        self._was_cleared = False

    @property
    def was_cleared(self) -> bool:
        """Whether the task was cleared since the record that ``read`` has returned was written."""
        return self._was_cleared

    def read(self) -> Mapping[str, Any] | None:
        """Return what an earlier try has written, whether it was cleared or not."""
        with in_turn():
            stored = self._store.get(self._key)
        if not isinstance(stored, Mapping):
            return None
        self._was_cleared = stored.get("clears") != self._clears
        return {name: value for name, value in stored.items() if name != "clears"}

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write the record in place of the one that is there."""
        with in_turn():
            self._store.set(self._key, {**fields, "clears": self._clears}, retention=never_expire())

    def delete(self) -> None:
        """Remove the record."""
        with in_turn():
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
        f"{what} in the task's state store",
        meanwhile="the task waits",
        is_stopped=is_stopped,
        log=log,
        **time,
    )


@contextlib.contextmanager
def best_effort(log: Any) -> Iterator[None]:
    """Log what goes wrong with the store, so that it does not take the place of the task's own error.

    :param log: the task's log
    """
    try:
        yield
    except Exception:
        log.exception("The task's state store could not be written.")


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
