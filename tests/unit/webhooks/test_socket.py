"""The webhook app behind a real socket: what the service sends, and what clients do that mean no good."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.webhooks import app
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, until

PATH = f"/workflows/webhooks/{CONN_ID}"


@pytest.fixture
async def port(api: Api) -> AsyncIterator[int]:
    """The port of a server that responds as Airflow's API server does."""
    config = uvicorn.Config(api.app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


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


async def status_of(reader: asyncio.StreamReader) -> int:
    return int((await asyncio.wait_for(reader.readline(), 5)).split()[1])


async def test_a_body_whose_length_is_said_to_be_too_long_is_responded_to_before_it_comes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("Content-Length: 10000000000"))
    assert await status_of(reader) == 413
    writer.close()


async def test_a_chunked_body_that_is_too_long_is_responded_to_before_it_ends(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("Transfer-Encoding: chunked"))
    for _ in range(5):
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    assert await status_of(reader) == 413
    writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RESPONSE_TIMEOUT_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("Content-Length: 100") + b"{")
    assert await status_of(reader) == 503
    writer.close()


@pytest.mark.parametrize("headers", [["Content-Length: 100"], ["Transfer-Encoding: chunked"]])
async def test_a_client_that_goes_away_is_no_error(
    api: Api, port: int, caplog: pytest.LogCaptureFixture, headers: list[str]
) -> None:
    await api.post(b"{}")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(*headers))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.transport.abort()
        await asyncio.sleep(0.2)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (await api.post(json.dumps({}).encode())).status_code == 204
