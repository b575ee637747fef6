"""The webhook app behind a real socket: what the service sends, and what clients do that mean no good."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.webhooks import app
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, until

pytestmark = pytest.mark.sampled(2)

PERSONAL = "Kowalska-90010112345"
PATH = f"/workflows/webhooks/{CONN_ID}"


@pytest.fixture
def uri(api: Api, database: Database) -> str:
    """An asset that some DAG names, of all completions of the sandbox."""
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    return uri


async def delivered(api: Api, port: int, **destination: Any) -> tuple[str, dict[str, int]]:
    """Run a workflow whose webhook comes over the socket; return its id and the statuses of the responses."""
    api.sandbox.webhooks.send_to(f"http://127.0.0.1:{port}{PATH}", pause_seconds=0.01, **destination)
    workflow_id = await asyncio.to_thread(api.run, seconds=0.05)
    await until(lambda: not api.sandbox.webhooks._pending)
    return workflow_id, dict(api.sandbox.counts.delivery_responses[workflow_id])


@pytest.mark.parametrize(
    "form", [{}, {"nested": True}, {"identifier": "id"}, {"nested": True, "identifier": "id"}]
)
async def test_what_the_service_sends_resumes_the_task_that_waits(
    api: Api, database: Database, uri: str, port: int, form: dict[str, Any]
) -> None:
    workflow_id, responses = await delivered(api, port, **form)
    assert responses == {"204": 1}
    assert [key for key, _ in database.events(uri)] == [workflow_id]


@pytest.mark.parametrize("forgery", ["unsigned", "wrong_key", "alg_none", "hs256"])
async def test_what_a_forger_sends_changes_nothing(
    api: Api, database: Database, uri: str, port: int, forgery: str
) -> None:
    api.sandbox.webhooks.fault(forgery)
    _, responses = await delivered(api, port)
    assert responses == {"401": 5}
    assert database.events(uri) == []
    assert api.asked[1] == 0


async def test_what_the_service_sends_five_times_at_once_is_one_event(
    api: Api, database: Database, uri: str, port: int
) -> None:
    api.sandbox.webhooks.fault("doubled", copies=5)
    _, responses = await delivered(api, port)
    assert responses == {"204": 5}
    assert len(database.events(uri)) == 1
    assert api.asked[1] <= 5


def request(*headers: str) -> bytes:
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: airflow", *headers, "", ""]).encode()


def signature_of_another_body(api: Api) -> str:
    """Return the header of a delivery that was seen before: what comes with it is read."""
    return f"JWS-SIGNATURE: {api.sandbox.sign(b'{}')}"


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await asyncio.wait_for(reader.readline(), 5)).split()[1])


async def test_a_body_whose_length_is_said_to_be_too_long_is_responded_to_before_it_comes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("Content-Length: 10000000000"))
    assert await status_of(reader) == 413
    writer.close()


async def test_a_chunked_body_that_is_too_long_is_responded_to_before_it_ends(api: Api, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("Transfer-Encoding: chunked", signature_of_another_body(api)))
    for _ in range(5):
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    assert await status_of(reader) == 413
    writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(
    api: Api, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RESPONSE_TIMEOUT_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("Content-Length: 100", signature_of_another_body(api)) + b"{")
    assert await status_of(reader) == 503
    writer.close()


@pytest.mark.thorough
@pytest.mark.parametrize("headers", [["Content-Length: 100"], ["Transfer-Encoding: chunked"]])
async def test_a_client_that_goes_away_is_no_error(
    api: Api, port: int, caplog: pytest.LogCaptureFixture, headers: list[str]
) -> None:
    await api.post(b"{}")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(*headers, signature_of_another_body(api)))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
        await asyncio.sleep(0.2)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (await api.post(json.dumps({}).encode())).status_code == 204


async def test_a_path_with_a_slash_at_its_end_is_not_redirected(api: Api, port: int) -> None:
    body = b"{}"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        headers = {"Host": "attacker.example", "JWS-SIGNATURE": api.sandbox.sign(body)}
        response = await client.post(f"{PATH}/", content=body, headers=headers)
        unknown = await client.post("/workflows/elsewhere", content=body, headers=headers)
    assert (response.status_code, response.text) == (404, unknown.text)
    assert "location" not in response.headers
    assert "attacker.example" not in str(response.headers) + response.text
    assert api.sandbox.counts.total_requests == 0


class TalkativeService:
    """The sandbox behind a proxy whose error responses repeat what must not be in a log.

    :param sandbox: where requests go that the proxy passes on
    :param failing: the paths that get the error begin with this
    :param body: of the error
    """

    def __init__(self, sandbox: Sandbox, failing: str, body: bytes) -> None:
        self._sandbox = urlsplit(sandbox.url)
        self._failing = failing
        self._error = (
            b"HTTP/1.1 500 Whatever\r\nContent-Type: application/json\r\nConnection: close\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, rest = head.split(b"\r\n", 1)
        length = re.search(rb"content-length: (\d+)", head.lower())
        body = await reader.readexactly(int(length[1])) if length else b""
        if line.split()[1].decode().startswith(self._failing):
            writer.write(self._error)
        else:
            behind, sending = await asyncio.open_connection(self._sandbox.hostname, self._sandbox.port)
            sending.write(line + b"\r\nConnection: close\r\n" + rest + body)
            writer.write(await behind.read())
            sending.close()
        await writer.drain()
        writer.close()


def error_body(code: str) -> bytes:
    """Return an error as the API has it, with personal data, and with what might pass for a line of the log."""
    message = f"no such person: {PERSONAL}\n[2026] CRITICAL a line"
    return json.dumps({"errors": [{"code": code, "message": message}], "fingerprint": PERSONAL}).encode()


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (f"<b>oops</b> {PERSONAL}".encode(), "status 500"),
        (error_body("INTERNAL_ERROR"), "status 500, code INTERNAL_ERROR"),
        (error_body(f"NO_{PERSONAL}"), "status 500"),
    ],
    ids=["a page", "an error of the API", "a number in the code"],
)
@pytest.mark.parametrize("failing", ["/auth/authorize", "/auth/webhooks/key", "/workflows/"])
async def test_the_text_of_an_error_of_the_service_is_not_logged(
    api: Api,
    port: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    body: bytes,
    summary: str,
) -> None:
    service = TalkativeService(api.sandbox, failing, body)
    server = await asyncio.start_server(service.respond, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    connection = api.sandbox.connection_with_key | {"host": host, "port": None}
    monkeypatch.setenv(
        f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection | {"extra": {"webhooks": True}})
    )
    delivery = json.dumps({"workflowId": str(uuid.uuid4())}).encode()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        with caplog.at_level(logging.DEBUG):
            response = await client.post(
                PATH, content=delivery, headers={"JWS-SIGNATURE": api.sandbox.sign(delivery)}
            )
    server.close()
    assert response.status_code == 503
    (line,) = [each for each in caplog.messages if "will repeat such deliveries" in each]
    assert line.endswith(f"{summary}.")
    assert PERSONAL not in caplog.text
    assert "oops" not in caplog.text


async def test_white_space_around_a_signature_is_not_part_of_it(api: Api, port: int) -> None:
    workflow_id = await asyncio.to_thread(api.run)
    body = json.dumps({"workflowId": workflow_id}).encode()
    head = [
        f"POST {PATH} HTTP/1.1",
        "Host: airflow",
        f"Content-Length: {len(body)}",
        f"JWS-SIGNATURE: \t {api.sandbox.sign(body)} \t ",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    status = (await reader.readline()).split()[1]
    writer.close()

    assert status == b"204"
