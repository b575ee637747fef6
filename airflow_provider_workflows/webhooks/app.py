"""The receiver of the service's webhooks: ``POST /workflows/webhooks/{connection id}`` on Airflow's API server."""

from __future__ import annotations

import asyncio
import logging

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from airflow_provider_workflows.api.webhook_signature import SignatureInvalid
from airflow_provider_workflows.webhooks.handler import TryAgainLater
from airflow_provider_workflows.webhooks.log_throttle import ThrottledWarning
from airflow_provider_workflows.webhooks.registry import HandlerRegistry

log = logging.getLogger(__name__)

#: The longest body that is read, in bytes.
MAX_BODY_BYTES = 256 * 1024
#: The service takes a delivery that is not answered within ten seconds for failed.
RESPONSE_TIMEOUT_SECONDS = 8.0
#: So many deliveries are dealt with at once; others are told to come again.
MAX_CONCURRENT_DELIVERIES = 500

_TAKEN, _REFUSED, _NOT_FOUND, _TOO_LONG, _COME_AGAIN = 204, 401, 404, 413, 503


def webhooks_app() -> FastAPI:
    """Return the app that Airflow mounts at ``/workflows``."""
    registry = HandlerRegistry()
    under_way = 0
    warn_late = ThrottledWarning(
        log, "%d webhooks were not dealt with in time since the last such line; they come again.%s"
    )
    warn_again = ThrottledWarning(
        log, "%d webhooks are to come again since the last such line, the latest because %s."
    )
    app = FastAPI(title="Workflows webhooks", openapi_url=None, docs_url=None, redoc_url=None)

    @app.post("/webhooks/{conn_id}", status_code=_TAKEN)
    async def receive(conn_id: str, request: Request) -> Response:
        """Take a delivery, and response 204 when what it tells is safe."""
        nonlocal under_way
        if under_way >= MAX_CONCURRENT_DELIVERIES:
            raise HTTPException(_COME_AGAIN)
        under_way += 1
        respond_by = asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_SECONDS
        try:
            status = await asyncio.wait_for(
                _respond(registry, conn_id, request, respond_by), RESPONSE_TIMEOUT_SECONDS
            )
        except TryAgainLater as error:
            warn_again(error)
            status = _COME_AGAIN
        except asyncio.TimeoutError:
            warn_late()
            status = _COME_AGAIN
        finally:
            under_way -= 1
        if status != _TAKEN:
            raise HTTPException(status)
        return Response(status_code=status)

    return app


async def _respond(registry: HandlerRegistry, conn_id: str, request: Request, respond_by: float) -> int:
    try:
        handler = await registry.get(conn_id)
        if handler is None:
            return _NOT_FOUND
        body = await _bounded(request)
        if body is None:
            handler.refused(f"its body is longer than {MAX_BODY_BYTES} bytes")
            return _TOO_LONG
        try:
            await handler.verify(request.headers.get("jws-signature"), body)
        except SignatureInvalid as error:
            handler.refused(f"of its signature: {error}")
            return _REFUSED
        await handler.take(body, respond_by)
    except TryAgainLater:
        raise
    except Exception as error:
        # Clients that go away while they send are not to fill the log.
        if not isinstance(error, ClientDisconnect):
            log.exception("A webhook could not be dealt with.")
        return _COME_AGAIN
    return _TAKEN


async def _bounded(request: Request) -> bytes | None:
    """Return the body, or None for one that is too long, of which no more is read than that shows."""
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
