"""The response to a request that a fault applies to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus

from aiohttp import web

from airflow_provider_workflows.sandbox.faults import Fault, FaultName
from airflow_provider_workflows.sandbox.responses import (
    JsonObject,
    Refusal,
    Reply,
    html_response,
    http_response,
)

NEW_STATUS = "SOMETHING_NEW"


async def faulty_response(
    fault: Fault, request: web.Request, carry_out: Callable[[], Awaitable[Reply]]
) -> web.StreamResponse:
    """Return the response to ``request`` as ``fault`` makes it.

    :param fault: any fault but latency
    :param request: the request, whose connection may be cut
    :param carry_out: carries out the request and returns its proper reply
    """
    reply = await carry_out() if fault.carries_out else None
    if fault.name in ("cut_before", "cut_after"):
        return _abort(request)
    if reply is None or fault.name == "server_error":
        return _REPLACED[fault.name](fault)
    if fault.name == "cut_during":
        return await _close_midway(request, reply)
    return _SPOILED[fault.name](reply)


def _server_error(fault: Fault) -> web.Response:
    title = _phrase(fault.status)
    if fault.form == "html":
        return html_response(fault.status, title)
    if fault.form == "empty":
        return web.Response(status=fault.status)
    return http_response(Refusal(fault.status, title.upper().replace(" ", "_"), f"{title}.").reply)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Server Error"


def _rate_limited(fault: Fault) -> web.Response:
    wait = fault.retry_after
    headers = {} if wait is None else {"Retry-After": wait if isinstance(wait, str) else f"{wait:g}"}
    return http_response(Refusal(429, "TOO_MANY_REQUESTS", "Too many requests.").reply, headers)


def _truncated(reply: Reply) -> web.Response:
    half = reply.content[: len(reply.content) // 2]
    return web.Response(status=reply.status, body=half, headers={"Content-Type": reply.content_type})


def _with_fields(fields: Callable[[JsonObject], JsonObject], reply: Reply) -> web.Response:
    # A refusal has no fields and no workflow status to spoil.
    return http_response(reply if reply.status >= 400 else Reply(reply.status, fields(reply.body)))


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    # Never sent, for the connection is gone; aiohttp wants a response all the same.
    return web.Response()


async def _close_midway(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    response.content_length = len(reply.content)
    await response.prepare(request)
    await response.write(reply.content[: len(reply.content) // 2])
    if request.transport is not None:
        # Closed rather than aborted, so that what was written does arrive.
        request.transport.close()
    return response


_REPLACED: Mapping[FaultName, Callable[[Fault], web.Response]] = {
    "unauthorized": lambda _: http_response(Refusal(401, "UNAUTHORIZED", "The token has expired.").reply),
    "forbidden": lambda _: http_response(Refusal(403, "FORBIDDEN", "A permission is missing.").reply),
    "rate_limited": _rate_limited,
    "server_error": _server_error,
    "html_ok": lambda _: html_response(200, "Maintenance"),
    "redirect": lambda fault: web.Response(status=302, headers={"Location": fault.location}),
}

_SPOILED: Mapping[FaultName, Callable[[Reply], web.Response]] = {
    "truncated_json": _truncated,
    "missing_fields": partial(_with_fields, lambda _: {}),
    "unknown_status": partial(_with_fields, lambda body: {**body, "status": NEW_STATUS}),
}
