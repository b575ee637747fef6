"""The API on aiohttp: one dispatch, which counts each request, applies faults, checks it and responds."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.sandbox.control import CONTROL_PREFIX, OPENAPI_PATH, Control
from airflow_provider_workflows.sandbox.counts import UNKNOWN_ROUTE, Counts
from airflow_provider_workflows.sandbox.fault_responses import faulty_response
from airflow_provider_workflows.sandbox.faults import Faults
from airflow_provider_workflows.sandbox.request_parsing import MAX_BODY_BYTES, parse_model, read_json
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal, Reply, http_response
from airflow_provider_workflows.sandbox.route import Call, Route
from airflow_provider_workflows.sandbox.routes import ROUTES
from airflow_provider_workflows.sandbox.service import Service
from airflow_provider_workflows.sandbox.versions import FIRST_VERSION, requested_version

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
        for route in ROUTES:
            application.router.add_route(route.method, route.path, functools.partial(self._dispatch, route))
        application.cleanup_ctx.append(self.service.webhooks.running)
        Control(self.service, self.faults, self.counts).add_to(application.router)
        return application

    async def _dispatch(self, route: Route, request: web.Request) -> web.StreamResponse:
        self.counts.request_arrived(route.name, request.transport)
        delay, fault = self.faults.draw(route)
        if delay:
            await asyncio.sleep(delay)
        if fault is None:
            response: web.StreamResponse = http_response(await self._reply(route, request))
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
        return Reply(route.success, response)

    async def _carry_out(self, route: Route, request: web.Request) -> JsonObject | str:
        version = FIRST_VERSION
        if route.versioned:
            version = requested_version(request.headers.get("Accept"))
        body = None
        if route.requests:
            model = route.requests.get(version) or route.requests[FIRST_VERSION]
            body = parse_model(model, await read_json(request))
        base_url = f"{request.scheme}://{request.host}"
        return route.operation(self.service, Call(version, request.match_info, request.query, base_url, body))

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
