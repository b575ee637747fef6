"""Files that are there as a whole, or as they were before: a reader never sees half of one."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import io
import os
import secrets
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, cast

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.storage import OBJECT_STORES, is_local, shown

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath
    from airflow_provider_workflows.storage_retry import StorageRetry

#: A file that was begun and not written to for this many seconds was left by a try that is dead.
ABANDONED_SECONDS = 24 * 60 * 60.0
#: Errors that another try would not change; any other error of storage may pass.
_LASTING = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
_LASTING_NUMBERS = frozenset({errno.EROFS, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP})
_BUFFER_BYTES = 128 * 1024

ResultT = TypeVar("ResultT")


class _Run(Protocol):
    """Calls a function, once or until it succeeds, and returns what it returned."""

    def __call__(self, work: Callable[[], ResultT], /) -> ResultT: ...


def _once(work: Callable[[], ResultT], /) -> ResultT:
    return work()


def write_whole(path: ObjectStoragePath, content: bytes) -> None:
    """Write a file, and the folders above it: it is there as a whole, or as it was before.

    :raises Exception: if it cannot be written
    """
    if path.protocol in OBJECT_STORES:
        path.fs.pipe_file(path.path, content)
    elif is_local(path):
        with replacing(path) as file:
            file.write(content)
    else:
        _put_beside_and_move(path, lambda fs, name: fs.pipe_file(name, content))


@contextlib.contextmanager
def replacing(path: ObjectStoragePath, retry: StorageRetry | None = None) -> Iterator[BinaryIO]:
    """Yield a file to write, which takes the place of ``path`` once the block has ended without an exception.

    The content for storage that is not local waits on the worker's disk (``TMPDIR``) until then. It is written from
    its start to its end, without a seek.

    :param path: the file
    :param retry: tries again what fails, with what was written until then; None to make each attempt once
    :raises Exception: if it cannot be written
    """
    run: _Run = _once if retry is None else retry.run
    with _to_local_file(path, run) if is_local(path) else _to_storage(path, run) as file:
        yield file


class _LocalFile(io.FileIO):
    """A file on a disk: what could not be written is written again, at its own place.

    :param file: the file's name, or a descriptor of it
    :param mode: as of ``open``; a file that is read and written
    :param run: calls a function, once or until it succeeds
    """

    def __init__(self, file: str | int, mode: str, run: _Run) -> None:
        super().__init__(file, mode)
        self._run = run
        self._checksum = 0
        self._may_be_incomplete = False

    def write(self, content: Any, /) -> int:
        """Write from the start of ``content``, and return the number of bytes that were written."""
        offset = self.tell()
        written = self._run(lambda: os.pwrite(self.fileno(), content, offset))
        self._checksum = zlib.crc32(memoryview(content).cast("B")[:written], self._checksum)
        self.seek(offset + written)
        return written

    def sync(self) -> None:
        """Return when all that was written is on the disk."""
        self._run(self._sync)

    def _sync(self) -> None:
        if self._may_be_incomplete:
            self._write_again()
        try:
            os.fsync(self.fileno())
        except OSError:
            # The kernel takes what it could not write for written, so that another fsync alone would succeed.
            self._may_be_incomplete = True
            raise

    def _write_again(self) -> None:
        checksum = offset = 0
        while content := os.pread(self.fileno(), _BUFFER_BYTES, offset):
            checksum = zlib.crc32(content, checksum)
            offset += os.pwrite(self.fileno(), content, offset)
        if checksum != self._checksum:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@contextlib.contextmanager
def _to_storage(path: ObjectStoragePath, run: _Run) -> Iterator[BinaryIO]:
    # The file has no name, so that a killed worker leaves nobody's data on its disk.
    with run(tempfile.TemporaryFile) as nameless:
        with _LocalFile(os.dup(nameless.fileno()), "r+b", run) as file:
            buffered = io.BufferedWriter(file, _BUFFER_BYTES)
            yield cast("BinaryIO", buffered)
            buffered.flush()
        run(lambda: _put(path, f"/dev/fd/{nameless.fileno()}"))


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
    _remove_abandoned(fs, path)
    temporary = f"{folder}/{_temporary_name(path.name)}"
    try:
        put(fs, temporary)
        _move(fs, temporary, path.path)
    except BaseException:
        with contextlib.suppress(Exception):
            fs.rm_file(temporary)
        raise


@contextlib.contextmanager
def _to_local_file(path: ObjectStoragePath, run: _Run) -> Iterator[BinaryIO]:
    final = Path(path.path)
    file = run(lambda: _begin_file(final, run))
    temporary = Path(cast("str", file.name))
    try:
        # It is closed below its buffer, so that after an exception nothing is written any more.
        with file:
            buffered = io.BufferedWriter(file, _BUFFER_BYTES)
            yield cast("BinaryIO", buffered)
            buffered.flush()
            file.sync()
            run(lambda: _replace(file, temporary, final))
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


def _begin_file(final: Path, run: _Run) -> _LocalFile:
    """Remove what killed tries have left, and return a file of a name of its own, beside the final one.

    Each try has its own name: of two that write at once, neither may put the other's half file in place.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.iterdir():
        if _is_temporary(left.name, final.name):
            _remove_if_dead(left)
    while True:
        file = _LocalFile(str(final.with_name(_temporary_name(final.name))), "x+b", run)
        # A lock ends with its process, so that others see that this one is alive.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(file.name)):  # noqa: PTH116
                return file
        # Another try has taken it for dead, before it had its lock.
        file.close()


def _remove_if_dead(left: Path) -> None:
    with contextlib.suppress(OSError), left.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            # The file system has no locks.
            if time.time() - left.stat().st_mtime < ABANDONED_SECONDS:
                return
        left.unlink()


def _replace(file: _LocalFile, temporary: Path, final: Path) -> None:
    try:
        temporary.replace(final)
    except FileNotFoundError:
        # It may be done: NFS repeats a request whose response was lost.
        if not (final.exists() and os.path.samestat(os.fstat(file.fileno()), final.stat())):
            raise


def _temporary_name(name: str) -> str:
    return f"_{name}.{secrets.token_hex(4)}.part"


def _is_temporary(name: str, final_name: str) -> bool:
    return name.startswith(f"_{final_name}.") and name.endswith(".part")


def _remove_abandoned(fs: Any, path: ObjectStoragePath) -> None:
    with contextlib.suppress(FileNotFoundError):
        fs.invalidate_cache(path.parent.path)
        for left in fs.ls(path.parent.path, detail=False):
            if _is_temporary(left.rpartition("/")[2], path.name):
                # A file system that does not tell a file's age, or forbids to remove it, keeps it.
                with contextlib.suppress(Exception):
                    if _seconds_since(fs.modified(left)) > ABANDONED_SECONDS:
                        fs.rm_file(left)


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


def _sync_folder(folder: Path) -> None:
    """Make a file's new name survive a loss of power, if the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def require_writable(argument: str, folder: ObjectStoragePath) -> None:
    """Make a folder, and write a file there and remove it again.

    :param argument: the argument's name, for the error
    :raises InvalidInput: naming the folder and the reason, if another try would not change it
    :raises Exception: what storage raises otherwise, such as for a lost connection
    """
    probe = folder / f"_writable.{secrets.token_hex(4)}.part"
    try:
        write_whole(probe, b"")
        probe.fs.rm_file(probe.path)
    except OSError as error:
        if not isinstance(error, _LASTING) and error.errno not in _LASTING_NUMBERS:
            raise
        reason = _reason(error)
        raise InvalidInput(f"{argument}: {shown(folder)} cannot be written: {reason}") from None


def _reason(error: OSError) -> str:
    if error.errno == errno.EEXIST or isinstance(error, FileExistsError):
        return "a file is in the way"
    if error.errno is not None:
        return os.strerror(error.errno)
    # Object stores give no number.
    return "Permission denied" if isinstance(error, PermissionError) else "no such bucket or folder"
