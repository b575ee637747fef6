"""How the pages' app responds: JSON that is sent again only if it has changed, pages without foreign content."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

#: Scripts and styles come from this package alone, and nobody else shows a page in a frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def if_changed(request: Request, body: bytes, media_type: str, *, version: str | None = None) -> Response:
    """Return a response with a body, or 304 if the browser has it.

    :param request: what the browser has asked
    :param body: what it gets
    :param media_type: of the body
    :param version: what changes with the body; None for a hash of it
    """
    etag = f'"{version or hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {**HEADERS, "ETag": etag, "Cache-Control": "private, no-cache"}
    if has_version(request, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED.value, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def has_version(request: Request, etag: str) -> bool:
    """Return whether the browser has a version already.

    :param request: what the browser has asked
    :param etag: names the version, in quotation marks
    """
    given = request.headers.get("if-none-match", "")
    return etag in (each.strip().removeprefix("W/") for each in given.split(","))


def as_json(request: Request, content: Any, *, version: str | None = None) -> Response:
    """Return a response with JSON, or 304 if the browser has it.

    :param request: what the browser has asked
    :param content: must be JSON
    :param version: what changes with the content; None for a hash of it
    """
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return if_changed(request, body, "application/json", version=version)
