"""Both clients behind one face, against the sandbox over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings, WorkflowsClient, retry
from airflow_provider_workflows.api.generations import DEFAULT_GENERATION
from airflow_provider_workflows.sandbox import Sandbox


class SyncDriver:
    """Calls of the synchronous client."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.client = WorkflowsClient(settings, **options)

    def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.client, method)(*args, **kwargs)

    def close(self) -> None:
        self.client.close()


class AsyncDriver:
    """Calls of the asynchronous client, on a loop that goes on between them, as a triggerer's does."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.client = AsyncWorkflowsClient(settings, **options)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        call = getattr(self.client, method)(*args, **kwargs)
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(60)

    def close(self) -> None:
        self("close")
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


Driver = SyncDriver | AsyncDriver


@pytest.fixture(params=[SyncDriver, AsyncDriver], ids=["sync", "async"])
def drive(request: pytest.FixtureRequest) -> Iterator[Callable[..., Driver]]:
    """Make either client; what was made is closed at the end."""
    made: list[Driver] = []

    def make(settings: Settings, **options: Any) -> Driver:
        made.append(request.param(settings, **options))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def client_of(drive: Callable[[Settings], Driver], sandbox: Sandbox) -> Callable[[int], Driver]:
    """Make either client for a generation of the API, authorized, with the sandbox's counts at zero."""

    def make(generation: int) -> Driver:
        driver = drive(dataclasses.replace(sandbox.settings, api_generation=generation))
        driver("authorize")
        sandbox.counts.reset()
        return driver

    return make


@pytest.fixture
def client(client_of: Callable[[int], Driver]) -> Driver:
    """Either client of generation 1, authorized, with the sandbox's counts at zero."""
    return client_of(DEFAULT_GENERATION)


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the pauses between attempts short; their length is a test of its own."""
    monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.001))


def _serve(response: Callable[[socket.socket], None]) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                response(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes requests and says nothing."""
    ended = threading.Event()
    servers = _serve(lambda connection: ended.wait(60) and None)
    yield next(servers)
    ended.set()
    next(servers, None)


@pytest.fixture
def closing_server() -> Iterator[str]:
    """A server that closes every connection at once."""
    yield from _serve(lambda connection: None)


@pytest.fixture
def tunnelling_proxy() -> Iterator[str]:
    """A proxy that connects one client at a time to the host that it names (RFC 9110, section 9.3.6)."""

    clients: list[socket.socket] = []

    def forward(origin: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := origin.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def tunnel(client: socket.socket) -> None:
        clients.append(client)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        method, authority, _ = head.decode().split(maxsplit=2)
        assert method == "CONNECT"
        host, _, port = authority.rpartition(":")
        with socket.create_connection((host, int(port))) as service:
            client.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: one\r\n\r\n")
            upwards = threading.Thread(target=forward, args=(client, service), daemon=True)
            upwards.start()
            forward(service, client)
            upwards.join(5)

    servers = _serve(tunnel)
    yield next(servers)
    for client in clients:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
    next(servers, None)


@pytest.fixture
def echoing_server() -> Iterator[str]:
    """A server that refuses everything and repeats what it was sent, as no service should."""

    def echo(connection: socket.socket) -> None:
        body = b""
        while not body.endswith(b"}"):
            body += connection.recv(65536)
        body = body.partition(b"\r\n\r\n")[2]
        response = json.dumps(
            {"fingerprint": "abc", "errors": [{"code": "INVALID", "message": f"cannot take {body.decode()}"}]}
        ).encode()
        connection.sendall(
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(response), response)
        )

    yield from _serve(echo)
