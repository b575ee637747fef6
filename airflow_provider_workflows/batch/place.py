"""Where a batch is: its output, and the folder beside it that holds its state and names its task.

An output at which another task is at work is refused here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.state_files import names_in, read_whole
from airflow_provider_workflows.storage import (
    ObjectStoragePath,
    is_local,
    read_connection_again,
    remove_folder,
    shown,
)
from airflow_provider_workflows.storage_retry import StorageRetry
from airflow_provider_workflows.task_identity import TaskIdentity
from airflow_provider_workflows.whole_files import write_whole

STATE_FOLDER = "_state"
_BATCH_FILE = "batch.json"
_FORMAT = 1


@dataclass(frozen=True)
class BatchPlace:
    """Where a batch is.

    :param folder: the folder of the output
    :param state_folder: the folder of the manifest and the journal: another for each start, and for a changed input
    """

    folder: ObjectStoragePath
    state_folder: ObjectStoragePath

    @classmethod
    def named(cls, folder: ObjectStoragePath, name: str, number: int = 1) -> BatchPlace:
        """Return the place of a batch whose state is beside its output.

        :param folder: the folder of the output
        :param name: the name of the task's state folder
        :param number: counts the starts of the task, and its changed inputs
        """
        return cls(folder, folder / STATE_FOLDER / (name if number == 1 else f"{name}-{number}"))

    def to_json(self) -> dict[str, str]:
        """Return the place as JSON: two URIs."""
        return {"folder": str(self.folder), "state_folder": str(self.state_folder)}

    @classmethod
    def from_json(cls, fields: Mapping[str, str]) -> BatchPlace:
        """Return the place that ``to_json`` made JSON of."""
        return cls(ObjectStoragePath(fields["folder"]), ObjectStoragePath(fields["state_folder"]))


@dataclass(frozen=True)
class BatchFile:
    """What a state folder says of its batch, for other tasks, and for an Airflow that forgets a task's state.

    :param task: whose batch it is
    :param record: the record of the batch, as the task's state store has it
    :param is_over: whether the batch has ended for good
    :param ended_at: when the latest try has ended, in seconds since the epoch; None while one acts, or if it was
        killed
    """

    task: TaskIdentity
    record: Mapping[str, Any]
    is_over: bool = False
    ended_at: float | None = None

    def write(self, state_folder: ObjectStoragePath) -> None:
        """Write the file into a state folder.

        :raises Exception: what storage raised last, if it cannot be written for two minutes
        """
        path = state_folder / _BATCH_FILE
        retry = StorageRetry(
            f"The batch's file {shown(path)}",
            meanwhile="the task waits",
            renew=partial(read_connection_again, path),
        )
        retry.run(lambda: write_whole(path, self.content))

    @property
    def content(self) -> bytes:
        """What is written."""
        fields = {"format": _FORMAT, **dataclasses.asdict(self), "record": dict(self.record)}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def note_end(cls, state_folder: ObjectStoragePath, at: float) -> None:
        """Write into a state folder's file that the latest try has ended, which may go on in another.

        :param state_folder: where the batch keeps its state
        :param at: when, in seconds since the epoch
        :raises Exception: if it cannot be written, which is tried once: the task may have been told to stop
        """
        if (file := cls.read(state_folder)) is not None:
            write_whole(state_folder / _BATCH_FILE, dataclasses.replace(file, ended_at=at).content)

    @classmethod
    def read(cls, state_folder: ObjectStoragePath) -> BatchFile | None:
        """Return what a state folder says, or None where that cannot be read."""
        try:
            content = json.loads(read_whole(state_folder / _BATCH_FILE))
            if content["format"] != _FORMAT:
                return None
            task = TaskIdentity(**content["task"])
            return cls(task, content["record"], bool(content["is_over"]), content.get("ended_at"))
        except (FileNotFoundError, LookupError, TypeError, ValueError):
            return None


class StateFolders:
    """The state folders beside one output, of all tasks and all their starts.

    :param folder: the folder of the output
    :param name: the name of this task's state folder
    """

    def __init__(self, folder: ObjectStoragePath, name: str) -> None:
        self._folder = folder
        self._name = name
        self._names: list[str] = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            # An object store may have an object by the name of a folder.
            names = names_in(folder / STATE_FOLDER)
            self._names = [name for name in names if name not in ("", STATE_FOLDER)]

    @property
    def own(self) -> list[ObjectStoragePath]:
        """The state folders of this task, the latest last."""
        numbers = sorted(number for name in self._names if (number := self._number(name)) is not None)
        return [BatchPlace.named(self._folder, self._name, number).state_folder for number in numbers]

    @property
    def others(self) -> list[ObjectStoragePath]:
        """The state folders of other tasks and other runs."""
        return [self._folder / STATE_FOLDER / name for name in self._names if self._number(name) is None]

    def next_place(self) -> BatchPlace:
        """Return a place for a new start of this task."""
        numbers = [number for name in self._names if (number := self._number(name)) is not None]
        return BatchPlace.named(self._folder, self._name, max(numbers, default=0) + 1)

    @property
    def folder(self) -> ObjectStoragePath:
        """The folder of the output."""
        return self._folder

    def require_free(self, has_ended: Callable[[TaskIdentity], bool | None]) -> None:
        """Return if no other task is at work with this output.

        :param has_ended: returns whether a task has ended for good; None where Airflow cannot tell
        :raises InvalidInput: naming the task that is
        """
        for state_folder in self.others:
            batch = BatchFile.read(state_folder)
            if batch is None or batch.is_over:
                continue
            ended = has_ended(batch.task)
            if ended is None:
                ended = batch.record.get("phase") == "failed"
            if not ended:
                raise InvalidInput(
                    f"output_path: {shown(self._folder)} is the output of {batch.task}, which has not ended. Give "
                    "each task and each run an output of its own, such as one with {{ ds }} in it, or run this "
                    f"task again when the other has ended; if it is gone, remove {shown(state_folder)}. Nothing "
                    "was sent"
                )

    def _number(self, name: str) -> int | None:
        first, _, number = name.partition("-")
        if first != self._name:
            return None
        return 1 if not number else int(number) if number.isdigit() else None


def copy_state(state_folder: ObjectStoragePath, to: ObjectStoragePath) -> None:
    """Copy the manifest and the journal of a batch whose output goes to another folder from now on.

    :param state_folder: where the batch has kept its state until now
    :param to: where it keeps it from now on
    :raises Exception: if one cannot be read or written
    """
    for name in names_in(state_folder):
        if name.endswith(".jsonl"):
            write_whole(to / name, read_whole(state_folder / name))


def remove_state(state_folder: ObjectStoragePath) -> None:
    """Remove the state of a start, and the folder above it if it was the only one."""
    remove_folder(state_folder)
    if is_local(state_folder):
        with contextlib.suppress(OSError):
            os.rmdir(state_folder.parent.path)  # noqa: PTH106
