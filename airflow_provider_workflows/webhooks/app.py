"""The webhook app: ``POST /workflows/webhooks/{connection id}`` on Airflow's API server."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from airflow_provider_workflows.api.webhook_signature import SignatureInvalid
from airflow_provider_workflows.log_throttle import ThrottledWarning
from airflow_provider_workflows.webhooks.handler import TryAgainLater
from airflow_provider_workflows.webhooks.registry import HandlerRegistry

log = logging.getLogger(__name__)

#: The longest body that is read, in bytes.
MAX_BODY_BYTES = 256 * 1024
#: The service counts a delivery as failed after ten seconds without a response.
RESPONSE_TIMEOUT_SECONDS = 8.0
#: This many deliveries are dealt with at once; the service is to repeat the others.
MAX_CONCURRENT_DELIVERIES = 500


def webhooks_app() -> FastAPI:
    """Return the app that Airflow mounts at ``/workflows``."""
    registry = HandlerRegistry()
    deliveries = 0
    warn_late = ThrottledWarning(
        log,
        "Since the last such line, %d webhooks took too long and got a 503; the service will send them again.%s",
    )
    warn_again = ThrottledWarning(
        log,
        "Since the last such line, %d webhooks got a 503; the service will send them again. The latest because %s.",
    )
    # A redirect to the path without a slash would repeat the Host header of the request.
    app = FastAPI(
        title="Workflows webhooks", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )

    @app.post("/webhooks/{conn_id}", status_code=HTTPStatus.NO_CONTENT)
    async def receive(conn_id: str, request: Request) -> Response:
        """Take a delivery, and respond with 204 once what follows from it is in the database."""
        nonlocal deliveries
        if deliveries >= MAX_CONCURRENT_DELIVERIES:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
        deliveries += 1
        respond_by = asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_SECONDS
        try:
            status = await asyncio.wait_for(
                _take(registry, conn_id, request, respond_by), RESPONSE_TIMEOUT_SECONDS
            )
        except TryAgainLater as error:
            warn_again(error)
            status = HTTPStatus.SERVICE_UNAVAILABLE
        except asyncio.TimeoutError:
            warn_late()
            status = HTTPStatus.SERVICE_UNAVAILABLE
        finally:
            deliveries -= 1
        if status != HTTPStatus.NO_CONTENT:
            raise HTTPException(status)
        return Response(status_code=status)

    return app


async def _take(registry: HandlerRegistry, conn_id: str, request: Request, respond_by: float) -> HTTPStatus:
    """Return the status of the response to a delivery."""
    try:
        handler = await registry.get(conn_id)
        if handler is None:
            return HTTPStatus.NOT_FOUND
        body = await _read_body(request)
        if body is None:
            handler.refuse(f"its body is longer than {MAX_BODY_BYTES} bytes")
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            await handler.verify(request.headers.get("jws-signature"), body)
        except SignatureInvalid as error:
            handler.refuse(f"of its signature: {error}")
            return HTTPStatus.UNAUTHORIZED
        await handler.take(body, respond_by)
    except TryAgainLater:
        raise
    except Exception as error:
        # Clients that go away while they send must not fill the log.
        if not isinstance(error, ClientDisconnect):
            log.exception("A webhook of connection %s could not be dealt with; it comes again.", conn_id)
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.NO_CONTENT


async def _read_body(request: Request) -> bytes | None:
    """Return the body, or None if it is longer than ``MAX_BODY_BYTES``: reading stops at that limit."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        return None
    chunks, received = [], 0
    async for chunk in request.stream():
        chunks.append(chunk)
        received += len(chunk)
        if received > MAX_BODY_BYTES:
            return None
    return b"".join(chunks)
