"""What docs/webhooks.md says an attacker can and cannot do: each of its lines is the name of a test."""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.webhooks.public_keys import (
    KEY_CACHE_SECONDS,
    REDELIVERY_SECONDS,
    UNKNOWN_KEY_REFILL_SECONDS,
)
from tests.unit.webhooks.conftest import CONN_ID, Api, Database
from tests.unit.webhooks.test_public_keys import Service, service

__all__ = ["service"]

ATTACK_SUITE = Path(__file__).parents[2] / "stack" / "test_receiver_under_attack.py"
PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"


def in_letters(text: str) -> str:
    """Return what a test's name and a line of the page have in common."""
    return re.sub(r"[\W_]", "", text.lower())


def claims() -> list[str]:
    """Return the lines of the page about attackers."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("## What an attacker can and cannot do")
    items = re.split(r"\n- ", rest.partition("\n## ")[0])[1:]
    return [re.sub(r"\s+", " ", item) for item in items]


def names_of_tests() -> set[str]:
    names = set()
    for path in (*Path(__file__).parent.glob("test_*.py"), ATTACK_SUITE):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                names.add(in_letters(node.name.removeprefix("test_")))
    return names


def test_each_line_about_attackers_is_the_name_of_a_test() -> None:
    lines = [re.match(r"\*\*(.+?)\.\*\*", claim) for claim in claims()]

    assert len(lines) >= 29
    assert [claim for claim, line in zip(claims(), lines, strict=True) if line is None] == []
    tests = names_of_tests()
    assert [line[1] for line in lines if line and in_letters(line[1]) not in tests] == []


def test_the_proxy_of_the_page_limits_the_rate() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (zone,) = re.findall(r"limit_req_zone \S+ zone=(\w+):", page)

    assert f"limit_req zone={zone} " in page


class Attacker:
    """Somebody who can reach the webhook address."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, body: bytes, signature: str | None, conn_id: str = CONN_ID) -> int:
        headers = {} if signature is None else {"JWS-SIGNATURE": signature}
        response = await self._client.post(f"/workflows/webhooks/{conn_id}", content=body, headers=headers)
        return response.status_code


@pytest.fixture
async def attacker(port: int) -> AsyncIterator[Attacker]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield Attacker(client)


@pytest.fixture
def uri(api: Api, database: Database) -> str:
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    return uri


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "REJECTED"])
async def test_a_lie_that_the_service_has_signed_resumes_no_task_and_adds_no_event(
    api: Api, database: Database, attacker: Attacker, uri: str, status: str
) -> None:
    workflow_id = api.run(seconds=60.0)
    task = database.waiting(workflow_id)
    before = database.rows()
    lie = json.dumps({"workflowId": workflow_id, "status": status}).encode()

    assert await attacker.send(lie, api.sandbox.sign(lie)) == 204

    assert task.row.state == "deferred"
    assert database.events(uri) == []
    assert database.rows() == before


async def test_a_delivery_of_another_service_is_refused(
    api: Api, database: Database, attacker: Attacker, uri: str
) -> None:
    workflow_id = api.run()
    task = database.waiting(workflow_id)
    body = json.dumps({"workflowId": workflow_id}).encode()

    with Sandbox() as other:
        assert await attacker.send(body, other.sign(body)) == 401

    assert task.row.state == "deferred"
    assert database.events(uri) == []


async def test_a_recorded_delivery_is_taken_again_for_as_long_as_its_key_is_accepted(
    api: Api, database: Database, attacker: Attacker, uri: str
) -> None:
    workflow_id = api.run()
    body = json.dumps({"workflowId": workflow_id}).encode()
    recorded = api.sandbox.sign(body)

    for _ in range(20):
        assert await attacker.send(body, recorded) == 204
        api.clock.move_on(KEY_CACHE_SECONDS / 20)

    assert [key for key, _ in database.events(uri)] == [workflow_id]
    assert api.asked[1] == 1


async def test_a_withdrawn_key_is_accepted_for_up_to_an_hour(
    api: Api, attacker: Attacker, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = api.sandbox.sign(b"{}")
    assert await attacker.send(b"{}", recorded) == 204
    now = api.handler.keys._clock()
    api.sandbox.webhooks.rotate_key(keep_old=False)

    statuses = []
    for seconds in (KEY_CACHE_SECONDS - 60, KEY_CACHE_SECONDS + 60):
        monkeypatch.setattr(api.handler.keys, "_clock", lambda seconds=seconds: now + seconds)
        statuses.append(await attacker.send(b"{}", recorded))

    assert KEY_CACHE_SECONDS == 3600
    assert statuses == [204, 401]


async def test_anybody_can_tell_which_connections_take_webhooks(
    api: Api, attacker: Attacker, connect: Callable[..., None]
) -> None:
    connect("silent", webhooks=False)

    statuses = [await attacker.send(b"{}", None, conn_id) for conn_id in (CONN_ID, "silent", "unknown")]

    assert statuses == [401, 404, 404]


@pytest.mark.thorough
async def test_anybody_can_have_deliveries_refused_so_limit_the_rate_at_the_proxy(
    api: Api, attacker: Attacker
) -> None:
    statuses = await asyncio.gather(*(attacker.send(b"{}", None) for _ in range(50)))

    assert set(statuses) == {401}
    assert api.counts == {"refused": 50}
    assert api.sandbox.counts.total_requests == 0


async def test_invented_keys_that_each_come_again_can_keep_out_a_key_that_is_not_cached(
    service: Service,
) -> None:
    invented: list[str] = []

    async def flood(seconds: int) -> None:
        for _ in range(seconds):
            service.now += 1
            invented.append(str(uuid.uuid4()))
            for key_id in (invented[-1], *itertools.islice(reversed(invented), int(REDELIVERY_SECONDS), 5)):
                assert await service.refuses(key_id)

    await flood(600)
    genuine = service.new_key()
    tries = []
    for pause in (0, 5, 10, 15, 20, 25):
        await flood(pause)
        tries.append(await service.refuses(genuine))

    assert tries == [True] * 6
    service.now += UNKNOWN_KEY_REFILL_SECONDS
    assert not await service.refuses(genuine)
