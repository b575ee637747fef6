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
