"""A hostile service, network or machine, over both clients."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings, errors
from airflow_provider_workflows.api.token_store import TokenStore
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox

from .conftest import Driver

Drive = Callable[..., Driver]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def responding(*pieces: bytes, pause: float = 0.05, endless: bytes = b"") -> Iterator[Settings]:
    """A server that sends these pieces, then ``endless`` over and over, a pause between each."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
                stopped.wait(pause)
            while endless and not stopped.is_set():
                connection.sendall(endless)
                stopped.wait(pause)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield Settings(
            host=f"http://127.0.0.1:{listener.getsockname()[1]}",
            secret="tot_x",
            max_attempts=1,
            read_timeout=0.5,
            retry_seconds=0.5,
        )
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class TestResponseWithoutEnd:
    @pytest.mark.parametrize(
        ("pieces", "endless"),
        [
            ((HEAD + b"Content-Length: 100000\r\n\r\n",), b" "),
            ((HEAD,), b"X-More: 1\r\n"),
            ((), b"HTTP/1.1 100 Continue\r\n\r\n"),
        ],
        ids=["dripping body", "dripping headers", "100 Continue for ever"],
    )
    def test_is_given_up(self, drive: Drive, pieces: tuple[bytes, ...], endless: bytes) -> None:
        with responding(*pieces, endless=endless) as settings:
            client = drive(dataclasses.replace(settings, read_timeout=0.2, retry_seconds=0.2))

            with pytest.raises((errors.ServiceUnavailable, errors.UnexpectedResponse)):
                client("read_workflow", DEFINITION)

    def test_is_not_read_beyond_any_size(self, drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("transport", "async_client"):
            monkeypatch.setattr(f"airflow_provider_workflows.api.{module}.MAX_RESPONSE_BYTES", 1024)
        body = HEAD + b"Content-Length: 4096\r\n\r\n" + b" " * 4096
        with responding(body) as settings:
            client = drive(settings)

            with pytest.raises(errors.ServiceUnavailable, match="longer than"):
                client("read_workflow", DEFINITION)


@pytest.mark.parametrize(
    "response",
    [
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
    ids=[
        "garbage",
        "bad redirect",
        "304",
        "negative length",
        "huge length",
        "bad gzip",
        "bad chunk",
        "nothing",
    ],
)
def test_whatever_comes_is_one_of_our_errors(drive: Drive, response: bytes) -> None:
    with responding(response, pause=0.0) as settings:
        client = drive(settings)

        with pytest.raises(errors.WorkflowsError):
            client("read_workflow", DEFINITION)


@pytest.mark.parametrize("code", ["Brunhilde", "INVALID brunhilde@example.org"])
def test_a_code_that_repeats_a_personal_value_is_not_quoted(drive: Drive, code: str) -> None:
    body = b'{"errors": [{"code": "%s"}], "fingerprint": "%s"}' % (code.encode(), code.encode())
    response = b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with responding(response) as settings:
        client = drive(settings)

        with pytest.raises(errors.RequestRejected) as raised:
            client("create_case", first_name="Brunhilde", email="brunhilde@example.org")

    assert "runhilde" not in f"{raised.value} {raised.value.code} {raised.value.fingerprint}"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad name O&#39;Brien-Kowalczykowska",
        b"<html>" + b"x" * 140 + b" O'Brien-Kowalczykowska",
        b"Bad name %27O%27Brien-Kowalczykowska",
        b'\xef\xbb\xbf{"firstName": "O\'Brien-Kowalczykowska"',
        b')]}\' {"firstName": "O\'Brien-Kowalczykowska"',
    ],
    ids=["as HTML", "across the cut", "as a URL", "with a byte order mark", "with a prefix"],
)
def test_a_page_that_repeats_a_personal_value_is_not_quoted(drive: Drive, body: bytes) -> None:
    response = b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with responding(response) as settings:
        client = drive(settings)

        with pytest.raises(errors.RequestRejected) as raised:
            client("create_case", last_name="O'Brien-Kowalczykowska")

    assert "Kowal" not in str(raised.value)


class TestMachine:
    @pytest.mark.parametrize(
        "proxy",
        [
            "http://host:abc",
            "http://:3128",
            "http://host:99999",
            "http://",
            "//h:1",
            "http://ex ample:1",
            "http://[bad",
        ],
    )
    def test_a_proxy_that_is_no_url_is_said_at_once(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch, proxy: str
    ) -> None:
        monkeypatch.setenv("https_proxy", proxy)

        with pytest.raises(errors.InvalidInput, match="proxy"):
            drive(Settings(secret="tot_x"))

    def test_a_missing_ca_file_in_the_environment_is_said_at_once(
        self, drive: Drive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "no-such-file.pem")

        with pytest.raises(errors.InvalidInput, match="REQUESTS_CA_BUNDLE"):
            drive(Settings(secret="tot_x"))

    @pytest.mark.parametrize("host", ["https://a..b", f"https://{'a' * 64}.invalid"])
    def test_a_host_that_cannot_be_is_not_reached(self, drive: Drive, host: str) -> None:
        client = drive(Settings(host=host, secret="tot_x", max_attempts=1))

        with pytest.raises(errors.ServiceUnreachable):
            client("create_case")

    def test_a_client_that_went_through_a_fork_has_connections_of_its_own(self, sandbox: Sandbox) -> None:
        with sandbox.client() as client:
            ours = client.create_case().case_id
            theirs = client.create_case().case_id
            child = os.fork()
            if child == 0:
                same = all(client.read_case(theirs).case_id == theirs for _ in range(50))
                os._exit(0 if same else 1)

            same = all(client.read_case(ours).case_id == ours for _ in range(50))
            _, status = os.waitpid(child, 0)

        assert same
        assert os.waitstatus_to_exitcode(status) == 0


class TestTokensOfSeveralClients:
    async def test_are_obtained_once(self, sandbox: Sandbox) -> None:
        tokens = TokenStore()

        async def create_case() -> None:
            async with AsyncWorkflowsClient(sandbox.settings, tokens) as client:
                await client.create_case()

        await asyncio.gather(*[create_case() for _ in range(50)])

        assert sandbox.counts.requests["POST /auth/authorize"] == 1

    def test_that_are_valid_still_are_not_waited_for(self, drive: Drive, sandbox: Sandbox) -> None:
        sandbox.token_seconds = 100.0
        now = 0.0
        client = drive(dataclasses.replace(sandbox.settings, retry_seconds=2000), clock=lambda: now)
        client("authorize")
        sandbox.fault("rate_limited", retry_after=1000, path="/auth/refresh")
        sandbox.fault("rate_limited", retry_after=1000, path="/auth/authorize")
        now = 95.0

        client("create_case")

        assert sandbox.counts.requests["POST /cases"] == 1


@pytest.mark.parametrize(
    "parameters",
    [{"a": 10**5000}, {"\ud800": 1}, {"a": "\ud800"}],
    ids=["a number of 5,000 digits", "half a character in a name", "half a character in a text"],
)
def test_parameters_that_no_json_can_hold_are_refused(
    client: Driver, sandbox: Sandbox, parameters: dict[str, object]
) -> None:
    with pytest.raises(errors.InvalidInput, match="parameters"):
        client("create_parameters", DEFINITION, parameters)

    assert sandbox.counts.total_requests == 0


def test_parameters_that_are_nested_too_deeply_are_refused(client: Driver, sandbox: Sandbox) -> None:
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]

    with pytest.raises(errors.InvalidInput, match="parameters"):
        client("create_parameters", DEFINITION, {"a": nested})

    assert sandbox.counts.total_requests == 0
