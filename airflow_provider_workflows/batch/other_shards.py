"""The runs of rows that were in another shard before: an export in another order moves rows from shard to shard."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.batch.left_out import RowContent, read_left_out
from airflow_provider_workflows.batch.manifest import Manifest, read_manifest, read_salt
from airflow_provider_workflows.batch.place import BatchFile, StateFolders
from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.batch.state_files import names_in
from airflow_provider_workflows.task_identity import TaskIdentity

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: A shard that ends well meanwhile removes what it had before: its folders are then listed again.
_LISTINGS = 3


def salt_of_shards(task: TaskIdentity) -> str:
    """Return the salt of the digests of all shards of a mapped task, by which a row is found in another shard.

    :param task: one of its map indexes
    """
    identity = (task.dag_id, task.run_id, task.task_id)
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:32]


def find_in_other_shards(
    folder: ObjectStoragePath, task: TaskIdentity, wanted: Mapping[RowContent, int]
) -> dict[int, RowState]:
    """Return the states of rows that have, or may have, a run in another shard of the same task.

    :param folder: the folder of the shard's output, beside those of the others
    :param task: the shard's task
    :param wanted: the numbers of the rows, by key and digest
    :raises Exception: if a state cannot be read
    """
    found: dict[int, RowState] = {}
    for name in names_in(folder.parent):
        if name.isdigit() and int(name) != task.map_index:
            other = dataclasses.replace(task, map_index=int(name))
            for content, state in _rows_of(folder.parent / name, other):
                if content in wanted and not state.has_no_run:
                    found.setdefault(wanted[content], state)
    return found


def _rows_of(folder: ObjectStoragePath, task: TaskIdentity) -> Iterator[tuple[RowContent, RowState]]:
    for _ in range(_LISTINGS):
        with contextlib.suppress(FileNotFoundError):
            rows: list[tuple[RowContent, RowState]] = []
            for state_folder in reversed(StateFolders(folder, task.state_name).own):
                rows += _rows_in(state_folder, task)
            yield from rows
            return


def _rows_in(state_folder: ObjectStoragePath, task: TaskIdentity) -> Iterator[tuple[RowContent, RowState]]:
    batch = BatchFile.read(state_folder)
    # One that was killed before it was recorded has submitted nothing.
    if batch is None or read_salt(state_folder) != salt_of_shards(task):
        return
    of_rows = states(state_folder)
    for row in read_manifest(state_folder, Manifest(**batch.record["manifest"])):
        if (state := of_rows.get(row.number)) is not None:
            yield (row.key, row.digest), state
    yield from read_left_out(state_folder).items()
