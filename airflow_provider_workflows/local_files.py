"""Local files: written beside their place and moved there, for their owner alone unless a mode says more."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

#: A file that was begun and not written to for this many seconds was left by a try that is dead.
ABANDONED_SECONDS = 24 * 60 * 60.0
#: The mode of a file that only its owner may read and write.
OWNER_ONLY = 0o600
BUFFER_BYTES = 128 * 1024

ResultT = TypeVar("ResultT")


class Run(Protocol):
    """Calls a function, once or until it succeeds, and returns what it returned."""

    def __call__(self, work: Callable[[], ResultT], /) -> ResultT:
        """Call ``work``, and return what it returned."""


def once(work: Callable[[], ResultT], /) -> ResultT:
    """Call a function, and return what it returned."""
    return work()


class LocalFile(io.FileIO):
    """A file on a disk: what could not be written is written again, at its own place.

    :param file: the file's name, or a descriptor of it
    :param mode: as of ``open``; a file that is read and written
    :param run: calls a function, once or until it succeeds
    """

    def __init__(self, file: str | int, mode: str, run: Run) -> None:
        super().__init__(file, mode, opener=_open_for_owner)
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
        while content := os.pread(self.fileno(), BUFFER_BYTES, offset):
            checksum = zlib.crc32(content, checksum)
            offset += os.pwrite(self.fileno(), content, offset)
        if checksum != self._checksum:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def _open_for_owner(name: str, flags: int) -> int:
    return os.open(name, flags, OWNER_ONLY)


@contextlib.contextmanager
def replacing_local(final: Path, run: Run, mode: int) -> Iterator[BinaryIO]:
    """Yield a file to write, which takes the place of another once the block has ended without an exception.

    :param final: the file whose place it takes
    :param run: calls a function, once or until it succeeds
    :param mode: of the file and, with the right to enter, of folders that are missing
    :raises Exception: if it cannot be written
    """
    file = run(lambda: _begin_file(final, run, mode))
    temporary = Path(cast("str", file.name))
    try:
        # It is closed below its buffer, so that after an exception nothing is written any more.
        with file:
            buffered = io.BufferedWriter(file, BUFFER_BYTES)
            yield cast("BinaryIO", buffered)
            buffered.flush()
            file.sync()
            run(lambda: _replace(file, temporary, final))
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


def _begin_file(final: Path, run: Run, mode: int) -> LocalFile:
    """Remove what killed tries have left, and return a file of a name of its own, beside the final one.

    Each try has its own name: of two that write at once, neither may put the other's half file in place.
    """
    make_folder(final.parent, mode)
    for left in final.parent.iterdir():
        if final_name(left.name) == final.name:
            remove_if_dead(left)
    while True:
        file = LocalFile(str(final.with_name(temporary_name(final.name))), "x+b", run)
        # A lock ends with its process, so that others see that this one is alive.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(file.name)):  # noqa: PTH116
                if mode != OWNER_ONLY:
                    # Exactly this, whatever the umask; a file system without modes keeps its own.
                    with contextlib.suppress(OSError):
                        os.fchmod(file.fileno(), mode)
                return file
        # Another try has taken it for dead, before it had its lock.
        file.close()


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it that are missing; who may read files of ``mode`` may enter them.

    :param mode: of the files in it
    """
    try:
        folder.mkdir(0o700)
    except FileNotFoundError:
        make_folder(folder.parent, mode)
        folder.mkdir(0o700, exist_ok=True)
    except OSError:
        # Some file systems refuse to make a folder that is there for another reason.
        if not folder.is_dir():
            raise
        return
    if mode != OWNER_ONLY:
        with contextlib.suppress(OSError):
            folder.chmod(mode | (mode & 0o444) >> 2)


def remove_if_dead(left: Path) -> None:
    """Remove a temporary file unless the process that writes it is alive.

    :param left: the file
    """
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


def _replace(file: LocalFile, temporary: Path, final: Path) -> None:
    try:
        temporary.replace(final)
    except FileNotFoundError:
        # It may be done: NFS repeats a request whose response was lost.
        if not (final.exists() and os.path.samestat(os.fstat(file.fileno()), final.stat())):
            raise


def temporary_name(name: str) -> str:
    """Return a new name for the file that is to take the place of the one of this name."""
    return f"_{name}.{secrets.token_hex(4)}.part"


def final_name(name: str) -> str | None:
    """Return the name that ``temporary_name`` may have made this name of; None if it is no such name."""
    parts = name.rsplit(".", 2)
    return parts[0][1:] if name.startswith("_") and len(parts) == 3 and parts[2] == "part" else None


def _sync_folder(folder: Path) -> None:
    """Make a file's new name survive a loss of power, if the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
