"""The states that earlier tries of a batch's task, and other tasks, have left beside its output."""

from __future__ import annotations

import contextlib
from typing import Any

from airflow_provider_workflows.airflow_internals.supervisor import has_ended
from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.batch.place import BatchFile, StateFolders, remove_state
from airflow_provider_workflows.operators.batch_record import BatchRecord
from airflow_provider_workflows.storage import ObjectStoragePath, shown
from airflow_provider_workflows.task_identity import TaskIdentity


class EarlierStates:
    """The state folders beside an output, as this try finds them.

    :param task: the task
    :param folders: the state folders
    :param log: the task's log
    """

    def __init__(self, task: TaskIdentity, folders: StateFolders, log: Any) -> None:
        self._task = task
        self._folders = folders
        self._log = log

    def record(self, *, starts_over: bool) -> BatchRecord | None:
        """Return the record of the latest start, of which Airflow has none; None if there was no start.

        :param starts_over: whether all rows are submitted anew, whatever there is
        :raises OutcomeUnknown: if a start may have submitted rows, and its record cannot be read
        """
        for folder in reversed(self._folders.own):
            record = self._read(folder)
            if record is not None:
                self._log.warning(
                    "Airflow has no record of the earlier tries of this task; their state is in %s. What "
                    "on_clear says holds for that. It cannot be known whether a later try has left nothing there.",
                    shown(folder),
                )
                return record
            if not starts_over and _may_have_runs(folder):
                raise OutcomeUnknown(
                    f"Airflow has no record of the earlier tries of this task, and batch.json in {shown(folder)} "
                    "cannot be read, so nobody knows what was submitted, and nothing was sent. Put the file back "
                    'as it was, or set on_clear="start_over" and clear the task, which submits all rows anew.'
                )
        return None

    def latest(self) -> BatchRecord | None:
        """Return the record of the latest start whose record can be read; None if there is no such start."""
        return next(filter(None, map(self._read, reversed(self._folders.own))), None)

    def _read(self, folder: ObjectStoragePath) -> BatchRecord | None:
        batch = BatchFile.read(folder)
        if batch is not None and batch.task == self._task:
            with contextlib.suppress(LookupError, TypeError, ValueError):
                return BatchRecord.from_json(batch.record)
        return None

    def warn_of_deleted_run(self) -> None:
        """Say in the log what is there of a DAG run of the same name, of which Airflow has no record."""
        earlier = [shown(folder) for folder in self._folders.own if _may_have_runs(folder)]
        if earlier:
            self._log.warning(
                "A DAG run of the same name has submitted rows before, and Airflow has no record of it: all rows "
                "are submitted anew, and billed again. What was submitted is in %s until this batch has ended "
                "well.",
                ", ".join(earlier),
            )

    def remove(self, record: BatchRecord) -> None:
        """Remove the states of earlier starts, and those of other tasks whose output this one has replaced.

        One in which a run has not ended stays: its id is nowhere else.

        :param record: the record of a batch that has ended well
        """
        others = [
            folder
            for folder in self._folders.others
            if (batch := BatchFile.read(folder)) is not None and (batch.is_over or has_ended(batch.task))
        ]
        # Also of a start that was killed before it was recorded.
        own = [str(folder) for folder in StateFolders(record.place.folder, self._task.state_name).own]
        earlier = dict.fromkeys((*record.earlier, *own))
        earlier.pop(str(record.place.state_folder), None)
        for folder in [*map(ObjectStoragePath, earlier), *others]:
            # What is left of an earlier start must not fail a batch that has ended well.
            with contextlib.suppress(Exception):
                if any(state.is_running for state in states(folder).values()):
                    self._log.info("The state in %s stays, because a run in it has not ended.", shown(folder))
                else:
                    remove_state(folder)


def _may_have_runs(state_folder: ObjectStoragePath) -> bool:
    try:
        return any(state.case_id is not None for state in states(state_folder).values())
    except FileNotFoundError:
        return False
    except (LookupError, TypeError, ValueError):
        return True
