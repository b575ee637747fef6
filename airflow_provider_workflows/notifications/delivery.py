"""Deliver a message to the incoming webhook of a chat service."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import aiohttp
import yarl

from airflow_provider_workflows.api import retry
from airflow_provider_workflows.api.async_transport import Connector
from airflow_provider_workflows.api.effects import NotSent
from airflow_provider_workflows.api.errors import (
    InvalidInput,
    OutcomeUnknown,
    ServiceUnreachable,
    WorkflowsError,
)
from airflow_provider_workflows.api.network import certificate_authorities, no_response, tls_context
from airflow_provider_workflows.api.proxies import proxy_and_headers, proxy_for
from airflow_provider_workflows.api.responses import error_class
from airflow_provider_workflows.api.retry import retry_after

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: How long one attempt may take, in seconds, and after how long none begins: a callback holds a task's process up.
ATTEMPT_SECONDS = 10.0
MAX_RETRY_SECONDS = 15.0
MAX_ATTEMPTS = 3


class NotDelivered(Exception):
    """The message was not accepted; says why, without the URL, which is a secret."""


def url_of(connection: Connection) -> str:
    """Return the URL that messages are posted to.

    :param connection: its password is the URL, or what comes after the host, as Slack's connections have it
    :raises InvalidInput: when that is not a URL, in words that do not repeat it
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


def is_repeated(status: int | None, *, arrived: bool = True) -> bool:
    """Return whether a message is posted again after an attempt that failed.

    A chat service that responds with an error has not posted the message, whatever the error. A response that was
    lost may mean that it was posted, and once is better than twice.

    :param status: HTTP status of the response; None if there was none
    :param arrived: False if the request surely did not reach the chat service
    """
    if status is None:
        error: type[WorkflowsError] = OutcomeUnknown if arrived else ServiceUnreachable
        return error.retry.is_retryable()
    # A redirect says that the URL is wrong, which does not pass.
    return status >= 400 and error_class(status, repeatable=True).retry.is_retryable()


async def deliver(
    url: str,
    text: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    draw: Callable[[], float] = random.random,
) -> None:
    """Post ``{"text": text}``, and again where it surely was not accepted and may be later.

    :param url: where to post it; a secret
    :param text: the message
    :param clock: monotonic seconds
    :param sleep: sleeps for a number of seconds
    :param draw: a random number from 0 to 1
    :raises NotDelivered: when it was not accepted
    """
    try:
        proxy, proxy_headers = proxy_and_headers(proxy_for(url))
        # Reading the CA file takes tens of milliseconds, which no event loop should wait for.
        context = await asyncio.to_thread(tls_context, certificate_authorities(verify=True))
    except InvalidInput as error:
        raise NotDelivered(str(error)) from None
    end = clock() + MAX_RETRY_SECONDS
    attempt = 1
    async with aiohttp.ClientSession(
        connector=Connector(ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS),
    ) as session:
        while True:
            asked = None
            try:
                async with session.post(
                    url, json={"text": text}, allow_redirects=False, proxy=proxy, proxy_headers=proxy_headers
                ) as response:
                    status = response.status
                    asked = retry_after(response.headers.get("Retry-After"), now=time.time())
                if 200 <= status < 300:
                    return
                problem = f"the chat service responded with HTTP status {status}"
                repeated = is_repeated(status)
            except NotSent as error:
                problem = no_response(error, arrived=False).reason
                repeated = is_repeated(None, arrived=False)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
                problem = no_response(error, arrived=True).reason
                repeated = is_repeated(None)
            pause = retry.BACKOFF.seconds(attempt, asked, draw())
            if not repeated or attempt >= MAX_ATTEMPTS or clock() + pause > end:
                raise NotDelivered(problem) from None
            attempt += 1
            await sleep(pause)
