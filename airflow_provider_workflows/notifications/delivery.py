"""Deliver a message to the incoming webhook of a chat service."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import aiohttp
import yarl

from airflow_provider_workflows.api.async_transport import Connector, proxy_and_headers, tls_context
from airflow_provider_workflows.api.effects import NotSent
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.network import certificate_authorities, no_response, proxy_for

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: How long one try may take, and after how long none is begun, in seconds: a callback holds a task's process up.
TRY_SECONDS = 10.0
BEGIN_SECONDS = 15.0
#: The pauses after a try that was refused for now, in seconds.
PAUSES_SECONDS = (1.0, 3.0)


class NotDelivered(Exception):
    """The message was not accepted; says why, without the URL, which is a secret."""


def url_of(connection: Connection) -> str:
    """Return the URL that messages are posted to.

    :param connection: its password is the URL, or what comes after the host, as Slack's connections have it
    :raises InvalidInput: when that is no URL, in words that do not repeat it
    """
    host, secret = (connection.host or "").strip(), (connection.password or "").strip()
    if "://" in secret:
        text = secret
    else:
        host = host if "://" in host else f"{connection.schema or 'https'}://{host}"
        text = f"{host.rstrip('/')}/{secret.lstrip('/')}" if secret else host
    try:
        url = yarl.URL(text)
    except ValueError:
        url = yarl.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(
            f"connection {connection.conn_id!r} names no URL: its password must be that of the incoming webhook, "
            "with https:// in front"
        )
    return text


async def deliver(url: str, text: str) -> None:
    """Post ``{"text": text}``, and again where it surely was not accepted for a passing reason.

    :param url: where to, which is a secret
    :param text: the message
    :raises NotDelivered: when it was not accepted
    """
    try:
        proxy, proxy_headers = proxy_and_headers(proxy_for(url))
        # Reading the CA file takes tens of milliseconds, which no event loop should wait for.
        context = await asyncio.to_thread(tls_context, certificate_authorities(verify=True))
    except InvalidInput as error:
        raise NotDelivered(str(error)) from None
    end = time.monotonic() + BEGIN_SECONDS
    pauses = iter(PAUSES_SECONDS)
    async with aiohttp.ClientSession(
        connector=Connector(ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TRY_SECONDS),
    ) as session:
        while True:
            try:
                async with session.post(
                    url, json={"text": text}, allow_redirects=False, proxy=proxy, proxy_headers=proxy_headers
                ) as response:
                    status = response.status
                if 200 <= status < 300:
                    return
                problem = f"it was answered with HTTP status {status}"
                passing = status == 429 or status >= 500
            except NotSent as error:
                problem, passing = no_response(error, arrived=False).reason, True
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                # It may have been accepted, and once is better than twice.
                problem, passing = no_response(error, arrived=True).reason, False
            pause = next(pauses, None)
            if not passing or pause is None or time.monotonic() + pause > end:
                raise NotDelivered(problem) from None
            await asyncio.sleep(pause)
