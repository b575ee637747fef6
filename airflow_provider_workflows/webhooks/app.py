"""The webhook app: ``POST /workflows/webhooks/{connection id}`` on Airflow's API server."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI

from airflow_provider_workflows.api.webhook_signature import Signature, SignatureInvalid
from airflow_provider_workflows.log_throttle import ThrottledWarning
from airflow_provider_workflows.webhooks.counts_page import add_counts_page
from airflow_provider_workflows.webhooks.delivery_outcome import TryAgainLater
from airflow_provider_workflows.webhooks.handler import WebhookHandler
from airflow_provider_workflows.webhooks.registry import HandlerRegistry
from airflow_provider_workflows.webhooks.uploads import MAX_BODY_BYTES, BodyGivenUp, BodyTooLong, ClientGone

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

#: The service counts a delivery as failed after ten seconds without a response.
RESPONSE_TIMEOUT_SECONDS = 8.0
#: This many verified deliveries of one connection are dealt with at once; the service is to repeat the others.
MAX_CONCURRENT_DELIVERIES = 500

_PATH = "/webhooks/"
_SIGNATURE_HEADER = b"jws-signature"
_LENGTH_HEADER = b"content-length"


def webhooks_app() -> ASGIApp:
    """Return the app that Airflow mounts at ``/workflows``."""
    # A redirect to the path without a slash would repeat the Host header of the request.
    others = FastAPI(
        title="Workflows webhooks", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    registry = HandlerRegistry()
    add_counts_page(others, registry.counts, since=time.time())
    return WebhookApp(registry, others)


class WebhookApp:
    """Responds to deliveries, with 204 once what follows from one is in the database.

    It is plain ASGI, because anybody can send deliveries, and FastAPI's own work for a request is more than what
    refusing one takes.

    What costs more comes later. The form, the algorithm and the key's id of the signature are checked before the
    key is fetched, and the key is there before the body is read. Only a delivery that the service has signed takes
    one of the places of its connection.

    :param registry: finds the handler of a connection
    :param others: responds to all other requests
    """

    def __init__(self, registry: HandlerRegistry, others: ASGIApp) -> None:
        self._registry = registry
        self._others = others
        self._warn_late = ThrottledWarning(
            log,
            "Since the last such line, %s too long and got a 503; the service will repeat such deliveries.%s",
            ("webhook took", "webhooks took"),
        )
        self._warn_again = ThrottledWarning(
            log,
            "Since the last such line, %s a 503; the service will repeat such deliveries. The latest because %s.",
            ("webhook got", "webhooks got"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, as ASGI has it."""
        conn_id = _conn_id(scope) if scope["type"] == "http" else None
        if conn_id is None:
            await self._others(scope, receive, send)
        elif scope["method"] != "POST":
            await _respond(send, HTTPStatus.METHOD_NOT_ALLOWED)
        else:
            await _respond(send, await self._status(conn_id, scope["headers"], receive))

    async def _status(self, conn_id: str, headers: list[tuple[bytes, bytes]], receive: Receive) -> HTTPStatus:
        """Return the status of the response to a delivery."""
        respond_by = asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_SECONDS
        try:
            if self._registry.is_due(conn_id):
                handler = await asyncio.wait_for(self._registry.get(conn_id), RESPONSE_TIMEOUT_SECONDS)
            else:
                handler = self._registry.current(conn_id)
            if handler is None:
                return HTTPStatus.NOT_FOUND
            if _is_too_long(headers):
                handler.refuse(f"its body is longer than {MAX_BODY_BYTES} bytes")
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            try:
                signature = handler.read_signature(_header(headers, _SIGNATURE_HEADER))
            except SignatureInvalid as error:
                handler.refuse(f"of its signature: {error}")
                return HTTPStatus.UNAUTHORIZED
            # Reading the connection may have taken some of the time.
            seconds = respond_by - asyncio.get_running_loop().time()
            return await asyncio.wait_for(self._take(handler, signature, receive, respond_by), seconds)
        except (TryAgainLater, BodyGivenUp) as error:
            self._warn_again(error)
        except asyncio.TimeoutError:
            self._warn_late()
        except ClientGone:
            # Clients that go away while they send must not fill the log.
            pass
        except Exception:
            log.exception("A webhook of connection %s could not be dealt with; it comes again.", conn_id)
        return HTTPStatus.SERVICE_UNAVAILABLE

    async def _take(
        self, handler: WebhookHandler, signature: Signature, receive: Receive, respond_by: float
    ) -> HTTPStatus:
        try:
            key = handler.cached_key(signature) or await handler.key(signature)
            body = await handler.uploads.read(receive)
            await handler.verify(signature, body, key)
        except SignatureInvalid as error:
            handler.refuse(f"of its signature: {error}")
            return HTTPStatus.UNAUTHORIZED
        except BodyTooLong:
            handler.refuse(f"its body is longer than {MAX_BODY_BYTES} bytes")
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if handler.deliveries >= MAX_CONCURRENT_DELIVERIES:
            raise TryAgainLater(f"{MAX_CONCURRENT_DELIVERIES} others of its connection are under way")
        handler.deliveries += 1
        try:
            await handler.take(body, respond_by)
        finally:
            handler.deliveries -= 1
        return HTTPStatus.NO_CONTENT


def _conn_id(scope: Scope) -> str | None:
    """Return the connection id of a webhook address, or None if the path is any other."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    if not path.startswith(_PATH):
        return None
    conn_id = path[len(_PATH) :]
    return conn_id if conn_id and "/" not in conn_id else None


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the value of a header without the white space around it, the first if there are several."""
    return next((value.decode("latin-1").strip(" \t") for key, value in headers if key == name), None)


def _is_too_long(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a request says that its body is longer than ``MAX_BODY_BYTES``."""
    length = _header(headers, _LENGTH_HEADER) or ""
    return length.isascii() and length.isdigit() and int(length[:20]) > MAX_BODY_BYTES


async def _respond(send: Send, status: HTTPStatus) -> None:
    """Respond as FastAPI does: with the name of an error and nothing else."""
    if status is HTTPStatus.NO_CONTENT:
        body, headers = b"", []
    else:
        body = json.dumps({"detail": status.phrase}, separators=(",", ":")).encode()
        headers = [
            (b"content-length", str(len(body)).encode()),
            (b"content-type", b"application/json"),
        ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body})
