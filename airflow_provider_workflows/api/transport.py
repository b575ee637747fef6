"""How urllib3 sends a request: telling "never sent" from "possibly sent", and not over a stale connection.

urllib3 keeps the connections; what comes over them is read by ``http_response.py``, with bounds on time and size.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import urllib3

from airflow_provider_workflows.api.effects import NoResponse, NotSent
from airflow_provider_workflows.api.http_response import read_body, read_head
from airflow_provider_workflows.api.http_rules import UnsoundResponse
from airflow_provider_workflows.api.network import MAX_RESPONSE_BYTES, TOO_LONG
from airflow_provider_workflows.api.proxies import proxy_and_headers
from airflow_provider_workflows.api.timed_reading import ReaderWithDeadline

TOO_SLOW = NoResponse("the response took too long", arrived=True)


@dataclass(frozen=True, slots=True)
class Sending:
    """What the connection that a request is sent over has to know of it.

    :param deadline: when the response must be there, in seconds of ``time.monotonic``
    :param idle_seconds: for how long the connection may have been idle
    :param clock: monotonic seconds, in which it was idle
    """

    deadline: float
    idle_seconds: float
    clock: Callable[[], float]


#: The request that this thread is sending: urllib3 passes nothing of ours on to its connections.
SENDING: ContextVar[Sending] = ContextVar("SENDING")


class Incomplete(Exception):
    """A response was not read to its end.

    :param reason: what is told of it
    """

    def __init__(self, reason: NoResponse) -> None:
        super().__init__(reason.reason)
        self.reason = reason


def pool_manager(proxy: str | None, context: ssl.SSLContext | None, *, pool_size: int) -> urllib3.PoolManager:
    """Return what keeps the connections to a host, or to the proxy in front of it.

    :param proxy: URL of an HTTP proxy, with its user if it asks for one; None for a direct connection
    :param context: which certificates are trusted; None where there is no TLS
    :param pool_size: the most connections that are kept
    """
    options: dict[str, Any] = {"maxsize": pool_size, "retries": False, "ssl_context": context}
    manager: urllib3.PoolManager
    if proxy is None:
        manager = urllib3.PoolManager(**options)
    else:
        address, headers = proxy_and_headers(proxy)
        manager = urllib3.ProxyManager(
            str(address), proxy_headers=headers, proxy_ssl_context=context, **options
        )
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager


class _Response(http.client.HTTPResponse):
    """A response whose headers, interim responses included, must be there within the socket's timeout."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reader = ReaderWithDeadline(self.fp.detach(), sock)
        self.fp: Any = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the whole response; the connection may be used again unless ``will_close`` is True."""
        try:
            head = read_head(self.fp)
            self._reader.deadline = None
            body = read_body(self.fp, head, max_bytes=MAX_RESPONSE_BYTES, require_time=_require_time)
        except EOFError:
            raise http.client.RemoteDisconnected("closed") from None
        if body is None:
            raise Incomplete(TOO_LONG)
        self.will_close = self._is_used_up() or not head.keeps_connection
        self.status = head.status
        self.body = body
        self.fields = urllib3.HTTPHeaderDict()
        for name, value in head.headers:
            self.fields.add(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        self.close()

    def _is_used_up(self) -> bool:
        """Return whether the connection has ended, or something has come that belongs to no request.

        That is read here: what TLS has decrypted, the end of the connection as well, no longer shows on the socket,
        and the next call would take it for its response.

        :raises UnsoundResponse: if it is not a response: then the length that was read may have been the wrong one
        """
        self._reader.is_over = True
        behind = b""
        while not behind and (piece := self.fp.read1(_BYTES_BEHIND)):
            behind = piece.lstrip(b"\r\n")
            _require_time()
        if behind and not behind.startswith(b"HTTP/"):
            raise UnsoundResponse("more than its length says")
        return bool(behind) or self._reader.has_ended


#: This much of what has come behind a response is read.
_BYTES_BEHIND = 512


def _require_time() -> None:
    if time.monotonic() > SENDING.get().deadline:
        raise Incomplete(TOO_SLOW)


class _WhollyRead(urllib3.connection.HTTPConnection):
    """A connection that raises ``NotSent`` if none can be had, and reads a response to its end."""

    response_class = _Response
    #: When the latest response was read, in seconds of the client's clock.
    used_at = 0.0

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error

    def getresponse(self) -> Any:
        self.sock.settimeout(self.timeout)
        # Not urllib3's own, which has Python's e-mail parser read the headers a second time.
        response: Any = http.client.HTTPConnection.getresponse(self)
        self.used_at = SENDING.get().clock()
        return urllib3.HTTPResponse(
            io.BytesIO(response.body), response.fields, response.status, preload_content=False
        )


class _HttpConnection(_WhollyRead):
    pass


class _HttpsConnection(_WhollyRead, urllib3.connection.HTTPSConnection):
    pass


class _FreshEnough(urllib3.HTTPConnectionPool):
    """A pool that closes a kept connection which has been idle for longer than the request allows."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        sending = SENDING.get()
        if not connection.is_closed and sending.clock() - connection.used_at > sending.idle_seconds:
            # It is opened again before the request, as one is that the service has closed.
            connection.close()
        return connection


class _HttpPool(_FreshEnough):
    ConnectionCls = _HttpConnection


class _HttpsPool(_FreshEnough, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
