"""Read the files of a batch's state, and try again for two minutes what storage refuses."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from airflow_provider_workflows.api.errors import OutcomeUnknown
from airflow_provider_workflows.storage import is_local, read_connection_again, shown
from airflow_provider_workflows.storage_retry import StorageRetry

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: What storage that works says of a file or folder that is not there.
_LASTING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
#: Lines are read together until they have this many bytes.
_BYTES_READ_AT_ONCE = 256 * 1024


def read_lines(
    path: ObjectStoragePath, *, grows: bool = False, is_stopped: Callable[[], bool] | None = None
) -> Iterator[bytes]:
    """Yield the lines of a file; after a failure it is read on from the line where that came.

    :param path: the file
    :param grows: whether another process may add lines meanwhile
    :param is_stopped: returns whether the task was told to stop
    :raises FileNotFoundError: if it is not there
    :raises Exception: what storage raised last, if it cannot be read for two minutes
    """
    retry = _retry(path, is_stopped)
    file: IO[bytes] | None = None
    position = 0

    def read() -> list[bytes]:
        nonlocal file
        try:
            if file is None:
                file = _opened(path, grows=grows)
                file.seek(position)
            return file.readlines(_BYTES_READ_AT_ONCE)
        except BaseException:
            if file is not None:
                file.close()
            file = None
            raise

    try:
        while lines := retry.run(read):
            position += sum(map(len, lines))
            yield from lines
    finally:
        if file is not None:
            file.close()


def read_whole(path: ObjectStoragePath) -> bytes:
    """Return the content of a file.

    :param path: the file
    :raises FileNotFoundError: if it is not there
    :raises Exception: what storage raised last, if it cannot be read for two minutes
    """
    return cast("bytes", _retry(path).run(lambda: path.fs.cat_file(path.path)))


def names_in(folder: ObjectStoragePath, is_stopped: Callable[[], bool] | None = None) -> list[str]:
    """Return the names in a folder, in order.

    :param folder: the folder
    :param is_stopped: returns whether the task was told to stop
    :raises FileNotFoundError: if it is not there
    :raises Exception: what storage raised last, if it cannot be read for two minutes
    """

    def read() -> list[str]:
        # Another process has written there, which a file system that caches its listings does not see.
        folder.fs.invalidate_cache(folder.path)
        return [path.rstrip("/").rpartition("/")[2] for path in folder.fs.ls(folder.path, detail=False)]

    return sorted(_retry(folder, is_stopped).run(read))


def state_is_gone(state_folder: ObjectStoragePath, what: str) -> OutcomeUnknown:
    """Return the error of a batch whose state is not there, or cannot be read.

    :param state_folder: where the batch keeps its state
    :param what: what is gone, as a clause
    """
    return OutcomeUnknown(
        f"The batch's state is gone from {shown(state_folder)}, or a part of it: {what}. So nobody knows "
        "what was submitted, and nothing was sent. Put the folder back as it was, or set "
        'on_clear="start_over" and clear the task, which submits all rows anew.'
    )


def _retry(path: ObjectStoragePath, is_stopped: Callable[[], bool] | None = None) -> StorageRetry:
    return StorageRetry(
        f"The batch's state {shown(path)}",
        "read",
        meanwhile="the batch waits",
        lasting=_LASTING,
        renew=partial(read_connection_again, path),
        is_stopped=is_stopped,
    )


def _opened(path: ObjectStoragePath, *, grows: bool) -> IO[bytes]:
    if is_local(path):
        return cast("IO[bytes]", path.open("rb"))  # type: ignore[no-untyped-call]
    if not grows:
        # The files of s3fs, gcsfs and adlfs have a readlines of their own, which takes no number of bytes.
        return io.BufferedReader(path.fs.open(path.path, "rb"))
    # In one request: s3fs refuses to read on in an object that another process has written anew meanwhile.
    return io.BytesIO(path.fs.cat_file(path.path))
