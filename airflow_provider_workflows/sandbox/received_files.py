"""Files that clients upload: read piece by piece, never whole in memory; and the signed links to them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal, StoredFile

#: The limit of the service is unknown.
MAX_FILE_BYTES = 25_000_000
#: More than the boundaries and headers of a form with one file take.
FORM_BYTES = 65_536
PIECE_BYTES = 65_536
LINK_SECONDS = 300.0

#: What aiohttp raises for what is no form, or ends too early.
_MALFORMED = (ValueError, AssertionError, HttpProcessingError, web.RequestPayloadError, ConnectionError)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was uploaded.

    :param id: its id
    :param name: its name, without folders
    :param content_type: what the client says that it is
    :param size: in bytes
    :param sha256: of its content, in hexadecimal digits
    :param path: where its content is kept; None if it is not
    """

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    path: Path | None

    @property
    def stored(self) -> StoredFile:
        """Its content, to be sent.

        :raises Refusal: 404 if its content is not kept
        """
        if self.path is None:
            raise Refusal(404, "FILE_NOT_FOUND", "There is no such file.")
        return StoredFile(self.path, self.name, self.content_type)

    def json_object(self) -> JsonObject:
        """Return what is known of it as a JSON object."""
        return {
            "id": self.id,
            "name": self.name,
            "contentType": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
        }


class ReceivedFiles:
    """Receive files, and keep those that can be fetched again in a folder, until that is removed.

    :param max_bytes: the largest file that is accepted, in bytes
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        #: Those that were received, oldest first.
        self.received: list[ReceivedFile] = []

    @cached_property
    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="workflows-sandbox-"))

    def remove(self) -> None:
        """Remove the folder, if there is one."""
        if "_folder" in vars(self):
            shutil.rmtree(self._folder, ignore_errors=True)

    async def receive(self, request: web.Request, *, keep: bool) -> ReceivedFile:
        """Return the one file of a form.

        :param request: a request with the content type multipart/form-data
        :param keep: whether the file can be fetched again
        :raises Refusal: 415 for another content type, 413 if there is too much, 400 if the form is malformed or
            has not exactly one file, with a name
        """
        if request.content_type != "multipart/form-data":
            raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be multipart/form-data.")
        if (request.content_length or 0) > self.max_bytes + FORM_BYTES:
            raise self._too_large()
        file_id = str(uuid.uuid4())
        path = self._folder / file_id if keep else None
        try:
            received = await self._read(request, file_id, path)
        except _MALFORMED:
            _remove(path)
            raise _malformed() from None
        except BaseException:
            _remove(path)
            raise
        self.received.append(received)
        return received

    def discard(self, received: ReceivedFile) -> None:
        """Forget a file that is not wanted after all."""
        self.received.remove(received)
        _remove(received.path)

    async def _read(self, request: web.Request, file_id: str, path: Path | None) -> ReceivedFile:
        received: ReceivedFile | None = None
        left = self.max_bytes
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, aiohttp.BodyPartReader):
                raise _malformed()
            if part.filename is None:
                left -= await _consume(self._pieces(part, left), lambda _: None)
                continue
            if received is not None:
                raise Refusal(400, "ONE_FILE", "The form has more than one file.")
            name = _base_name(part.filename)
            content_type = part.headers.get("Content-Type", "application/octet-stream")
            size, digest = await self._store(part, left, path)
            left -= size
            received = ReceivedFile(file_id, name, content_type, size, digest, path)
        if received is None:
            raise Refusal(400, "FILE_REQUIRED", "The form has no file: a part with a filename.")
        return received

    async def _store(self, part: aiohttp.BodyPartReader, left: int, path: Path | None) -> tuple[int, str]:
        digest = hashlib.sha256()
        if path is None:
            return await _consume(self._pieces(part, left), digest.update), digest.hexdigest()
        with path.open("wb") as file:

            def store(piece: bytes) -> None:
                digest.update(piece)
                file.write(piece)

            return await _consume(self._pieces(part, left), store), digest.hexdigest()

    async def _pieces(self, part: aiohttp.BodyPartReader, left: int) -> AsyncIterator[bytes]:
        while piece := await part.read_chunk(PIECE_BYTES):
            left -= len(piece)
            if left < 0:
                raise self._too_large()
            yield piece

    def _too_large(self) -> Refusal:
        return Refusal(413, "FILE_TOO_LARGE", f"The file has more than {self.max_bytes} bytes.")


class SignedLinks:
    """Sign links and check them.

    :param clock: returns monotonic seconds
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def link(self, url: str, name: str) -> str:
        """Return ``url`` with a signature that holds for ``LINK_SECONDS``.

        :param name: what it is a link to
        """
        expires = f"{self._clock() + LINK_SECONDS:.3f}"
        return f"{url}?{urlencode({'expires': expires, 'signature': self._signature(name, expires)})}"

    def check(self, name: str, expires: str | None, signature: str | None) -> None:
        """Check the signature of a link.

        :param name: what it is a link to
        :raises Refusal: 400 without a signature, 403 if it is wrong or has expired
        """
        if not (expires and signature):
            raise Refusal(400, "SIGNATURE_REQUIRED", "The link is not signed.")
        right = self._signature(name, expires)
        # Compared as bytes: text of a client may hold what is not ASCII.
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise Refusal(403, "INVALID_SIGNATURE", "The signature of the link is wrong.")
        if float(expires) <= self._clock():
            raise Refusal(403, "LINK_EXPIRED", "The link has expired.")

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._key, f"{name} {expires}".encode(), hashlib.sha256).hexdigest()


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


async def _consume(pieces: AsyncIterator[bytes], take: Callable[[bytes], object]) -> int:
    size = 0
    async for piece in pieces:
        take(piece)
        size += len(piece)
    return size


def _base_name(name: str) -> str:
    # Either kind of slash ends a folder's name here. What is not UTF-8 cannot be put into JSON.
    base = PureWindowsPath(name).name.encode(errors="replace").decode()
    if not base:
        raise Refusal(400, "FILE_REQUIRED", "The file has no name.")
    return base


def _malformed() -> Refusal:
    return Refusal(400, "MALFORMED_BODY", "The form is malformed or ends too early.")
