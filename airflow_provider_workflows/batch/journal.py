"""What a batch has done, written down before and after each call, so that a kill at any moment loses nothing.

It is kept in files beside the output, and not in Airflow's task state store, which has one value of at most
64 KB for a key: a hundred thousand rows take about 30 MB, and each of their three writes would be a request to
the API server and a row in the metadata database. Appending to a file costs a tenth of a millisecond.

Each process writes a file of its own. A line that was cut off is one whose call was not made, or whose response
nobody has acted on, so it is left out when read.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.storage import is_local, write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: An object cannot be appended to, only written anew: a larger one is left as it is, and another begun.
LONGEST_OBJECT_BYTES = 256 * 1024

Entry = Mapping[str, Any]


class Journal:
    """One process's file of entries, each ``{"row": number, ...}`` with what has changed of the row's state.

    :param folder: where the batch keeps its state
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self._folder = folder
        self._pending: list[bytes] = []
        self._written: asyncio.Future[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "batch-journal")
        self._file: int | None = None
        self._object = b""
        self._path: ObjectStoragePath | None = None

    async def record(self, entry: Entry) -> None:
        """Write an entry, and return when it is safe; all that is recorded meanwhile is written in one go.

        :raises OSError: when it could not be written
        """
        await asyncio.shield(self.note(entry))

    def note(self, entry: Entry) -> asyncio.Future[None]:
        """Write an entry soon, before those that come later; the future tells when it is safe."""
        self._pending.append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            # Whoever only notes does not look; the next who records meets the same error.
            self._written.add_done_callback(lambda written: written.exception())
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return self._written

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (written := self._written) is not None:
                lines, self._pending, self._written = b"".join(self._pending), [], None
                try:
                    await loop.run_in_executor(self._thread, self._append, lines)
                except BaseException as error:  # noqa: BLE001
                    # Whoever recorded is told, of the end of the task's time as well: they would wait for ever.
                    written.set_exception(error)
                else:
                    written.set_result(None)
        finally:
            self._committing = None

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
        """Close the file."""
        self._thread.shutdown()
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def entries(folder: ObjectStoragePath) -> Iterator[dict[str, Any]]:
    """Yield all that was ever recorded in a folder, in order."""
    for path in _files(folder):
        with path.open("rb") as file:  # type: ignore[no-untyped-call]
            # A line without an end was cut off by a kill, and is its file's last.
            yield from (json.loads(line) for line in file if line.endswith(b"\n"))


def states(folder: ObjectStoragePath) -> dict[int, RowState]:
    """Return what is known of each row of which anything is."""
    known: dict[int, RowState] = {}
    for entry in entries(folder):
        state = known.get(entry["row"])
        if state is None:
            state = known[entry["row"]] = RowState()
        state.change(entry)
    return known


def _files(folder: ObjectStoragePath) -> list[ObjectStoragePath]:
    # Another process has written there, of which a file system that remembers its listings does not know.
    folder.fs.invalidate_cache(folder.path)
    names = (path.rstrip("/").rpartition("/")[2] for path in folder.fs.ls(folder.path, detail=False))
    return [folder / name for name in sorted(names) if name.startswith("journal-")]


def _next_path(folder: ObjectStoragePath) -> ObjectStoragePath:
    # Two processes may begin at once, when a trigger is taken over from a triggerer that still runs.
    names = [path.name for path in _files(folder)]
    number = int(names[-1].split("-")[1]) + 1 if names else 1
    return folder / f"journal-{number:06}-{secrets.token_hex(4)}.jsonl"


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
