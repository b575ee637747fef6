"""The page that shows what became of deliveries: who may see it, and what it shows."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from airflow_provider_workflows.airflow_internals import api_server
from airflow_provider_workflows.webhooks import registry
from airflow_provider_workflows.webhooks.app import webhooks_app
from airflow_provider_workflows.webhooks.registry import CONNECTION_CACHE_SECONDS
from tests.unit.webhooks.conftest import CONN_ID, Api

PAGE = "/workflows/deliveries"


@pytest.fixture
async def client(api: Api, port: int) -> AsyncIterator[httpx.AsyncClient]:
    create_auth_manager()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


def signed_in(role: str) -> dict[str, str]:
    user = SimpleAuthManagerUser(username="ada", role=role)
    return {"Authorization": f"Bearer {create_auth_manager().generate_jwt(user)}"}


def shown(page: str) -> dict[str, dict[str, int]]:
    """Return the numbers of the page's table, by connection."""
    table = page[page.index("<table") : page.index("</table>")]
    _, *outcomes = re.findall(r"<th>(.*?)</th>", table)
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    return {
        conn_id: {name: int(number) for name, number in zip(outcomes, numbers, strict=True) if number != "0"}
        for conn_id, *numbers in rows
    }


async def test_the_page_shows_what_became_of_deliveries(api: Api, client: httpx.AsyncClient) -> None:
    workflow_id = api.run()
    bodies = [
        {"runId": "5"},
        {"runId": "6"},
        {"workflowId": workflow_id},
        {"workflowId": workflow_id},
        {"workflowId": api.run(seconds=60.0), "status": "RUNNING"},
        {"workflowId": str(uuid.uuid4())},
    ]
    for body in bodies:
        await api.post(json.dumps(body).encode())
    await api.post(b"{}", None)

    response = await client.get(PAGE, headers=signed_in("admin"))

    assert response.status_code == 200
    assert shown(response.text) == {
        CONN_ID: {
            "taken": 1,
            "repeated": 1,
            "not ended": 1,
            "unknown workflow": 1,
            "without a workflow": 2,
            "refused": 1,
        }
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer nonsense"}, 403), ({"Cookie": "_token=nonsense"}, 403)],
    ids=["nobody", "an invented token", "an invented cookie"],
)
async def test_nobody_sees_the_page_who_is_not_signed_in(
    api: Api, client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    await api.post(b"{}")

    response = await client.get(PAGE, headers=headers)

    assert response.status_code == status
    assert CONN_ID not in response.text


async def test_nobody_sees_the_page_who_may_not_read_connections(client: httpx.AsyncClient) -> None:
    assert (await client.get(PAGE, headers=signed_in("viewer"))).status_code == 403


async def test_where_airflow_cannot_tell_who_may_see_the_page_it_is_not_there(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server.CONNECTION_ACCESS, "get", lambda: None)
    transport = httpx.ASGITransport(webhooks_app())

    async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
        assert (await client.get("/deliveries", headers=signed_in("admin"))).status_code == 404


async def test_counts_outlast_a_change_of_the_connection(
    api: Api, client: httpx.AsyncClient, connect: Callable[..., None]
) -> None:
    await api.post(b"{}")
    connect(webhooks=True, max_attempts=7)
    api.clock.move_on(CONNECTION_CACHE_SECONDS)
    await api.post(b"{}")

    assert shown((await client.get(PAGE, headers=signed_in("admin"))).text) == {
        CONN_ID: {"without a workflow": 2}
    }


async def test_few_counts_are_kept(
    api: Api, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_CACHED_CONNECTIONS", 3)
    for number in range(6):
        connect(f"conn_{number}", webhooks=True)
        await api.post(b"{}", conn_id=f"conn_{number}")

    assert list(api.registry.counts()) == ["conn_3", "conn_4", "conn_5"]
