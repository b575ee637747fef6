"""Signed bodies that name no workflow: what the log says of them, and what not; and arrays of deliveries."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.webhooks.payload import MAX_SHAPE_CHARACTERS, read_payload, shape_of
from tests.unit.webhooks.conftest import CONN_ID, STATUS_PATH, Api, Database

PERSONAL = "90010112345"
SHAPES = {
    "a new name": ({"runId": str(uuid.uuid4()), "done": True}, "{runId: UUID, done: bool}"),
    "levels": (
        {"event": {"data": {"attributes": {"run": {"id": 1}}}}},
        "{event: {data: {attributes: {run: object}}}}",
    ),
    "types": (
        {"a": 1.5, "b": 1, "c": None, "d": [], "e": PERSONAL},
        "{a: number, b: number, c: null, d: array with 0 items, e: text}",
    ),
    "an array": ({"events": [{"runId": "x"}, 5]}, "{events: array with 2 items of {runId: text}}"),
    "a text": (PERSONAL, "text"),
    "names with values in them": (
        {PERSONAL: 1, f"case_{PERSONAL}": 1, "Kowalska": 1, "jan@example.com": 1, "x" * 31: 1, "": 1},
        "{***: number, ***: number, ***: number, ***: number, ***: number, ***: number}",
    ),
    "many names": (
        {"n" * number: 1 for number in range(1, 15)},
        "{" + "".join(f"{'n' * number}: number, " for number in range(1, 13)) + "...}",
    ),
}


@pytest.mark.parametrize(("content", "shape"), SHAPES.values(), ids=list(SHAPES))
def test_a_shape_has_names_and_types_and_no_values(content: Any, shape: str) -> None:
    assert shape_of(content) == shape


@pytest.mark.thorough
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=60,
    )
)
def test_a_shape_is_short_whatever_the_body(content: Any) -> None:
    shape = shape_of(content)

    assert len(shape) <= MAX_SHAPE_CHARACTERS + 3
    assert shape.isascii()
    assert "\n" not in shape


async def delivered(api: Api, port: int, body: bytes) -> int:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        headers = {"JWS-SIGNATURE": api.sandbox.sign(body)}
        response = await client.post(f"/workflows/webhooks/{CONN_ID}", content=body, headers=headers)
    return response.status_code


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.thorough
async def test_signed_bodies_that_name_no_workflow_are_one_line_with_their_shape(
    api: Api, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"runId": str(uuid.uuid4()), "person": {"personalNumber": PERSONAL}}).encode()

    assert [await delivered(api, port, body) for _ in range(20)] == [204] * 20

    (record,) = warnings(caplog)
    assert (
        "1 webhook was signed by the service since the last such line and named no workflow" in record.message
    )
    assert record.message.endswith("The latest was {runId: UUID, person: {personalNumber: text}}.")
    assert PERSONAL not in caplog.text
    assert api.counts == {"without a workflow": 20}


async def test_a_body_that_is_not_json_is_logged_by_its_length(
    api: Api, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert await delivered(api, port, PERSONAL.encode() + b"{") == 204

    assert warnings(caplog)[0].message.endswith("The latest was 12 bytes and no JSON.")
    assert PERSONAL not in caplog.text


async def test_an_unsigned_body_adds_nothing_to_that_line(
    api: Api, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        assert (await client.post(f"/workflows/webhooks/{CONN_ID}", content=b"{}")).status_code == 401

    assert "named no workflow" not in caplog.text


@pytest.fixture
def uri(api: Api, database: Database) -> str:
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    return uri


@pytest.mark.thorough
async def test_an_array_of_deliveries_is_read(api: Api, database: Database, port: int, uri: str) -> None:
    workflow_ids = [api.run() for _ in range(40)]
    tasks = [database.waiting(workflow_id) for workflow_id in workflow_ids]
    body = json.dumps([{"workflowId": each, "status": "COMPLETED"} for each in workflow_ids]).encode()

    assert await delivered(api, port, body) == 204

    assert sorted(str(key) for key, _ in database.events(uri)) == sorted(workflow_ids)
    assert {task.row.state for task in tasks} == {"scheduled"}
    assert api.counts == {"taken": 40}
    assert api.asked[1] == 40


async def test_what_an_array_has_besides_deliveries_is_logged_and_keeps_none_of_them_out(
    api: Api, database: Database, port: int, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    workflow_id = api.run()
    parts = [{"kind": "ping"}, PERSONAL, {"workflowId": workflow_id}, {"runId": workflow_id}]

    assert await delivered(api, port, json.dumps(parts).encode()) == 204

    assert [key for key, _ in database.events(uri)] == [workflow_id]
    assert api.counts == {"without a workflow": 3, "taken": 1}
    assert warnings(caplog)[0].message.endswith("The latest was {runId: UUID}.")


@pytest.mark.thorough
async def test_an_array_comes_again_as_a_whole_and_costs_no_request_for_what_was_taken(
    api: Api, database: Database, port: int, uri: str
) -> None:
    workflow_ids = [api.run() for _ in range(5)]
    body = json.dumps([{"workflowId": each} for each in workflow_ids]).encode()
    api.sandbox.fault("server_error", status=500, path=STATUS_PATH, times=1)

    assert await delivered(api, port, body) == 503
    assert len(database.events(uri)) == 4
    api.clock.move_on(5.0)
    assert await delivered(api, port, body) == 204

    assert sorted(str(key) for key, _ in database.events(uri)) == sorted(workflow_ids)
    assert api.asked[1] == 6


@pytest.mark.thorough
async def test_a_long_array_is_dealt_with_in_part_and_finished_when_it_comes_again(
    api: Api, database: Database, uri: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_ids = [api.run() for _ in range(60)]
    body = json.dumps([{"workflowId": each} for each in workflow_ids]).encode()
    api.sandbox.fault("latency", seconds=0.1, path=STATUS_PATH)
    monkeypatch.setattr("airflow_provider_workflows.webhooks.app.RESPONSE_TIMEOUT_SECONDS", 0.35)

    for _ in range(20):
        if await delivered(api, port, body) == 204:
            break
        api.clock.move_on(5.0)
        await asyncio.sleep(0)

    assert sorted(str(key) for key, _ in database.events(uri)) == sorted(workflow_ids)


@pytest.mark.parametrize(
    "odd", [b"1" * 5000, b"1e400", b"NaN", b'"a\xff"', b'"a\x01"', rb'"\ud800"'], ids=lambda odd: str(odd[:6])
)
def test_one_odd_value_does_not_lose_a_delivery(odd: bytes) -> None:
    workflow_id = str(uuid.uuid4())

    payload = read_payload(b'{"workflowId": "%s", "amount": %s}' % (workflow_id.encode(), odd))

    assert [delivery.workflow_ids for delivery in payload.deliveries] == [(workflow_id,)]
