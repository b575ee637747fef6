"""A file to upload: checked before anything is sent, then read piece by piece, and sent as it was checked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias, TypeVar

from airflow_provider_workflows.api.content_types import content_type_of
from airflow_provider_workflows.api.errors import FileFailed, InvalidInput
from airflow_provider_workflows.api.file_limits import MAX_UPLOAD_BYTES

_T = TypeVar("_T")

#: What is read of a file at once, and sent at once.
PIECE_BYTES = 64 * 1024
#: What file systems take, and as many bytes as the header of a part should have.
_MAX_NAME_BYTES = 255

OpenFile: TypeAlias = Callable[[], "contextlib.AbstractContextManager[BinaryIO]"]
"""Opens a file to read from its start, in bytes; it is called for each time that the file is read."""


@dataclass(frozen=True)
class Upload:
    """A file to upload, as it was when it was checked.

    :param name: its name for the service, without folders; it may be the name of a person
    :param content_type: what it is, such as ``application/pdf``
    :param size: in bytes
    :param sha256: of its content, in hexadecimal digits
    :param open_file: opens it
    """

    name: str = field(repr=False)
    content_type: str
    size: int
    sha256: str = field(repr=False)
    open_file: OpenFile = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        name: str,
        open_file: OpenFile,
        *,
        content_type: str | None = None,
        max_bytes: int = MAX_UPLOAD_BYTES,
    ) -> Upload:
        """Check a file, which is read once for that, and return it as it is now.

        :param name: its name for the service, without folders
        :param open_file: opens it
        :param content_type: what it is, such as ``application/pdf``; None to tell it from the name
        :param max_bytes: the largest file that is uploaded, in bytes
        :raises InvalidInput: if it is empty or too large, or the name or the content type cannot be right, or the
            name does not tell the content type; the error repeats neither the name nor the content
        :raises FileFailed: if it cannot be read
        """
        require_file_name(name)
        content_type = content_type_of(name, content_type)
        digest, size = hashlib.sha256(), 0
        for piece in _pieces(open_file):
            size += len(piece)
            require_size(size, max_bytes, at_least=True)
            digest.update(piece)
        require_size(size, max_bytes)
        return cls(name, content_type, size, digest.hexdigest(), open_file)


class FormBody:
    """The body of one request: a form with one file (RFC 7578), which can be sent once.

    :param upload: the file
    """

    def __init__(self, upload: Upload) -> None:
        boundary = f"form-{secrets.token_hex(16)}"
        self._upload = upload
        self._head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{_FIELD}"; filename="{_escaped(upload.name)}"\r\n'
            f"Content-Type: {upload.content_type}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        #: What the request's ``Content-Type`` says.
        self.content_type = f"multipart/form-data; boundary={boundary}"
        #: In bytes.
        self.length = len(self._head) + upload.size + len(self._tail)
        #: What went wrong with the file, for a library that raises something else in its place.
        self.failure: FileFailed | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body in pieces; the last one only if the file is still the one that was checked.

        :raises FileFailed: if it is not, or cannot be read
        """
        try:
            yield from self._pieces()
        except FileFailed as error:
            self.failure = error
            raise
        except InvalidInput as problem:
            # The libraries take a ValueError for a failure of the network.
            self.failure = FileFailed(f"The file to upload has changed since it was checked: {problem}.")
            raise self.failure from None

    def _pieces(self) -> Iterator[bytes]:
        yield self._head
        digest, left = hashlib.sha256(), self._upload.size
        for piece in _pieces(self._upload.open_file):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            yield piece
        if left or digest.hexdigest() != self._upload.sha256:
            raise FileFailed(
                "The file was changed while it was uploaded, so the request was broken off. Try again once nothing "
                "writes to it."
            )
        yield self._tail

    async def on_loop(self) -> AsyncIterator[bytes]:
        """Yield what ``__iter__`` does; the file is read in a thread."""
        pieces = iter(self)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece


#: The service takes one file, and says nothing of the name of its field.
_FIELD = "file"


def require_file_name(name: object) -> None:
    """Return if a file may have this name for the service.

    :raises InvalidInput: saying what is wrong with it, without the name
    """
    if not isinstance(name, str):
        raise InvalidInput(f"the file's name must be text, not {type(name).__name__}")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput("the file's name is not Unicode; give it another one with file_name") from None
    problems = {
        "is empty": not name.strip(),
        "has a slash or a backslash in it: give it without folders": "/" in name or "\\" in name,
        "holds a control character": any(ord(character) < 32 or ord(character) == 127 for character in name),
        f"has {length} bytes, and may have {_MAX_NAME_BYTES}": length > _MAX_NAME_BYTES,
    }
    if problem := next((problem for problem, found in problems.items() if found), None):
        raise InvalidInput(f"the file's name {problem}; another one can be given with file_name")


def require_size(size: int, max_bytes: int, *, at_least: bool = False) -> None:
    """Return if a file of this size may be uploaded.

    :param size: in bytes
    :param max_bytes: the largest size
    :param at_least: whether the file may be larger than ``size``
    :raises InvalidInput: if it is empty or too large
    """
    if size == 0:
        raise InvalidInput("the file is empty, so it is not uploaded")
    if size > max_bytes:
        has = "more" if at_least else f"{size:,}"
        raise InvalidInput(
            f"the file has {has} bytes, and at most {max_bytes:,} are uploaded; max_bytes allows more, as far as "
            "the service takes it"
        )


def _pieces(open_file: OpenFile) -> Iterator[bytes]:
    with contextlib.ExitStack() as stack:
        file = reading(lambda: stack.enter_context(open_file()))
        while piece := reading(lambda: file.read(PIECE_BYTES)):
            yield piece


def reading(work: Callable[[], _T]) -> _T:
    """Return what storage returns.

    :param work: reads a file, or what storage says of it
    :raises InvalidInput: if ``work`` does
    :raises FileFailed: in place of any other error, whose text may hold the file's path
    """
    try:
        return work()
    except (FileFailed, InvalidInput):
        raise
    except Exception as error:  # noqa: BLE001  (each kind of storage has its own)
        failure = _unreadable(error)
    # Outside of the block: the text of the storage's error may hold a name, and must not show beside this one.
    raise failure


def _unreadable(error: Exception) -> FileFailed:
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
    return FileFailed(f"The file to upload cannot be read: {reason}.")


def _escaped(name: str) -> str:
    # As browsers write it (the HTML standard's encoding of forms); control characters were refused.
    return name.replace('"', "%22")
