"""Deliveries that are replayed over a real socket: what each costs the service, and what none may keep out."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.webhooks import handler, run_polls
from airflow_provider_workflows.webhooks.run_polls import EARLY_WEBHOOK_REPOLL_SECONDS
from tests.unit.webhooks.conftest import CONN_ID, STATUS_PATH, Api, Database, ServiceClock, until

COPIES = 30


class Deliveries:
    """Sends signed bodies over a socket, as the service does, or one who has recorded them."""

    def __init__(self, api: Api, client: httpx.AsyncClient) -> None:
        self._api = api
        self._client = client

    async def send(self, body: Any) -> int:
        content = json.dumps(body).encode()
        headers = {"JWS-SIGNATURE": self._api.sandbox.sign(content)}
        response = await self._client.post(f"/workflows/webhooks/{CONN_ID}", content=content, headers=headers)
        return response.status_code

    async def replay(self, body: Any, copies: int = COPIES) -> Counter[int]:
        return Counter(await asyncio.gather(*(self.send(body) for _ in range(copies))))


@pytest.fixture
async def deliveries(api: Api, port: int) -> AsyncIterator[Deliveries]:
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits) as client:
        yield Deliveries(api, client)


@pytest.fixture
def uri(api: Api, database: Database) -> str:
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    return uri


def polls(api: Api) -> int:
    return api.asked[1]


@pytest.mark.thorough
async def test_a_replayed_status_update_costs_one_request_in_two_seconds(
    api: Api, deliveries: Deliveries
) -> None:
    update = {"workflowId": api.run(seconds=60.0), "status": "RUNNING"}

    for seconds in (0.0, EARLY_WEBHOOK_REPOLL_SECONDS / 2, EARLY_WEBHOOK_REPOLL_SECONDS / 2):
        api.clock.move_on(seconds)
        assert await deliveries.replay(update) == {204: COPIES}

    assert EARLY_WEBHOOK_REPOLL_SECONDS == 2.0
    assert polls(api) == 2


REPLAYS: dict[str, Callable[[str], list[Any]]] = {
    "many updates of one workflow": lambda workflow_id: [
        {"workflowId": workflow_id, "status": "RUNNING", "number": number} for number in range(20)
    ],
    "under other first ids": lambda workflow_id: [
        {"workflow": {"id": workflow_id}, "status": "RUNNING", "number": number} for number in range(20)
    ],
    "in an array": lambda workflow_id: [[{"workflowId": workflow_id, "status": "RUNNING"}] * 20],
}


@pytest.mark.parametrize("replayed", REPLAYS.values(), ids=list(REPLAYS))
async def test_other_deliveries_of_the_same_workflow_cost_no_more(
    api: Api, deliveries: Deliveries, replayed: Callable[[str], list[Any]]
) -> None:
    bodies = replayed(api.run(seconds=60.0))

    assert set(await asyncio.gather(*map(deliveries.send, bodies))) == {204}

    assert polls(api) == 1


async def test_a_replayed_delivery_of_an_unknown_workflow_costs_one_request_in_two_seconds(
    api: Api, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MAX_CONCURRENT_REPOLLS", 0)

    statuses = await deliveries.replay({"workflowId": str(uuid.uuid4()), "status": "RUNNING"})

    assert set(statuses) <= {204, 503}
    assert polls(api) == 1


@pytest.mark.thorough
async def test_replays_during_an_outage_cost_one_request_in_two_seconds(
    api: Api, deliveries: Deliveries, database: Database, uri: str
) -> None:
    workflow_id = api.run()
    api.sandbox.fault("server_error", status=500, path=STATUS_PATH)

    assert await deliveries.replay({"workflowId": workflow_id}) == {503: COPIES}
    assert polls(api) == 1

    api.sandbox.clear_faults()
    api.clock.move_on(EARLY_WEBHOOK_REPOLL_SECONDS)
    assert await deliveries.send({"workflowId": workflow_id}) == 204
    assert [key for key, _ in database.events(uri)] == [workflow_id]


async def test_a_replayed_delivery_that_tells_of_an_end_costs_one_request_in_two_seconds(
    api: Api, deliveries: Deliveries
) -> None:
    api.pauses.end.clear()
    early = {"workflowId": api.run(seconds=60.0), "status": "COMPLETED"}

    replayed = asyncio.create_task(deliveries.replay(early))
    await until(lambda: api.pauses.number)
    assert polls(api) == 1
    api.pauses.end.set()

    assert await replayed == {204: COPIES}
    # One before the pause of two seconds, and one after each.
    assert polls(api) == 1 + api.pauses.number


@pytest.mark.parametrize("fields", [{}, {"status": "COMPLETED"}], ids=str)
async def test_an_end_that_is_delivered_a_moment_after_an_update_is_found(
    api: Api,
    deliveries: Deliveries,
    database: Database,
    service_clock: ServiceClock,
    uri: str,
    fields: dict[str, Any],
) -> None:
    workflow_id = api.run(seconds=60.0)
    assert await deliveries.send({"workflowId": workflow_id, "status": "RUNNING"}) == 204
    service_clock.move_on(60.0)

    assert await deliveries.send({"workflowId": workflow_id} | fields) == 204

    assert [key for key, _ in database.events(uri)] == [workflow_id]
    assert polls(api) == 2


@pytest.mark.thorough
async def test_an_end_that_is_delivered_while_replays_are_polled_again_is_found(
    api: Api, deliveries: Deliveries, database: Database, service_clock: ServiceClock, uri: str
) -> None:
    api.pauses.end.clear()
    workflow_id = api.run(seconds=60.0)
    replayed = asyncio.create_task(deliveries.replay({"workflowId": workflow_id}))
    await until(lambda: api.pauses.number)
    service_clock.move_on(60.0)

    assert await deliveries.send({"workflowId": workflow_id, "status": "COMPLETED"}) == 204
    api.pauses.end.set()

    assert await replayed == {204: COPIES}
    assert [key for key, _ in database.events(uri)] == [workflow_id]


async def test_an_end_that_cannot_be_polled_for_after_an_update_comes_again(
    api: Api,
    deliveries: Deliveries,
    database: Database,
    service_clock: ServiceClock,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handler, "MAX_CONCURRENT_REPOLLS", 0)
    workflow_id = api.run(seconds=60.0)
    assert await deliveries.send({"workflowId": workflow_id, "status": "RUNNING"}) == 204
    service_clock.move_on(60.0)
    end = {"workflowId": workflow_id, "status": "COMPLETED"}

    assert await deliveries.send(end) == 503
    api.clock.move_on(EARLY_WEBHOOK_REPOLL_SECONDS)
    assert await deliveries.send(end) == 204

    assert [key for key, _ in database.events(uri)] == [workflow_id]


async def test_few_polls_are_remembered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_polls, "MAX_CACHED_POLLS", 3)
    for _ in range(6):
        assert await api.tell(api.run(seconds=60.0), status="RUNNING") == 204
    assert len(api.handler._polls) == 3

    api.clock.move_on(EARLY_WEBHOOK_REPOLL_SECONDS)
    assert await api.tell(api.run(seconds=60.0), status="RUNNING") == 204
    assert len(api.handler._polls) == 1
