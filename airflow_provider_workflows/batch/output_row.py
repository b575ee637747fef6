"""One row of the output of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One row of the output, for one row of the input; the order of fields is the order of columns.

    :param key: the row's own identifier, its number where it has none; empty for a skipped row that has none
    :param row: its number in the whole input, from 1
    :param outcome: how the row ended
    :param status: the workflow's status at the last poll
    :param case_id: id of the case
    :param workflow_id: id of the workflow
    :param submitted_at: when it was submitted, as ``iso`` writes it
    :param ended_at: when it was seen to have ended, as ``iso`` writes it
    :param result: what the workflow found out
    :param error_code: a name for what went wrong
    :param error: what went wrong, in words without a personal value
    :param personal_number_hash: keyed hash of the row's personal number, where hashes are asked for
    :param record_id: id of the record, in the output of a batch whose rows may have one
    :param revision: the definition's revision that the run is of, as text, where the service says so
    :param execution_version: the version that executes it, likewise
    """

    key: str = field(repr=False)
    row: int
    outcome: str
    status: str | None
    case_id: str | None
    workflow_id: str | None
    submitted_at: str | None
    ended_at: str | None
    result: dict[str, Any] | None = field(repr=False)
    error_code: str | None
    error: str | None
    personal_number_hash: str | None = None
    record_id: str | None = None
    revision: str | None = None
    execution_version: str | None = None

    def values(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return the value of each column.

        :param columns: what ``columns_of_output`` returned
        """
        # Not dataclasses.asdict, which copies the result.
        return {name: getattr(self, name) for name in columns}


RECORD_COLUMNS = ("record_id",)
VERSION_COLUMNS = ("revision", "execution_version")
#: The columns that an output has only with some generations of the API.
FURTHER_COLUMNS = (*RECORD_COLUMNS, *VERSION_COLUMNS)
#: The columns that each output has.
COLUMNS = tuple(column.name for column in dataclasses.fields(OutputRow) if column.name not in FURTHER_COLUMNS)
#: The columns that have a value in each row.
REQUIRED_COLUMNS = ("key", "row", "outcome")
#: The columns that are times.
TIME_COLUMNS = ("submitted_at", "ended_at")


def columns_of_output(further: Collection[str]) -> tuple[str, ...]:
    """Return the names of an output's columns, in order.

    :param further: those of ``FURTHER_COLUMNS`` that it has
    """
    return (*COLUMNS, *(name for name in FURTHER_COLUMNS if name in further))


def iso(seconds_since_epoch: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the millisecond: ``2026-01-31T23:59:59.000Z``."""
    if seconds_since_epoch is None:
        return None
    return _as_iso(datetime.fromtimestamp(seconds_since_epoch, timezone.utc))


def iso_of_microseconds(microseconds_since_epoch: int | None) -> str | None:
    """Return a time as ``iso`` does.

    :param microseconds_since_epoch: the time; None for none
    """
    if microseconds_since_epoch is None:
        return None
    return _as_iso(_EPOCH + timedelta(microseconds=microseconds_since_epoch))


def _as_iso(time: datetime) -> str:
    return f"{time.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
