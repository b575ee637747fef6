"""The machine's network as both clients see it: proxies, certificate authorities, reasons for no response."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests

from airflow_provider_workflows.api.effects import NoResponse
from airflow_provider_workflows.api.errors import InvalidInput

#: A longer response does not come from the service.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
TOO_LONG = NoResponse("the response was longer than 64 MiB", arrived=True)

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def proxy_for(url: str) -> str | None:
    """Return the proxy that the usual environment variables name for ``url``, if any.

    :raises InvalidInput: if it is not the URL of an HTTP proxy
    """
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if proxy is None:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = bool(parts.hostname) and parts.port != 0 and not any(map(str.isspace, proxy))
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput("the environment names a proxy for this host that is not a URL")
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(
            f"the environment names a {parts.scheme} proxy for this host, and only http and https proxies are "
            "supported; name the host in NO_PROXY to do without it"
        )
    return proxy


def certificate_authorities(verify: bool | str) -> bool | str:
    """Return the path of the CA file (or folder) to trust, or False for no verification.

    :param verify: as in ``Settings``; True trusts the file that the environment names, else certifi's
    :raises InvalidInput: if an environment variable names a file that does not exist
    """
    if verify is not True:
        return verify
    for variable in _CA_VARIABLES:
        if named := os.environ.get(variable):
            if not Path(named).exists():
                raise InvalidInput(
                    f"{variable} in the environment names a CA file that does not exist: {named}"
                )
            return named
    return requests.utils.DEFAULT_CA_BUNDLE_PATH


def no_response(error: BaseException, *, arrived: bool) -> NoResponse:
    """Return the reason for which there is no response, in a few words.

    :param error: from requests, aiohttp or the socket
    :param arrived: False if the request surely did not reach the service
    """
    causes = list(_causes(error))
    for cause in causes:
        # aiohttp's errors of the same family lack these attributes; the one that they wrap has them.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return NoResponse(f"certificate not accepted: {cause.verify_message}", arrived, tls=True)
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None):
            return NoResponse(str(cause.reason), arrived, tls=True)
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return NoResponse("the host's name is not known", arrived)
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError)) or "Timeout" in type(cause).__name__:
            return NoResponse("timed out", arrived)
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.errno:
            return NoResponse(os.strerror(cause.errno), arrived)
    return NoResponse("the connection was closed" if arrived else "no connection", arrived)


def _causes(error: BaseException) -> Iterator[BaseException]:
    pending, seen = [error], set[int]()
    while pending:
        cause = pending.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        within = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        pending += [item for item in within if isinstance(item, BaseException)]
