"""Links to attachments: which are followed, what is taken for the file behind one, and that none is ever shown."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.downloads import download_attachment
from airflow_provider_workflows.api.effects import Compute, Response
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.file_endpoints import read_attachment_link
from airflow_provider_workflows.api.record_models import AttachmentLink
from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.sandbox import Sandbox

from .conftest import _serve
from .test_downloads import DOWNLOAD, ID, Target


@pytest.fixture
def target() -> Target:
    return Target()


def outcome_of(link: str, target: Target, **changes: Any) -> Any:
    """Have a link be followed, and return what came of it."""
    bounds = {"read_timeout": 2.0, "connect_timeout": 2.0}
    settings = Settings(secret="tot_any", api_generation=3, **{**bounds, **changes})
    exchange = Exchange(settings)
    flow = download_attachment(exchange, read_attachment_link(ID, ID, ID), settings, target, 1000)
    next(flow)
    effect = flow.send(Response(200, {}, json.dumps({"link": link}).encode()))
    assert isinstance(effect, Compute)
    return effect.function()


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://files.example/secret", "not https"),
        ("ftp://files.example/secret", "not https"),
        ("file:///secret", "not a URL"),
        ("https://user:secret@files.example/", "a user in it"),
        ("https://files.example/a secret", "not a URL"),
        ("https://files.example/secret\r\nX: 1", "not a URL"),
        ("https://files.example:port/secret", "not a URL"),
        ("secret", "not a URL"),
    ],
)
def test_a_link_that_is_not_sound_is_not_followed(target: Target, link: str, reason: str) -> None:
    outcome = outcome_of(link, target)

    assert isinstance(outcome, errors.UnexpectedResponse)
    assert reason in str(outcome)
    assert "secret" not in str(outcome)


REMOTE = "https://service.example"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_link_to_this_machine_is_followed_to_no_server_unless_the_service_is_here(
    target: Target, name: str
) -> None:
    asked: list[bytes] = []
    servers = _serve(lambda connection: asked.append(connection.recv(65536)))
    link = f"{next(servers)}/secret".replace("127.0.0.1", name)

    outcomes = [
        outcome_of(link, target, host=REMOTE),
        outcome_of(link, target, host="http://service.example", allow_http=True),
    ]
    next(servers, None)

    assert ["not https" in str(outcome) for outcome in outcomes] == [True, True]
    assert asked == []


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "localhost",
        "localhost.",
        "a.localhost",
        "169.254.169.254",
        "[fe80::1]",
    ],
)
def test_a_link_by_tls_to_this_machine_is_not_followed_from_a_service_elsewhere(
    target: Target, name: str
) -> None:
    outcome = outcome_of(f"https://{name}:9/secret", target, host=REMOTE)

    assert isinstance(outcome, errors.UnexpectedResponse)
    assert "where the service is not" in str(outcome)


def test_a_link_by_plain_http_is_followed_to_the_service_alone(target: Target) -> None:
    changes = {"host": "http://[::1]:9", "allow_http": True}

    assert isinstance(outcome_of("http://[::1]:9/secret", target, **changes), errors.ServiceUnreachable)
    assert "not https" in str(outcome_of("http://files.example/secret", target, **changes))


def outcome_from(respond: Callable[[socket.socket], None], target: Target, **changes: Any) -> Any:
    """Have a link to a server be followed, and return what came of it."""
    servers = _serve(respond)
    host = next(servers)
    outcome = outcome_of(f"{host}/secret?signature=secret", target, host=host, **changes)
    next(servers, None)
    return outcome


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (HEAD + b"Content-Length: 10\r\n\r\n12345", "did not arrive as a whole"),
        (HEAD + b"\r\n12345", "a body without a length"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "did not arrive as a whole"),
        (HEAD + b"Content-Encoding: br\r\nContent-Length: 5\r\n\r\n12345", "coding that was not asked for"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", "its length twice"),
        (b"", "could not be reached"),
    ],
)
def test_what_is_not_the_whole_file_is_not_kept(target: Target, sent: bytes, reason: str) -> None:
    def respond(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(sent)

    outcome = outcome_from(respond, target)

    assert isinstance(outcome, errors.WorkflowsError)
    assert reason in str(outcome)
    assert "secret" not in str(outcome)
    assert target.content is None


@pytest.mark.parametrize(
    ("sent", "changes", "reason"),
    [
        (HEAD + b"X: ", {"read_timeout": 0.1}, "could not be reached"),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;",
            {"retry_seconds": 0.1},
            "did not arrive as a whole",
        ),
    ],
    ids=["head", "body"],
)
def test_a_response_that_drips_is_not_waited_for(
    target: Target, sent: bytes, changes: dict[str, float], reason: str
) -> None:
    dripped: list[None] = []

    def respond(connection: socket.socket) -> None:
        connection.recv(65536)
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.02)
                dripped.append(None)

    outcome = outcome_from(respond, target, **changes)

    assert reason in str(outcome)
    assert len(dripped) < 50


def test_a_file_in_chunks_is_kept(target: Target) -> None:
    def respond(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n")

    outcome_from(respond, target)

    assert target.content == b"12345"


def test_a_proxy_of_the_environment_is_used(
    tunnelling_proxy: str, sandbox: Sandbox, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", tunnelling_proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    outcome = outcome_of(f"{sandbox.url}/files/{ID}", target, host=sandbox.url)

    # It has come through: the sandbox refuses what has no signature.
    assert "was not sent (400)" in str(outcome)
    assert sandbox.counts.requests == {DOWNLOAD: 1}


def test_a_proxy_that_is_spoken_to_by_tls_is_refused_with_words(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "https://proxy.example:3128")

    outcome = outcome_of("https://files.example/secret", target)

    assert "name the host in NO_PROXY" in str(outcome)


def test_a_response_with_a_link_is_never_shown() -> None:
    link = AttachmentLink.of_fields({"link": "https://files.example/secret"})
    assert "secret" not in f"{link!r} {link.json_object()}"

    settings = Settings(secret="tot_any", api_generation=3, max_attempts=1)
    flow = Exchange(settings).perform(read_attachment_link(ID, ID, ID))
    next(flow)
    with pytest.raises(errors.UnexpectedResponse, match="so it is not shown") as raised:
        flow.send(Response(200, {}, b"https://files.example/secret?signature=secret"))
    assert "secret?" not in str(raised.value)
