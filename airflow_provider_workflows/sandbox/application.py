"""The API on aiohttp: one dispatch, which counts each request, applies faults, checks it and responds."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.sandbox.control import CONTROL_PREFIX, OPENAPI_PATH, Control
from airflow_provider_workflows.sandbox.counts import UNKNOWN_ROUTE, Counts
from airflow_provider_workflows.sandbox.fault_responses import faulty_response
from airflow_provider_workflows.sandbox.fault_schedule import Faults
from airflow_provider_workflows.sandbox.received_files import ReceivedFile
from airflow_provider_workflows.sandbox.request_parsing import (
    FIRST_VERSION,
    MAX_BODY_BYTES,
    parse_model,
    read_json,
    requested_version,
    require_object,
)
from airflow_provider_workflows.sandbox.responses import (
    JsonObject,
    Refusal,
    Reply,
    StoredFile,
    file_response,
    http_response,
)
from airflow_provider_workflows.sandbox.route import Call, Route
from airflow_provider_workflows.sandbox.routes import ALL_ROUTES
from airflow_provider_workflows.sandbox.service import Service

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The API over HTTP.

    :param service: what carries requests out
    :param faults: what goes wrong with them
    :param counts: where they are counted
    """

    def __init__(self, service: Service, faults: Faults, counts: Counts) -> None:
        self.service = service
        self.faults = faults
        self.counts = counts

    def application(self) -> web.Application:
        """Return a new application, which can serve once."""
        application = web.Application(
            client_max_size=MAX_BODY_BYTES, middlewares=[self._refuse_unknown_routes]
        )
        for route in ALL_ROUTES:
            application.router.add_route(route.method, route.path, functools.partial(self._dispatch, route))
        application.cleanup_ctx.append(self.service.webhooks.running)
        Control(self.service, self.faults, self.counts).add_to(application.router)
        return application

    async def _dispatch(self, route: Route, request: web.Request) -> web.StreamResponse:
        self.counts.request_arrived(route.name, request.transport)
        delay, fault = self.faults.draw(route)
        response: web.StreamResponse
        if delay:
            await asyncio.sleep(delay)
        if fault is None:
            reply = await self._reply(route, request)
            response = http_response(reply) if reply.file is None else file_response(reply.file)
        else:
            response = await faulty_response(fault, request, lambda: self._reply(route, request))
        self._record(request, response, route)
        return response

    async def _reply(self, route: Route, request: web.Request) -> Reply:
        try:
            if route.authenticated:
                self.service.tokens.check(request.headers.get("Authorization"), route.scopes)
            response = await self._carry_out(route, request)
        except Refusal as refusal:
            return refusal.reply
        if isinstance(response, str):
            return Reply(route.success, {}, response)
        if isinstance(response, StoredFile):
            return Reply(route.success, {}, file=response)
        return Reply(route.success, response)

    async def _carry_out(self, route: Route, request: web.Request) -> JsonObject | str | StoredFile:
        version = FIRST_VERSION
        if route.versioned:
            version = requested_version(request.headers.get("Accept"))
        body = await self._body(route, version, request)
        base_url = f"{request.scheme}://{request.host}"
        try:
            return route.operation(
                self.service, Call(version, request.match_info, request.query, base_url, body)
            )
        except Refusal:
            if isinstance(body, ReceivedFile):
                self.service.files.discard(body)
            raise

    async def _body(self, route: Route, version: int, request: web.Request) -> Any:
        if route.receives == "object":
            return require_object(await read_json(request))
        if route.receives is not None:
            return await self.service.files.receive(request, keep=route.receives == "kept file")
        if not route.requests:
            return None
        model = route.requests.get(version) or route.requests[FIRST_VERSION]
        return parse_model(model, await read_json(request))

    @web.middleware
    async def _refuse_unknown_routes(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
            refusal = Refusal(error.status, error.reason.upper().replace(" ", "_"), f"{error.reason}.")
        response = http_response(refusal.reply, headers)
        if not request.path.startswith((CONTROL_PREFIX, OPENAPI_PATH)):
            self.counts.request_arrived(UNKNOWN_ROUTE, request.transport)
            self._record(request, response, None)
        return response

    def _record(self, request: web.Request, response: web.StreamResponse, route: Route | None) -> None:
        cut = request.transport is None or request.transport.is_closing()
        status = None if cut else response.status
        self.counts.response_sent(request.method, request.path, status, request.headers)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s %s", request.method, _loggable_path(request, route), status or "cut")


def _loggable_path(request: web.Request, route: Route | None) -> str:
    if route is None:
        return "(unknown path)"
    # A value in the place of an id may be personal; an id is not.
    return request.path if all(map(is_id, request.match_info.values())) else route.path
