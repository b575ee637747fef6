"""How a response of the sandbox is made: first as a value, then as bytes; and moments as responses have them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from aiohttp import web

JsonObject: TypeAlias = dict[str, Any]

HTML_PAGE = "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is sent: where it is, its name, and its content type."""

    path: Path
    name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A status with the JSON object, the plain text or the file that goes with it."""

    status: int
    body: JsonObject
    text: str | None = None
    file: StoredFile | None = None

    @property
    def content_type(self) -> str:
        """What the body is."""
        if self.file is not None:
            return self.file.content_type
        return "application/json" if self.text is None else "text/plain"

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if self.file is not None:
            return self.file.path.read_bytes()
        if self.text is not None:
            return self.text.encode()
        return json.dumps(self.body, separators=(",", ":"), allow_nan=False).encode()


class Refusal(Exception):
    """A request that is not carried out.

    :param status: the HTTP status, 400 to 599
    :param code: the service's error code, such as ``CASE_NOT_FOUND``
    :param message: what is wrong; never a value that the client sent, which may be personal
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @property
    def reply(self) -> Reply:
        """The refusal in the form of the API's errors, with a fingerprint of its own."""
        errors = [{"code": self.code, "message": self.message}]
        return Reply(self.status, {"fingerprint": uuid.uuid4().hex, "errors": errors})


def http_response(reply: Reply, headers: dict[str, str] | None = None) -> web.Response:
    """Return ``reply`` as an HTTP response with further ``headers``."""
    return web.Response(
        status=reply.status,
        body=reply.content,
        headers={**(headers or {}), "Content-Type": reply.content_type},
    )


def file_response(file: StoredFile) -> web.FileResponse:
    """Return ``file`` as an HTTP response, which reads it piece by piece."""
    disposition = f"attachment; filename*=utf-8''{quote(file.name, safe='')}"
    headers = {"Content-Type": file.content_type, "Content-Disposition": disposition}
    return web.FileResponse(file.path, headers=headers)


def html_response(status: int, title: str) -> web.Response:
    """Return a page as a proxy in front of the service makes it."""
    return web.Response(status=status, text=HTML_PAGE.format(title=title), content_type="text/html")


def now_text() -> str:
    """Return the present moment in ISO 8601, in UTC."""
    return moment_text(datetime.now(timezone.utc))


def moment_text(moment: datetime) -> str:
    """Return a moment in ISO 8601, in UTC."""
    in_utc = moment.astimezone(timezone.utc)
    return in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
