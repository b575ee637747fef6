"""A service that sends any bytes at all in response to a request, and counts what reached it."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self

#: What a request is responded to with: pieces that are sent one after the other. A number between them is a pause
#: in seconds, so that the next piece comes in a packet of its own; None closes the connection, and a function is
#: called with its socket.
Pieces: TypeAlias = "Iterable[bytes | float | Callable[[socket.socket], object] | None]"


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it reached the server.

    :param method: the HTTP method
    :param path: the path with its query
    :param headers: the headers by names in lower case
    :param body: the body
    :param connection: the number of its connection, from 1
    """

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    connection: int


class HostileServer:
    """A server for tests: over a real socket, with responses that no honest service sends.

    :param respond: returns what is sent for a request
    :param tls: what it serves https with; None for http
    """

    def __init__(
        self, respond: Callable[[ReceivedRequest], Pieces], tls: ssl.SSLContext | None = None
    ) -> None:
        self._respond = respond
        self._tls = tls
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        scheme = "http" if tls is None else "https"
        self.host = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for connection in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    @property
    def calls(self) -> list[str]:
        """Method and path of each request, in the order in which they came."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._open.add(peer)
                threading.Thread(target=self._serve, args=(peer, self.connections), daemon=True).start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as closed:
            closed.enter_context(peer)
            if self._tls is not None:
                peer = closed.enter_context(self._tls.wrap_socket(peer, server_side=True))
                self._open.add(peer)
            for request in _requests(peer, number):
                with self._lock:
                    self.requests.append(request)
                for piece in self._respond(request):
                    if piece is None:
                        return
                    if isinstance(piece, bytes):
                        peer.sendall(piece)
                    elif callable(piece):
                        piece(peer)
                    else:
                        self._stopped.wait(piece)


def _requests(peer: socket.socket, number: int) -> Iterator[ReceivedRequest]:
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            received = peer.recv(65536)
            if not received:
                return
            buffer += received
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
        while len(buffer) < length:
            received = peer.recv(65536)
            if not received:
                return
            buffer += received
        body, buffer = buffer[:length], buffer[length:]
        yield ReceivedRequest(method, path, headers, body, number)


def json_response(body: Any, *headers: str, status: str = "200 OK") -> bytes:
    """Return a response with a JSON body, or with the bytes that are given as one.

    :param body: a JSON value, or bytes
    :param headers: further header lines, as ``Name: value``
    :param status: status code and reason
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def relay(url: str, change: Callable[[ReceivedRequest, Any], Any]) -> HostileServer:
    """Return a server in front of another one, which changes the JSON of its responses.

    :param url: where the other one is
    :param change: takes a request and the value of its response, and returns another value
    """
    address = urlsplit(url)

    def respond(request: ReceivedRequest) -> Pieces:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        with contextlib.closing(connection):
            headers = {name: value for name, value in request.headers.items() if name in _RELAYED_HEADERS}
            connection.request(request.method, request.path, request.body, headers)
            response = connection.getresponse()
            value = json.loads(response.read())
        return [json_response(change(request, value), status=f"{response.status} {response.reason}")]

    return HostileServer(respond)


_RELAYED_HEADERS = frozenset({"accept", "authorization", "content-type"})


def gzipped(content: bytes) -> bytes:
    """Return ``content`` compressed with gzip, the same bytes each time."""
    return gzip.compress(content, mtime=0)
