"""Files that are compressed: what with is seen by their first bytes, whatever their names are."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, Any

from airflow_provider_workflows.api.errors import InvalidInput

COMPRESSED_SUFFIXES = frozenset((".gz", ".gzip", ".bz2", ".zst", ".zstd", ".xz", ".zip"))
CHUNK_BYTES = 1 << 18
"""Bytes that are read of a file at once."""

#: A file within a file within a file is somebody's mistake.
_MAX_LAYERS = 3
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
#: What programs add to a zip beside the one file in it.
_BESIDE = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


class StoredFile(io.RawIOBase):
    """Wraps an Airflow file as a plain Python file: Airflow counts each read, which is slow line by line.

    :param stream: the file
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        #: Whether the storage has failed, so that an error is not the file's.
        self.failed = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return whether the file may be read from any place."""
        return bool(self._stream.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file."""
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        """Return the place in the file."""
        return int(self._stream.tell())

    def readinto(self, buffer: Any) -> int:
        """Read as much as a buffer holds."""
        try:
            data = self._stream.read(len(buffer))
        except OSError:
            self.failed = True
            raise
        buffer[: len(data)] = data
        return len(data)


class _Uncompressed(io.RawIOBase):
    """The content of a compressed file, which raises ``InvalidInput`` where it is damaged."""

    def __init__(self, content: IO[bytes], kind: str, stored: StoredFile) -> None:
        self._content = content
        self._kind = kind
        self._stored = stored

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, so that what follows sees as much of the file's beginning as there is."""
        filled = 0
        while filled < len(buffer):
            data = self._read(len(buffer) - filled)
            if not data:
                break
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def _read(self, size: int) -> bytes:
        try:
            return self._content.read(size)
        except InvalidInput:
            raise
        except Exception as error:
            if self._stored.failed or not (isinstance(error, _ERRORS) or type(error).__name__ == "ZstdError"):
                raise
            raise damaged(self._kind) from None


def damaged(kind: str) -> InvalidInput:
    """Return the error for a file that is not whole.

    :param kind: what it is, such as ``"gzip"``
    """
    return InvalidInput(f"items is not a whole {kind} file: it may be cut or damaged")


@contextlib.contextmanager
def uncompressed(stored: StoredFile, name: str) -> Iterator[tuple[io.BufferedReader[Any], str]]:
    """Enter the block with a file's content and its name without what says how it is compressed.

    A workbook is a zip too, and stays one.

    :param stored: the file
    :param name: its name
    :raises InvalidInput: if it is damaged, has a password, or is a zip of several files
    """
    with contextlib.ExitStack() as closing:
        stream: io.BufferedReader[Any] = io.BufferedReader(stored, CHUNK_BYTES)
        for _ in range(_MAX_LAYERS):
            if stream.peek(4).startswith(_ZIP):
                stream = closing.enter_context(seekable(stream))
            opened = _opened(stream, name, stored, closing)
            if opened is None:
                break
            content, name, kind = opened
            stream = io.BufferedReader(
                _Uncompressed(closing.enter_context(content), kind, stored), CHUNK_BYTES
            )
        yield stream, name


def seekable(stream: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    """Return a file that may be read from any place: itself, or a copy on disk that has no name.

    :param stream: the file, of which nothing is read yet
    """
    if stream.seekable():
        return stream
    copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (its user closes it)
    shutil.copyfileobj(stream, copy, CHUNK_BYTES)
    copy.seek(0)
    return io.BufferedReader(copy, CHUNK_BYTES)


def is_workbook(names: list[str]) -> bool:
    """Return whether a zip is a file of a spreadsheet program.

    :param names: the names of its files
    """
    return "[Content_Types].xml" in names or "mimetype" in names


def _opened(
    stream: io.BufferedReader[Any], name: str, stored: StoredFile, closing: contextlib.ExitStack
) -> tuple[IO[bytes], str, str] | None:
    """Return content, name and kind of a compressed file; None if it is not compressed."""
    head = stream.peek(6)[:6]
    if head.startswith(_ZIP):
        return _zip_member(stream, stored, closing)
    for kind, (mark, opener) in _KINDS.items():
        if head.startswith(mark):
            path = PurePosixPath(name)
            plain = path.stem if path.suffix.lower() in COMPRESSED_SUFFIXES else name
            return opener(stream), plain, kind
    return None


def _zip_member(
    stream: io.BufferedReader[Any], stored: StoredFile, closing: contextlib.ExitStack
) -> tuple[IO[bytes], str, str] | None:
    try:
        archive = zipfile.ZipFile(stream)
        if is_workbook(archive.namelist()):
            stream.seek(0)
            return None
        members = [each for each in archive.infolist() if not each.is_dir() and not _is_beside(each.filename)]
        if len(members) != 1:
            raise InvalidInput(f"items is a zip with {len(members)} files: it must hold exactly one")
        if members[0].flag_bits & 1:
            raise InvalidInput("items is a zip with a password: save it without one")
        return closing.enter_context(archive).open(members[0]), members[0].filename, "zip"
    except _ERRORS:
        if stored.failed:
            raise
        raise damaged("zip") from None


def _is_beside(name: str) -> bool:
    return name.startswith(_BESIDE) or PurePosixPath(name).name in _BESIDE


def _zst(stream: IO[bytes]) -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415  (one that Python may have been built without)
        else:
            from backports import zstd  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InvalidInput(
            "items is compressed with Zstandard, which needs: pip install 'airflow-provider-workflows[zst]'"
        ) from None
    return zstd.ZstdFile(stream)


_KINDS: dict[str, tuple[bytes, Callable[[IO[bytes]], Any]]] = {
    "gzip": (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream)),
    "bzip2": (b"BZh", bz2.BZ2File),
    "xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
    "zst": (b"\x28\xb5\x2f\xfd", _zst),
}
