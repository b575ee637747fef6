"""How aiohttp sends a request: once, telling "never sent" from "possibly sent", and not over a stale connection."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from airflow_provider_workflows.api.effects import NotSent
from airflow_provider_workflows.api.http_rules import (
    MAX_HEADER_LINE_BYTES,
    MAX_HEADER_LINES,
    MAX_IDLE_SECONDS,
    UnsoundResponse,
    idle_seconds,
    require_sound_head,
)
from airflow_provider_workflows.api.network import certificate_authorities, tls_context
from airflow_provider_workflows.api.proxies import proxy_and_headers, proxy_for
from airflow_provider_workflows.api.settings import POOL_SIZE


class Request(aiohttp.ClientRequest):
    """A request that knows the connection it was sent over; a response no longer does once it is read."""

    protocol: Any = None


class Dropped(Exception):
    """The connection broke after the request was sent, or while it was."""


class Connector(aiohttp.TCPConnector):
    """Tells a request that surely was not sent from one that may have been, and drops connections that are stale.

    :param clock: monotonic seconds
    :param options: what aiohttp's own takes
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock
        #: The latest ``Keep-Alive`` header of the service, as ``idle_seconds`` takes it.
        self.keep_alive: str | None = None

    async def connect(self, req: aiohttp.ClientRequest, *args: Any, **kwargs: Any) -> Any:
        """Return a connection that was used within ``idle_seconds``, or a new one.

        :raises NotSent: if there is no connection
        """
        while True:
            try:
                connection = await super().connect(req, *args, **kwargs)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                raise NotSent from error
            protocol: Any = connection.protocol
            used_at = getattr(protocol, "used_at", None)
            # What came meanwhile belongs to no request: the next one would take it for its response.
            if used_at is None or (
                not protocol.should_close
                and self._clock() - used_at <= idle_seconds(req.method, self.keep_alive)
            ):
                if isinstance(req, Request):
                    req.protocol = protocol
                return connection
            connection.close()

    async def send_once(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request once, as a middleware of aiohttp, and return the response if its head is sound.

        :raises Dropped: if the connection broke
        :raises UnsoundResponse: if what came must not be read
        """
        # aiohttp sends a GET a second time on its own when a kept connection breaks. What is
        # repeated, and how often, is the exchange's decision: the exceptions that it acts on must not reach it.
        try:
            response = await handler(request)
        except aiohttp.ClientResponseError:
            # What aiohttp says of it repeats what came.
            raise UnsoundResponse("its head or its chunks cannot be read") from None
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Dropped from error
        protocol = request.protocol if isinstance(request, Request) else None
        try:
            require_sound_head(response.version, response.status, response.raw_headers)
        except UnsoundResponse:
            response.close()
            if protocol is not None:
                # Kept by now, where the response came in one piece.
                protocol.close()
            raise
        if protocol is not None:
            protocol.used_at = self._clock()
        self.keep_alive = response.headers.get("Keep-Alive")
        return response


class HttpSession:
    """The pooled connections to one host, in one event loop, opened at the first request; clients may share it.

    :param host: base URL of the service
    :param verify: check the service's certificate: True, False, or the path of a CA file
    :param pool_size: the most connections that are open at once
    :param clock: monotonic seconds, for the life of connections
    :raises InvalidInput: if the environment names a proxy or a CA file that cannot be used
    """

    def __init__(
        self,
        host: str,
        verify: bool | str = True,
        *,
        pool_size: int = POOL_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.proxy, self.proxy_headers = proxy_and_headers(proxy_for(host))
        # Waiting for a connection is not waiting for a response, so it is done before the clock runs.
        self.slots = asyncio.Semaphore(pool_size)
        self._has_tls = self.proxy is not None or host.startswith("https:")
        self._authorities = certificate_authorities(verify)
        self._pool_size = pool_size
        self._clock = clock
        self._opening = asyncio.Lock()
        self._closed = False
        self._session: aiohttp.ClientSession | None = None
        self._connector: Connector | None = None

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """The session of aiohttp, once it is open."""
        return self._session

    async def get(self) -> aiohttp.ClientSession:
        """Return aiohttp's session.

        :raises RuntimeError: if it was closed
        """
        if self._session is not None:
            return self._session
        async with self._opening:
            if self._closed:
                raise RuntimeError("the client has been closed")
            if self._session is None:
                context: ssl.SSLContext | bool = True
                if self._has_tls:
                    # Reading the CA file takes tens of milliseconds, which no event loop should wait for.
                    context = await asyncio.to_thread(tls_context, self._authorities)
                self._connector = Connector(
                    clock=self._clock, limit=self._pool_size, ssl=context, keepalive_timeout=MAX_IDLE_SECONDS
                )
                self._session = aiohttp.ClientSession(
                    connector=self._connector,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    middlewares=(self._connector.send_once,),
                    request_class=Request,
                    auto_decompress=False,
                    max_line_size=MAX_HEADER_LINE_BYTES,
                    max_field_size=MAX_HEADER_LINE_BYTES,
                    max_headers=MAX_HEADER_LINES,
                )
            return self._session

    async def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None
