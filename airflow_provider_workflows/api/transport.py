"""How requests sends a request: telling "never sent" from "possibly sent", and with bounds on time and size."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from airflow_provider_workflows.api.effects import NoResponse, NotSent
from airflow_provider_workflows.api.network import MAX_RESPONSE_BYTES, TOO_LONG

CHUNK_BYTES = 65536
TOO_SLOW = NoResponse("the response took too long", arrived=True)


class Adapter(HTTPAdapter):
    """An adapter of requests whose connections raise ``NotSent``, and bound the time for a response's headers."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pools for direct connections use our connection classes."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Have the pools for a proxy use our connection classes."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def read_body(response: requests.Response, deadline: float) -> bytes | NoResponse:
    """Return the body, or why it was not read to its end.

    :param response: requested with ``stream=True``
    :param deadline: when the body must be there, in monotonic seconds
    """
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


class _ReaderWithDeadline(io.RawIOBase):
    """The bytes that come over a connection. Until ``deadline`` is lifted, all reads together get the time for one.

    A socket's timeout bounds the wait for the next byte only: headers that drip in could take days.

    :param source: reads the socket
    :param connection: the socket, whose timeout is the time for all reads
    """

    def __init__(self, source: io.RawIOBase, connection: socket.socket) -> None:
        self._source = source
        self._connection = connection
        self._timeout = connection.gettimeout()
        self.deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.deadline is None:
            return self._source.readinto(buffer)
        seconds_left = self.deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(seconds_left)
        try:
            return self._source.readinto(buffer)
        finally:
            self._connection.settimeout(self._timeout)

    def fileno(self) -> int:
        return self._source.fileno()

    def close(self) -> None:
        self._source.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response whose headers, interim responses included, must be there within the socket's timeout."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reader = _ReaderWithDeadline(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.deadline = None


class _HttpConnection(urllib3.connection.HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
