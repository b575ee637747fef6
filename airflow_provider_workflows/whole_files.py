"""Files that are there as a whole, or as they were before: a reader never sees half of one."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import io
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.local_files import (
    ABANDONED_SECONDS,
    BUFFER_BYTES,
    OWNER_ONLY,
    LocalFile,
    Run,
    final_name,
    make_folder,
    once,
    remove_if_dead,
    replacing_local,
    temporary_name,
)
from airflow_provider_workflows.storage import OBJECT_STORES, is_local, shown

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath
    from airflow_provider_workflows.storage_retry import StorageRetry

#: Errors that another try would not change; any other error of storage may pass.
_LASTING = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
_LASTING_NUMBERS = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP})
#: The same, by the status of an object store's response.
_REASONS: dict[int | None, str] = {403: "Permission denied", 404: "no such bucket or folder"}


def write_whole(path: ObjectStoragePath, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Write a file, and the folders above it: it is there as a whole, or as it was before.

    :param path: the file
    :param content: what to write
    :param mode: of the file and, with the right to enter, of folders that are missing, where they are local
    :raises Exception: if it cannot be written
    """
    if path.protocol in OBJECT_STORES:
        path.fs.pipe_file(path.path, content)
    elif is_local(path):
        with replacing(path, mode=mode) as file:
            file.write(content)
    else:
        _put_beside_and_move(path, lambda fs, name: fs.pipe_file(name, content))


@contextlib.contextmanager
def replacing(
    path: ObjectStoragePath, retry: StorageRetry | None = None, *, mode: int = OWNER_ONLY
) -> Iterator[BinaryIO]:
    """Yield a file to write, which takes the place of ``path`` once the block has ended without an exception.

    The content for storage that is not local waits on the worker's disk (``TMPDIR``) until then. It is written from
    its start to its end, without a seek.

    :param path: the file
    :param retry: tries again what fails, with what was written until then; None to make each attempt once
    :param mode: of the file and, with the right to enter, of folders that are missing, where they are local
    :raises Exception: if it cannot be written
    """
    run: Run = once if retry is None else retry.run
    with replacing_local(Path(path.path), run, mode) if is_local(path) else _to_storage(path, run) as file:
        yield file


@contextlib.contextmanager
def _to_storage(path: ObjectStoragePath, run: Run) -> Iterator[BinaryIO]:
    with _nameless(None, run) as waiting:
        yield waiting.file
        waiting.file.flush()
        run(lambda: _put(path, f"/dev/fd/{waiting.descriptor}"))


class NamelessFile:
    """A file without a name, so that a killed worker leaves nobody's data on a disk.

    :param descriptor: of the file
    :param file: what is written to it, from its start to its end
    """

    def __init__(self, descriptor: int, file: BinaryIO) -> None:
        self.descriptor = descriptor
        self.file = file

    def read(self, offset: int, length: int) -> bytes:
        """Return a part of what was written and flushed.

        :param offset: where it begins, in bytes
        :param length: how long it is, in bytes
        :raises EOFError: if so much is not there
        """
        content = b""
        while len(content) < length:
            more = os.pread(self.descriptor, length - len(content), offset + len(content))
            if not more:
                raise EOFError
            content += more
        return content


@contextlib.contextmanager
def nameless_file(
    folder: ObjectStoragePath, retry: StorageRetry, mode: int = OWNER_ONLY
) -> Iterator[NamelessFile]:
    """Yield a file for what waits to be written to a folder, which is gone after the block.

    It is on the folder's disk where that is local, and on the worker's (``TMPDIR``) otherwise.

    :param folder: the folder, which is made if it is local
    :param retry: tries again what fails
    :param mode: of files in the folder, if that is made
    :raises Exception: if it cannot be written
    """
    local = Path(folder.path) if is_local(folder) else None
    if local is not None:
        retry.run(lambda: make_folder(local, mode))
    with _nameless(local, retry.run) as waiting:
        yield waiting


@contextlib.contextmanager
def _nameless(folder: Path | None, run: Run) -> Iterator[NamelessFile]:
    with (
        run(lambda: tempfile.TemporaryFile(dir=folder)) as nameless,
        LocalFile(os.dup(nameless.fileno()), "r+b", run) as file,
    ):
        yield NamelessFile(nameless.fileno(), cast("BinaryIO", io.BufferedWriter(file, BUFFER_BYTES)))


def remove_abandoned(folder: ObjectStoragePath, is_left: Callable[[str], object]) -> None:
    """Remove what dead processes have left of files that they wrote.

    :param folder: the folder of the files
    :param is_left: whether a file of this name may have been left
    """
    fs = folder.fs
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if is_local(folder):
            for left in Path(folder.path).iterdir():
                if (name := final_name(left.name)) is not None and is_left(name):
                    remove_if_dead(left)
        elif folder.protocol not in OBJECT_STORES:
            fs.invalidate_cache(folder.path)
            for path in fs.ls(folder.path, detail=False):
                name = final_name(path.rpartition("/")[2])
                if name is not None and is_left(name):
                    # A file system that does not tell a file's age, or forbids to remove it, keeps it.
                    with contextlib.suppress(Exception):
                        if _seconds_since(fs.modified(path)) > ABANDONED_SECONDS:
                            fs.rm_file(path)


def _put(path: ObjectStoragePath, local: str) -> None:
    if path.protocol in OBJECT_STORES:
        # One put, and not a temporary object that is moved: that would be a copy, which Azure may still be making
        # when it returns.
        path.fs.put_file(local, path.path)
    else:
        _put_beside_and_move(path, lambda fs, name: fs.put_file(local, name))


def _put_beside_and_move(path: ObjectStoragePath, put: Callable[[Any, str], object]) -> None:
    fs = path.fs
    folder = path.parent.path.rstrip("/")
    fs.makedirs(path.parent.path, exist_ok=True)
    remove_abandoned(path.parent, lambda name: name == path.name)
    temporary = f"{folder}/{temporary_name(path.name)}"
    try:
        put(fs, temporary)
        _move(fs, temporary, path.path)
    except BaseException:
        with contextlib.suppress(Exception):
            fs.rm_file(temporary)
        raise


def _seconds_since(moment: dt.datetime) -> float:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    return (dt.datetime.now(dt.timezone.utc) - moment).total_seconds()


def _move(fs: Any, source: str, target: str) -> None:
    if type(fs).mv is AbstractFileSystem.mv:
        # fsspec's own mv takes the brackets in a name for a pattern.
        fs.cp_file(source, target)
        fs.rm_file(source)
        return
    try:
        fs.mv(source, target)
    except OSError as error:
        # SMB does not move a file over another.
        if error.errno != errno.EEXIST and not isinstance(error, FileExistsError):
            raise
        fs.rm_file(target)
        fs.mv(source, target)


def require_writable(argument: str, folder: ObjectStoragePath, mode: int = OWNER_ONLY) -> None:
    """Make a folder, and write a file there and remove it again.

    :param argument: the argument's name, for the error
    :param folder: the folder
    :param mode: of the files that are to be written there
    :raises InvalidInput: naming the folder and the reason, if another try would not change it
    :raises Exception: what storage raises otherwise, such as for a lost connection
    """
    probe = folder / f"_writable.{secrets.token_hex(4)}.part"
    try:
        write_whole(probe, b"", mode)
        probe.fs.rm_file(probe.path)
    except Exception as error:
        reason = _lasting_reason(error)
        if reason is None:
            raise
        raise InvalidInput(f"{argument}: {shown(folder)} cannot be written: {reason}") from None


def _lasting_reason(error: Exception) -> str | None:
    """Return why a folder cannot be written; None if another try may change it."""
    if not isinstance(error, OSError):
        # Azure's errors are not, and have the status of the response.
        return _REASONS.get(getattr(error, "status_code", None))
    if not isinstance(error, _LASTING) and error.errno not in _LASTING_NUMBERS:
        return None
    if error.errno == errno.EEXIST or isinstance(error, FileExistsError):
        return "a file is in the way"
    if error.errno is not None:
        return os.strerror(error.errno)
    # Object stores give no number.
    return _REASONS[403 if isinstance(error, PermissionError) else 404]
