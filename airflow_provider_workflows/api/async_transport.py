"""How aiohttp sends a request: once, over trusted TLS, and telling "never sent" from "possibly sent"."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp

from airflow_provider_workflows.api.effects import NotSent
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.network import certificate_authorities, proxy_for
from airflow_provider_workflows.api.settings import POOL_SIZE

#: How long a connection that is not used is kept, in seconds.
KEEPALIVE_SECONDS = 60.0


class Connector(aiohttp.TCPConnector):
    """Tells a request that surely was not sent from one that may have been."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Return a connection.

        :raises NotSent: if there is no connection
        """
        try:
            return await super().connect(*args, **kwargs)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
            raise NotSent from error


class Dropped(Exception):
    """The connection broke after the request was sent, or while it was."""


async def sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request once, as a middleware of aiohttp.

    :raises Dropped: if the connection broke
    """
    # aiohttp sends a GET a second time on its own when a kept connection breaks. What is
    # repeated, and how often, is the exchange's decision: the exceptions that it acts on must not reach it.
    try:
        return await handler(request)
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        raise Dropped from error


class HttpSession:
    """The pooled connections to one host, in one event loop, opened at the first request; clients may share it.

    :param host: base URL of the service
    :param verify: check the service's certificate: True, False, or the path of a CA file
    :param pool_size: the most connections that are open at once
    :raises InvalidInput: if the environment names a proxy or a CA file that cannot be used
    """

    def __init__(self, host: str, verify: bool | str = True, *, pool_size: int = POOL_SIZE) -> None:
        self.proxy, self.proxy_headers = proxy_and_headers(proxy_for(host))
        # Waiting for a connection is not waiting for a response, so it is done before the clock runs.
        self.slots = asyncio.Semaphore(pool_size)
        self._has_tls = self.proxy is not None or host.startswith("https:")
        self._authorities = certificate_authorities(verify)
        self._pool_size = pool_size
        self._opening = asyncio.Lock()
        self._closed = False
        self._session: aiohttp.ClientSession | None = None

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
                self._session = aiohttp.ClientSession(
                    connector=Connector(
                        limit=self._pool_size, ssl=context, keepalive_timeout=KEEPALIVE_SECONDS
                    ),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    middlewares=(sent_once,),
                )
            return self._session

    async def close(self) -> None:
        """Close the connections, for good."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None


def proxy_and_headers(proxy: str | None) -> tuple[str | None, dict[str, str] | None]:
    """Return the proxy without its user, and the header that names the user."""
    if proxy is None:
        return None, None
    parts = urlsplit(proxy)
    user, at, address = parts.netloc.rpartition("@")
    if not at:
        return proxy, None
    name, _, password = user.partition(":")
    credentials = aiohttp.encode_basic_auth(unquote(name), unquote(password))
    return urlunsplit(parts._replace(netloc=address)), {"Proxy-Authorization": credentials}


def tls_context(authorities: bool | str) -> ssl.SSLContext | bool:
    """Return the value for aiohttp's ``ssl``: which certificates it trusts. Reads files: not for an event loop.

    :raises InvalidInput: if the file holds no certificates
    """
    if isinstance(authorities, bool):
        return authorities
    folder = Path(authorities).is_dir()
    try:
        return ssl.create_default_context(
            cafile=None if folder else authorities, capath=authorities if folder else None
        )
    except OSError as error:
        raise InvalidInput(f"the CA file {authorities} cannot be used: {error.strerror or error}") from None
