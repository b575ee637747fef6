"""The journal of a batch: what has happened to each row, written before and after each call.

A kill at any moment loses nothing. The journal is kept in files beside the output, and not in Airflow's task
state store, which takes 64 KB for a key: a hundred thousand rows take about 30 MB, and each of their three writes
would be a request to the API server and a row in the metadata database. Appending to a file costs a tenth of a
millisecond.

A write that fails is tried again for two minutes, in order. Those that record wait meanwhile, so that no call is
made.

Each process writes a file of its own. A line that was cut off belongs to a call that was not made, or to a response
that nothing was done with, so it is left out when the file is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.batch.state_files import names_in, read_lines
from airflow_provider_workflows.storage import is_local, read_connection_again, shown
from airflow_provider_workflows.storage_retry import StorageRetry, failure_reason
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: An object cannot be appended to, only written anew: a larger one is left as it is, and another begun.
LONGEST_OBJECT_BYTES = 256 * 1024

Entry = Mapping[str, Any]

# Made once: ``json.dumps`` with an option makes an encoder for each call.
_ENTRIES = json.JSONEncoder(separators=(",", ":"))


class Journal:
    """One process's file of entries, each ``{"row": number, ...}`` with what has changed of the row's state.

    :param folder: where the batch keeps its state
    :param is_stopped: returns whether the task was told to stop: then a write that fails has 3 s in place of 120
    :param log: the task's log
    :param clock: monotonic seconds
    :param sleep: sleeps for a number of seconds, in the journal's thread, before a write is tried again
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        *,
        is_stopped: Callable[[], bool] | None = None,
        log: logging.Logger | Any = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._folder = folder
        self._log = logging.getLogger(__name__) if log is None else log
        self._retry = StorageRetry(
            f"The batch's journal in {shown(folder)}",
            meanwhile="what happens to the rows is kept in memory, and no new row begins",
            renew=functools.partial(read_connection_again, folder),
            is_stopped=is_stopped,
            log=self._log,
            clock=clock,
            sleep=sleep,
        )
        self._pending: list[bytes] = []
        self._written: asyncio.Future[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "batch-journal")
        self._closing = threading.Lock()
        self._is_closed = False
        self._file: int | None = None
        self._object = b""
        self._path: ObjectStoragePath | None = None

    def record(self, entry: Entry) -> Awaitable[None]:
        """Write an entry; to await what is returned takes until it is safe, or raises why it cannot be written.

        What is recorded meanwhile is written together.

        :param entry: the row's number, and what has changed of its state
        :raises Exception: when awaited, what storage raised last, if the entry cannot be written for two minutes
        """
        return asyncio.shield(self.note(entry))

    def note(self, entry: Entry) -> asyncio.Future[None]:
        """Write an entry soon, before those that come later; the future tells when it is safe."""
        self._pending.append(_ENTRIES.encode(entry).encode() + b"\n")
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            # A caller that only notes never retrieves the error, of which asyncio would complain; the next one that
            # records gets the same error.
            self._written.add_done_callback(lambda written: written.exception())
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return self._written

    async def _commit(self) -> None:
        try:
            while (written := self._written) is not None:
                with self._closing:
                    if self._is_closed:
                        return
                    lines, self._pending, self._written = self._pending, [], None
                    writing = self._thread.submit(self._write, lines)
                try:
                    await asyncio.wrap_future(writing)
                except BaseException as error:  # noqa: BLE001
                    # Also for the end of the task's time, a BaseException: callers that record would wait for ever.
                    written.set_exception(error)
                else:
                    written.set_result(None)
        finally:
            self._committing = None

    def _write(self, lines: Sequence[bytes]) -> None:
        content = b"".join(lines)
        try:
            self._retry.run(lambda: self._append(content))
        except BaseException as error:
            self._log_lost(lines, error)
            raise

    def _log_lost(self, lines: Sequence[bytes], error: BaseException) -> None:
        """Name each run that was started and is not in the journal: it is billed, and known nowhere else."""
        for line in lines:
            entry = json.loads(line)
            # An entry without ``begun`` repeats what another journal says, or says how a run has ended.
            if entry.get("workflow_id") is not None and "begun" in entry:
                self._log.critical(
                    "Workflow %s was started for row %d, and that could not be written to the journal in %s: %s. "
                    "The run is billed. A retry takes the row's outcome for unknown.",
                    entry["workflow_id"],
                    entry["row"],
                    shown(self._folder),
                    failure_reason(error),
                )

    def _append(self, lines: bytes) -> None:
        if self._path is None or len(self._object) > LONGEST_OBJECT_BYTES:
            self._path, self._object = _next_path(self._folder), b""
        try:
            if is_local(self._path):
                if self._file is None:
                    self._file = os.open(self._path.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                _write_all(self._file, lines)
                os.fsync(self._file)
            else:
                self._object += lines
                write_whole(self._path, self._object)
        except BaseException:
            # Half a line may be there, and must stay the last of its file.
            self._close_file()
            self._path = None
            raise

    def close(self) -> None:
        """Close the file. Entries that are not written by then have one more attempt."""
        self._retry.give_up()
        with self._closing:
            self._is_closed = True
        self._thread.shutdown()
        lines, self._pending = self._pending, []
        if lines:
            with contextlib.suppress(Exception):
                self._write(lines)
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            # What matters is on the disk already, or is written to another file.
            with contextlib.suppress(OSError):
                os.close(file)


def write_entries(folder: ObjectStoragePath, entries: Iterable[Entry]) -> None:
    """Write entries to a file of their own, where no call is under way.

    :param folder: where the batch keeps its state
    :param entries: as ``Journal.record`` takes them
    :raises Exception: what storage raised last, if they cannot be written for two minutes
    """

    async def write() -> None:
        written: asyncio.Future[None] | None = None
        with contextlib.closing(Journal(folder)) as journal:
            for entry in entries:
                written = journal.note(entry)
            if written is not None:
                await written

    asyncio.run(write())


def entries(
    folder: ObjectStoragePath, *, is_stopped: Callable[[], bool] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield all entries of all processes, in order.

    :param folder: where the batch keeps its state
    :param is_stopped: returns whether the task was told to stop
    """
    for path in _files(folder, is_stopped):
        # A line without an end was cut off by a kill, and is its file's last.
        lines = read_lines(path, grows=True, is_stopped=is_stopped)
        yield from (json.loads(line) for line in lines if line.endswith(b"\n"))


def states(
    folder: ObjectStoragePath,
    *,
    fields: AbstractSet[str] | None = None,
    is_stopped: Callable[[], bool] | None = None,
) -> dict[int, RowState]:
    """Return what the journal says of each row, by its number; a row without an entry is left out.

    :param folder: where the batch keeps its state
    :param fields: the fields of a row's state that are needed, which saves the memory of the others; None for all
    :param is_stopped: returns whether the task was told to stop
    """
    rows: dict[int, RowState] = {}
    for entry in entries(folder, is_stopped=is_stopped):
        state = rows.get(entry["row"])
        if state is None:
            state = rows[entry["row"]] = RowState()
        state.change(entry, fields)
    return rows


def _files(
    folder: ObjectStoragePath, is_stopped: Callable[[], bool] | None = None
) -> list[ObjectStoragePath]:
    return [folder / name for name in names_in(folder, is_stopped) if name.startswith("journal-")]


def _next_path(folder: ObjectStoragePath) -> ObjectStoragePath:
    # Two processes may begin at once, when a trigger is taken over from a triggerer that still runs.
    names = [path.name for path in _files(folder)]
    number = int(names[-1].split("-")[1]) + 1 if names else 1
    return folder / f"journal-{number:06}-{secrets.token_hex(4)}.jsonl"


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
