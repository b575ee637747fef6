"""How a response of the sandbox is made: first as a value, then as bytes."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import web

JsonObject: TypeAlias = dict[str, Any]

HTML_PAGE = "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status with the JSON object, or the plain text, that goes with it."""

    status: int
    body: JsonObject
    text: str | None = None

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
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
    content_type = "application/json" if reply.text is None else "text/plain"
    return web.Response(
        status=reply.status,
        body=reply.content,
        headers={**(headers or {}), "Content-Type": content_type},
    )


def html_response(status: int, title: str) -> web.Response:
    """Return a page as a proxy in front of the service makes it."""
    return web.Response(status=status, text=HTML_PAGE.format(title=title), content_type="text/html")
