"""The calls that steer the sandbox itself, under ``/_sandbox``, and its OpenAPI document."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.definitions import Definition
from airflow_provider_workflows.sandbox.faults import Fault, Faults
from airflow_provider_workflows.sandbox.openapi import openapi_document
from airflow_provider_workflows.sandbox.request_parsing import ControlBody, checked, read_json
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal, Reply, response_of
from airflow_provider_workflows.sandbox.routes import ROUTES
from airflow_provider_workflows.sandbox.service import Service
from airflow_provider_workflows.sandbox.webhook_faults import Destination, WebhookFault

CONTROL_PREFIX = "/_sandbox/"
OPENAPI_PATH = "/openapi.json"

Call = Callable[[web.Request], Awaitable[Reply]]


class Expiry(ControlBody):
    """Body of ``POST /_sandbox/tokens/expire``."""

    refresh: bool = False


class Rotation(ControlBody):
    """Body of ``POST /_sandbox/webhooks/key``."""

    keep_old: bool = True


class Control:
    """The control calls. They need no token, and nothing ever goes wrong with them.

    :param service: the service that they steer
    :param faults: its faults
    :param counts: its counts
    """

    def __init__(self, service: Service, faults: Faults, counts: Counts) -> None:
        self._service = service
        self._faults = faults
        self._counts = counts

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the calls."""
        calls: tuple[tuple[str, str, Call], ...] = (
            ("GET", OPENAPI_PATH, self.openapi),
            ("GET", f"{CONTROL_PREFIX}faults", self.list_faults),
            ("POST", f"{CONTROL_PREFIX}faults", self.add_fault),
            ("DELETE", f"{CONTROL_PREFIX}faults", self.clear_faults),
            ("GET", f"{CONTROL_PREFIX}counts", self.read_counts),
            ("DELETE", f"{CONTROL_PREFIX}counts", self.reset_counts),
            ("GET", f"{CONTROL_PREFIX}definitions", self.list_definitions),
            ("POST", f"{CONTROL_PREFIX}definitions", self.define),
            ("POST", f"{CONTROL_PREFIX}tokens/expire", self.expire_tokens),
            ("GET", f"{CONTROL_PREFIX}webhooks", self.read_webhooks),
            ("POST", f"{CONTROL_PREFIX}webhooks", self.send_webhooks),
            ("POST", f"{CONTROL_PREFIX}webhooks/faults", self.add_webhook_fault),
            ("POST", f"{CONTROL_PREFIX}webhooks/key", self.rotate_key),
        )
        for method, path, call in calls:
            router.add_route(method, path, _as_handler(call))

    async def openapi(self, _: web.Request) -> Reply:
        """Return the OpenAPI document of the API."""
        return Reply(200, openapi_document(ROUTES))

    async def list_faults(self, _: web.Request) -> Reply:
        """Return the faults in force."""
        return Reply(200, {"faults": [_shown(fault) for fault in self._faults]})

    async def add_fault(self, request: web.Request) -> Reply:
        """Add a fault with the fields of ``Fault``."""
        fault = checked(Fault, await read_json(request))
        self._faults.add(fault)
        return Reply(201, _shown(fault))

    async def clear_faults(self, _: web.Request) -> Reply:
        """Drop all faults, those of webhooks too."""
        self._faults.clear()
        self._service.webhooks.faults.clear()
        return Reply(200, {"faults": []})

    async def read_counts(self, _: web.Request) -> Reply:
        """Return all counters."""
        return Reply(200, self._counts.json_object())

    async def reset_counts(self, _: web.Request) -> Reply:
        """Set all counters to zero."""
        self._counts.reset()
        return Reply(200, self._counts.json_object())

    async def list_definitions(self, _: web.Request) -> Reply:
        """Return the workflow definitions."""
        definitions = self._service.definitions.copy().values()
        return Reply(200, {"definitions": [_shown(definition) for definition in definitions]})

    async def define(self, request: web.Request) -> Reply:
        """Add a workflow definition with the fields of ``Definition``."""
        definition = checked(Definition, await read_json(request))
        self._service.definitions[definition.id] = definition
        return Reply(201, _shown(definition))

    async def expire_tokens(self, request: web.Request) -> Reply:
        """End all access tokens, and refresh tokens where the body says so; the body may be left out."""
        expiry = checked(Expiry, await read_json(request)) if request.can_read_body else Expiry()
        self._service.tokens.expire(refresh=expiry.refresh)
        return Reply(200, expiry.model_dump())

    async def read_webhooks(self, _: web.Request) -> Reply:
        """Return where webhooks go, and their faults in force."""
        webhooks = self._service.webhooks
        faults = [_shown(fault) for fault in webhooks.faults]
        return Reply(200, {**_shown(webhooks.destination), "faults": faults})

    async def send_webhooks(self, request: web.Request) -> Reply:
        """Send webhooks with the fields of ``Destination``; without a URL, none."""
        destination = checked(Destination, await read_json(request))
        self._service.webhooks.destination = destination
        return Reply(200, _shown(destination))

    async def add_webhook_fault(self, request: web.Request) -> Reply:
        """Add a fault of webhooks with the fields of ``WebhookFault``."""
        fault = checked(WebhookFault, await read_json(request))
        self._service.webhooks.faults.add(fault)
        return Reply(201, _shown(fault))

    async def rotate_key(self, request: web.Request) -> Reply:
        """Sign webhooks with a new key; the body may be left out."""
        rotation = checked(Rotation, await read_json(request)) if request.can_read_body else Rotation()
        kid = await asyncio.to_thread(self._service.webhooks.keys.rotate, keep_old=rotation.keep_old)
        return Reply(201, {"kid": kid})


def _as_handler(call: Call) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return response_of(await call(request))
        except Refusal as refusal:
            return response_of(refusal.reply)

    return handle


def _shown(body: ControlBody) -> JsonObject:
    return body.model_dump(mode="json", exclude_none=True)
