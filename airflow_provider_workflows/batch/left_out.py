"""The runs of rows that an input has no more: a row that comes back as it was is not paid for again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.batch.state_files import read_lines
from airflow_provider_workflows.storage import shown
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

_NAME = "left_out.jsonl"

RowContent: TypeAlias = tuple[str, str]
"""The key and the digest of a row."""


def read_left_out(state_folder: ObjectStoragePath) -> dict[RowContent, RowState]:
    """Return the states of rows that were in an input before, by key and digest.

    :param state_folder: where the batch keeps its state
    :raises OutcomeUnknown: if the file cannot be read
    """
    try:
        lines = [json.loads(line) for line in read_lines(state_folder / _NAME)]
    except FileNotFoundError:
        return {}
    except ValueError:
        raise _cannot_be_read(state_folder) from None
    try:
        return {(line["key"], line["digest"]): RowState(**line["state"]) for line in lines}
    except (LookupError, TypeError):
        raise _cannot_be_read(state_folder) from None


def _cannot_be_read(state_folder: ObjectStoragePath) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{shown(state_folder / _NAME)} cannot be read, so it is not known which rows have a run, and nothing was "
        'sent. Put the file back as it was, or set on_clear="start_over" and clear the task, which submits all '
        "rows anew."
    )


def write_left_out(state_folder: ObjectStoragePath, rows: Mapping[RowContent, RowState]) -> None:
    """Write the states of rows that were in an input before and may have a run; nothing if there are no such rows.

    :param state_folder: where the batch keeps its state
    :param rows: the states, by key and digest
    :raises Exception: if the file cannot be written
    """
    lines = list(_lines(rows))
    if lines:
        write_whole(state_folder / _NAME, b"".join(lines))


def _lines(rows: Mapping[RowContent, RowState]) -> Iterable[bytes]:
    for (key, digest), state in rows.items():
        if not state.has_no_run:
            # A row that comes back is submitted by the next clear, or was withheld before that.
            kept = dataclasses.replace(state, withheld=None)
            fields = {name: value for name, value in dataclasses.asdict(kept).items() if value is not None}
            yield json.dumps({"key": key, "digest": digest, "state": fields}).encode() + b"\n"
