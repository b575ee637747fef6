"""Adapters for requests and aiohttp: they tell "never sent" from "possibly sent", and bound a response."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
import requests
import urllib3
from requests.adapters import HTTPAdapter

from airflow_provider_workflows.api.effects import NoResponse, NotSent

#: A longer response is none of the service's.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 65536
TOO_SLOW = NoResponse("the response took too long", arrived=True)
TOO_LONG = NoResponse("the response was longer than 64 MiB", arrived=True)


class Adapter(HTTPAdapter):
    """Tells a request that surely was not sent from one that may have been."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pools for direct connections make ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Have the pools for a proxy make ours."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _HttpConnection(urllib3.connection.HTTPConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        with _headers_within(self):
            return super().getresponse()


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        with _headers_within(self):
            return super().getresponse()


@contextlib.contextmanager
def _headers_within(connection: urllib3.connection.HTTPConnection) -> Iterator[None]:
    """End a connection whose response's headers take longer than the read timeout, however they drip in."""

    def end() -> None:
        with contextlib.suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    # A little later than the socket itself would give up on silence, which is the better thing to be told.
    timer = threading.Timer((connection.timeout or 60.0) + 0.5, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_body(response: requests.Response, deadline: float) -> bytes | NoResponse:
    """Return the body, or why it was not read to its end; ``deadline`` is in monotonic seconds."""
    chunks, length = [], 0
    # Whatever has come is taken at once: waiting for a whole chunk would hide that it only drips in.
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        chunks.append(chunk)
        length += len(chunk)
        if length > MAX_RESPONSE_BYTES:
            return TOO_LONG
        if time.monotonic() > deadline:
            return TOO_SLOW
    return b"".join(chunks)


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class Connector(aiohttp.TCPConnector):
    """Tells a request that surely was not sent from one that may have been."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Return a connection.

        :raises NotSent: when none came about
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
    """SendRequest a request once, as a middleware of aiohttp.

    :raises Dropped: when the connection broke
    """
    # aiohttp sends an idempotent request a second time on its own when a kept connection breaks. What is
    # repeated, and how often, is the exchange's decision: the exceptions that it acts on must not reach it.
    try:
        return await handler(request)
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        raise Dropped from error


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
