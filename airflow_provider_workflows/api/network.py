"""What both clients need of the machine's network: certificate authorities, and reasons for no response."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

import certifi

from airflow_provider_workflows.api.effects import NoResponse
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.http_rules import UnsoundResponse

#: A longer response does not come from the service.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
TOO_LONG = NoResponse("the response was longer than 64 MiB", arrived=True)

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


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
    return certifi.where()


def tls_context(authorities: bool | str) -> ssl.SSLContext:
    """Return which certificates a connection trusts. Reads files: not for an event loop.

    :param authorities: what ``certificate_authorities`` returns
    :raises InvalidInput: if the file holds no certificates
    """
    if isinstance(authorities, bool):
        context = ssl.create_default_context()
        if not authorities:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
    folder = Path(authorities).is_dir()
    try:
        return ssl.create_default_context(
            cafile=None if folder else authorities, capath=authorities if folder else None
        )
    except OSError as error:
        raise InvalidInput(f"the CA file {authorities} cannot be used: {error.strerror or error}") from None


def no_response(error: BaseException, *, arrived: bool) -> NoResponse:
    """Return the reason for which there is no response, in a few words.

    :param error: from urllib3, aiohttp or the socket
    :param arrived: False if the request surely did not reach the service
    """
    if isinstance(error, UnsoundResponse):
        return NoResponse(f"it was not sound HTTP: {error}", arrived)
    causes = list(_causes(error))
    if (failure := _tls_failure(causes)) is not None:
        return NoResponse(failure, arrived, tls=True)
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return NoResponse("the host's name is not known", arrived)
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError)) or "Timeout" in type(cause).__name__:
            return NoResponse("timed out", arrived)
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.errno:
            return NoResponse(os.strerror(cause.errno), arrived)
    return NoResponse("the connection was closed" if arrived else "no connection", arrived)


def _tls_failure(causes: Iterable[BaseException]) -> str | None:
    for cause in causes:
        # aiohttp's errors of the same family lack these attributes; the one that they wrap has them.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return f"certificate not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None):
            return str(cause.reason)
    return None


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
