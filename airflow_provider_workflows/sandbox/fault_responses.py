"""What each fault looks like on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus

from aiohttp import web

from airflow_provider_workflows.sandbox.faults import Fault, Name
from airflow_provider_workflows.sandbox.responses import (
    JsonObject,
    Refusal,
    Reply,
    html_response,
    response_of,
)

NEW_STATUS = "SOMETHING_NEW"


async def faulty_response(
    fault: Fault, request: web.Request, work: Callable[[], Awaitable[Reply]]
) -> web.StreamResponse:
    """Response ``request`` in the way of ``fault``.

    :param fault: any but latency
    :param request: the request, whose connection may be cut
    :param work: what carries out the call and returns its proper response
    """
    reply = await work() if fault.carries_out else None
    if fault.name in ("cut_before", "cut_after"):
        return _abort(request)
    if reply is None or fault.name == "server_error":
        return _INSTEAD[fault.name](fault)
    if fault.name == "cut_during":
        return await _close_midway(request, reply)
    return _SPOILED[fault.name](reply)


def _server_error(fault: Fault) -> web.Response:
    title = _phrase(fault.status)
    if fault.form == "html":
        return html_response(fault.status, title)
    if fault.form == "empty":
        return web.Response(status=fault.status)
    return response_of(Refusal(fault.status, title.upper().replace(" ", "_"), f"{title}.").reply)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Server Error"


def _rate_limited(fault: Fault) -> web.Response:
    wait = fault.retry_after
    headers = {} if wait is None else {"Retry-After": wait if isinstance(wait, str) else f"{wait:g}"}
    return response_of(Refusal(429, "TOO_MANY_REQUESTS", "Too many requests.").reply, headers)


def _cut_in_half(reply: Reply) -> web.Response:
    half = reply.content[: len(reply.content) // 2]
    content_type = "application/json" if reply.text is None else "text/plain"
    return web.Response(status=reply.status, body=half, content_type=content_type)


def _with_fields(fields: Callable[[JsonObject], JsonObject], reply: Reply) -> web.Response:
    # A call that was refused has no fields and no status to spoil.
    return response_of(reply if reply.status >= 400 else Reply(reply.status, fields(reply.body)))


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    # Never sent: the connection is gone, but aiohttp wants a response.
    return web.Response()


async def _close_midway(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": "application/json"})
    response.content_length = len(reply.content)
    await response.prepare(request)
    await response.write(reply.content[: len(reply.content) // 2])
    if request.transport is not None:
        # Closed rather than aborted, so that what was written does arrive.
        request.transport.close()
    return response


_INSTEAD: Mapping[Name, Callable[[Fault], web.Response]] = {
    "unauthorized": lambda _: response_of(Refusal(401, "UNAUTHORIZED", "The token has expired.").reply),
    "forbidden": lambda _: response_of(Refusal(403, "FORBIDDEN", "A permission is missing.").reply),
    "rate_limited": _rate_limited,
    "server_error": _server_error,
    "html_ok": lambda _: html_response(200, "Maintenance"),
    "redirect": lambda fault: web.Response(status=302, headers={"Location": fault.location}),
}

_SPOILED: Mapping[Name, Callable[[Reply], web.Response]] = {
    "truncated_json": _cut_in_half,
    "missing_fields": partial(_with_fields, lambda _: {}),
    "unknown_status": partial(_with_fields, lambda body: {**body, "status": NEW_STATUS}),
}
