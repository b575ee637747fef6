"""The endpoints that control the sandbox itself, under ``/_sandbox``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.definitions import Definition
from airflow_provider_workflows.sandbox.fault_schedule import Faults
from airflow_provider_workflows.sandbox.faults import Fault, WebhookFault
from airflow_provider_workflows.sandbox.openapi import openapi_document
from airflow_provider_workflows.sandbox.request_parsing import ControlBody, parse_model, read_json
from airflow_provider_workflows.sandbox.responses import Refusal, Reply, http_response
from airflow_provider_workflows.sandbox.routes import ALL_ROUTES
from airflow_provider_workflows.sandbox.service import Service
from airflow_provider_workflows.sandbox.tables import Table
from airflow_provider_workflows.sandbox.tokens import Scope
from airflow_provider_workflows.sandbox.webhooks import Destination

CONTROL_PREFIX = "/_sandbox/"
OPENAPI_PATH = "/openapi.json"

Operation = Callable[[web.Request], Awaitable[Reply]]


class Expiry(ControlBody):
    """Body of ``POST /_sandbox/tokens/expire``."""

    refresh: bool = False


class Grant(ControlBody):
    """Body of ``POST /_sandbox/tokens``."""

    scopes: list[Scope]


class TokenRotation(ControlBody):
    """Body of ``POST /_sandbox/tokens/rotate``: the token to end, by default the first."""

    token: str | None = None


class RunExpiry(ControlBody):
    """Body of ``POST /_sandbox/workflows/expire``: the workflow to expire, by default all."""

    workflow_id: str | None = None


class Rotation(ControlBody):
    """Body of ``POST /_sandbox/webhooks/key``."""

    keep_old: bool = True


class Control:
    """The control endpoints. They need no token, and no fault applies to them.

    :param service: the service that they control
    :param faults: its faults
    :param counts: its counts
    """

    def __init__(self, service: Service, faults: Faults, counts: Counts) -> None:
        self._service = service
        self._faults = faults
        self._counts = counts

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the endpoints."""
        endpoints: tuple[tuple[str, str, Operation], ...] = (
            ("GET", OPENAPI_PATH, self.openapi),
            ("GET", f"{CONTROL_PREFIX}faults", self.list_faults),
            ("POST", f"{CONTROL_PREFIX}faults", self.add_fault),
            ("DELETE", f"{CONTROL_PREFIX}faults", self.clear_faults),
            ("GET", f"{CONTROL_PREFIX}counts", self.read_counts),
            ("DELETE", f"{CONTROL_PREFIX}counts", self.reset_counts),
            ("GET", f"{CONTROL_PREFIX}definitions", self.list_definitions),
            ("POST", f"{CONTROL_PREFIX}definitions", self.define),
            ("GET", f"{CONTROL_PREFIX}tables", self.list_tables),
            ("POST", f"{CONTROL_PREFIX}tables", self.define_table),
            ("GET", f"{CONTROL_PREFIX}files", self.list_files),
            ("POST", f"{CONTROL_PREFIX}workflows/expire", self.expire_runs),
            ("POST", f"{CONTROL_PREFIX}tokens", self.issue_token),
            ("POST", f"{CONTROL_PREFIX}tokens/rotate", self.rotate_token),
            ("POST", f"{CONTROL_PREFIX}tokens/expire", self.expire_tokens),
            ("POST", f"{CONTROL_PREFIX}secret", self.rotate_secret),
            ("GET", f"{CONTROL_PREFIX}webhooks", self.read_webhooks),
            ("POST", f"{CONTROL_PREFIX}webhooks", self.send_webhooks),
            ("POST", f"{CONTROL_PREFIX}webhooks/faults", self.add_webhook_fault),
            ("POST", f"{CONTROL_PREFIX}webhooks/key", self.rotate_key),
        )
        for method, path, operation in endpoints:
            router.add_route(method, path, _as_handler(operation))

    async def openapi(self, _: web.Request) -> Reply:
        """Return the OpenAPI document of the API."""
        return Reply(200, openapi_document(ALL_ROUTES))

    async def list_faults(self, _: web.Request) -> Reply:
        """Return the faults in force."""
        return Reply(200, {"faults": [fault.json_object() for fault in self._faults]})

    async def add_fault(self, request: web.Request) -> Reply:
        """Add a fault with the fields of ``Fault``."""
        fault = parse_model(Fault, await read_json(request))
        self._faults.add(fault)
        return Reply(201, fault.json_object())

    async def clear_faults(self, _: web.Request) -> Reply:
        """Clear all faults, those of webhooks too."""
        self._faults.clear()
        self._service.webhooks.faults.clear()
        return Reply(200, {"faults": []})

    async def read_counts(self, request: web.Request) -> Reply:
        """Return all counters, and the runs by the value of the parameter that the query names."""
        body = self._counts.json_object()
        parameter = request.query.get("parameter")
        if parameter is not None:
            body["runs_per_parameter"] = self._counts.runs_per_parameter(parameter)
        return Reply(200, body)

    async def reset_counts(self, _: web.Request) -> Reply:
        """Set all counters to zero."""
        self._counts.reset()
        return Reply(200, self._counts.json_object())

    async def list_definitions(self, _: web.Request) -> Reply:
        """Return the workflow definitions."""
        definitions = self._service.definitions.copy().values()
        return Reply(200, {"definitions": [definition.json_object() for definition in definitions]})

    async def define(self, request: web.Request) -> Reply:
        """Add a workflow definition with the fields of ``Definition``."""
        definition = parse_model(Definition, await read_json(request))
        self._service.define(definition)
        return Reply(201, self._service.definitions[definition.id].json_object())

    async def list_tables(self, _: web.Request) -> Reply:
        """Return the tables."""
        tables = self._service.tables.tables.copy().values()
        return Reply(200, {"tables": [table.json_object() for table in tables]})

    async def define_table(self, request: web.Request) -> Reply:
        """Add a table with the fields of ``Table``."""
        table = parse_model(Table, await read_json(request))
        self._service.tables.tables[table.id] = table
        return Reply(201, table.json_object())

    async def list_files(self, _: web.Request) -> Reply:
        """Return what is known of the files that were uploaded."""
        files = self._service.files.received.copy()
        return Reply(200, {"files": [file.json_object() for file in files]})

    async def expire_runs(self, request: web.Request) -> Reply:
        """Let running workflows of generation 3 expire now; the body may be left out."""
        expiry = parse_model(RunExpiry, await read_json(request)) if request.can_read_body else RunExpiry()
        return Reply(200, {"expired": self._service.expire(expiry.workflow_id)})

    async def issue_token(self, request: web.Request) -> Reply:
        """Return a further organization token with the scopes of the body."""
        scopes = parse_model(Grant, await read_json(request)).scopes
        return Reply(201, {"token": self._service.tokens.issue_organization_token(scopes), "scopes": scopes})

    async def rotate_token(self, request: web.Request) -> Reply:
        """Replace an organization token and return the new one; the body may be left out."""
        body = (
            parse_model(TokenRotation, await read_json(request)) if request.can_read_body else TokenRotation()
        )
        try:
            return Reply(200, {"token": self._service.tokens.rotate_organization_token(body.token)})
        except KeyError:
            raise Refusal(404, "TOKEN_NOT_FOUND", "There is no such organization token.") from None

    async def expire_tokens(self, request: web.Request) -> Reply:
        """End all access tokens, and the refresh tokens too if the body says so; it may be left out."""
        expiry = parse_model(Expiry, await read_json(request)) if request.can_read_body else Expiry()
        self._service.tokens.expire(refresh=expiry.refresh)
        return Reply(200, expiry.model_dump())

    async def rotate_secret(self, _: web.Request) -> Reply:
        """Replace the API key's secret, end all tokens, and return the new secret."""
        return Reply(200, {"secret": self._service.tokens.rotate_secret()})

    async def read_webhooks(self, _: web.Request) -> Reply:
        """Return where webhooks go, how many are pending, and their faults in force."""
        webhooks = self._service.webhooks
        faults = [fault.json_object() for fault in webhooks.faults]
        body = {**webhooks.destination.json_object(), "pending": webhooks.pending, "faults": faults}
        return Reply(200, body)

    async def send_webhooks(self, request: web.Request) -> Reply:
        """Send webhooks with the fields of ``Destination``; without a URL, send none."""
        destination = parse_model(Destination, await read_json(request))
        self._service.webhooks.destination = destination
        return Reply(200, destination.json_object())

    async def add_webhook_fault(self, request: web.Request) -> Reply:
        """Add a webhook fault with the fields of ``WebhookFault``."""
        fault = parse_model(WebhookFault, await read_json(request))
        self._service.webhooks.faults.add(fault)
        return Reply(201, fault.json_object())

    async def rotate_key(self, request: web.Request) -> Reply:
        """Sign webhooks with a new key; the body may be left out."""
        rotation = parse_model(Rotation, await read_json(request)) if request.can_read_body else Rotation()
        kid = await asyncio.to_thread(self._service.webhooks.keys.rotate, keep_old=rotation.keep_old)
        return Reply(201, {"kid": kid})


def _as_handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return http_response(await operation(request))
        except Refusal as refusal:
            return http_response(refusal.reply)

    return handle
