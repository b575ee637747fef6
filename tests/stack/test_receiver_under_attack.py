"""Airflow's own API server while everything that can be sent without the service's key is sent to it at once.

The forger is a library of its own (joserfc). Of Airflow, only the API server runs.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.key_endpoint import HANGING, KeyEndpoint
from tests.harness.local_airflow import LocalAirflow
from tests.harness.process import Process

jws = pytest.importorskip("joserfc.jws", reason="joserfc needs Python 3.11")
jwk = pytest.importorskip("joserfc.jwk")

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

HEALTHY, SICK = "workflows_healthy", "workflows_sick"
ATTACK_SECONDS = 8.0
GENUINE = 100
SLOW_CONNECTIONS = 300
WARM_UP = 20
MAX_GROWN_BYTES = 20 * 2**20
LONG_BODY = b"[" + b" " * 250_000
HEADER = "JWS-SIGNATURE"

#: The statuses that each kind of attack may get; 503 where a service cannot be asked, or the server is busy.
EXPECTED: dict[str, set[int]] = {
    "spellings": {404, 503},
    "hanging key endpoint": {401, 503},
    "unsigned": {401},
    "invented keys": {401, 503},
    "wrong signatures": {401},
    "other forms": {401},
    "long bodies": {401},
    "invented connections": {404, 503},
    "replays of a running workflow": {204, 503},
    "replays of an ended workflow": {204},
}

Forge = Callable[[], tuple[str, str | None, bytes]]


@dataclass
class Outcome:
    """What became of an attack.

    :param genuine: the status and the seconds of each genuine delivery, 0 without a response
    :param forged: the statuses of what was sent, by the kind of attack
    :param grown_bytes: by how much the API server's memory grew
    :param key_requests: how often the healthy service was asked for a key during the attack
    :param sick_key_requests: how often the service whose key endpoint hangs was
    :param replayed_polls: how often the workflow of the replayed delivery was polled
    :param seconds: how long the attack took
    """

    genuine: list[tuple[int, float]] = field(default_factory=list)
    forged: dict[str, Counter[int]] = field(default_factory=dict)
    grown_bytes: int = 0
    key_requests: int = 0
    sick_key_requests: int = 0
    replayed_polls: int = 0
    seconds: float = 0.0


class Forger:
    """Makes signatures with keys of its own, and changes those that it has seen.

    :param captured: the header of a genuine delivery
    """

    def __init__(self, captured: str) -> None:
        self._key = jwk.RSAKey.generate_key(2048)
        self._made = captured.split(".")[2]
        self.known_kid = str(json.loads(decoded(captured.split(".", maxsplit=1)[0]))["kid"])

    def signed(self, body: bytes, **header: Any) -> str:
        """Return the detached signature of a body with the forger's own key."""
        protected = {"alg": "RS256", "kid": self.known_kid, "typ": "JWT"} | header
        protected_part, _, signature = jws.serialize_compact(protected, body, self._key).split(".")
        return f"{protected_part}..{signature}"

    def invented(self) -> str:
        """Return a captured signature under a header that names a new key: cheap enough for a flood."""
        header = json.dumps({"alg": "RS256", "kid": str(uuid.uuid4()), "typ": "JWT"}).encode()
        return f"{encoded(header)}..{self._made}"


def decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def spellings(conn_id: str) -> Iterator[str]:
    """Yield spellings of an id in other cases, all different."""
    letters = [(one, one.upper()) if one.isalpha() else (one,) for one in conn_id]
    every = itertools.product(*letters)
    next(every)
    return ("".join(one) for one in every)


class Attacked:
    """An API server, and what it is attacked with.

    :param url: of the webhook addresses, without the connection's id
    """

    def __init__(self, url: str, server: Process, sandbox: Sandbox, sick: KeyEndpoint) -> None:
        self.url = url
        self.server = server
        self.sandbox = sandbox
        self.sick = sick
        self.outcome = Outcome()
        self._over = asyncio.Event()

    def memory(self) -> int:
        """Return the memory of the API server, in bytes."""
        return sum(psutil.Process(member).memory_info().rss for member in self.server.members())

    async def post(
        self, session: aiohttp.ClientSession, conn_id: str, body: bytes, signature: str | None
    ) -> int:
        headers = {"Content-Type": "application/json"} | ({} if signature is None else {HEADER: signature})
        try:
            async with session.post(f"{self.url}/{conn_id}", data=body, headers=headers) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            return 0

    async def deliver(self, session: aiohttp.ClientSession, workflow_ids: list[str], pause: float) -> None:
        """Make the service's deliveries, one after each pause, and note what came of each."""

        async def one(workflow_id: str) -> None:
            body = self.sandbox.webhooks.destination.body(workflow_id, "", "COMPLETED", "Workflow")
            signature = await asyncio.to_thread(self.sandbox.sign, body)
            began = time.monotonic()
            status = await self.post(session, HEALTHY, body, signature)
            self.outcome.genuine.append((status, time.monotonic() - began))

        deliveries = []
        for workflow_id in workflow_ids:
            deliveries.append(asyncio.create_task(one(workflow_id)))
            await asyncio.sleep(pause)
        await asyncio.gather(*deliveries)

    async def flood(self, name: str, forge: Forge, clients: int) -> None:
        """Send what ``forge`` makes, from several clients without a pause, until the attack is over."""
        statuses = self.outcome.forged.setdefault(name, Counter())
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

            async def client() -> None:
                while not self._over.is_set():
                    conn_id, signature, body = forge()
                    statuses[await self.post(session, conn_id, body, signature)] += 1

            await asyncio.gather(*(client() for _ in range(clients)))

    async def slow_bodies(self, signature: str | None, number: int) -> None:
        """Begin bodies and go on with one byte a second, opening a connection anew when it is closed."""
        header = "" if signature is None else f"{HEADER}: {signature}\r\n"
        path = f"/workflows/webhooks/{HEALTHY}"
        request = (
            f"POST {path} HTTP/1.1\r\nHost: airflow\r\nContent-Length: 200000\r\n{header}\r\n{{".encode()
        )
        host, port = self.url.split("/")[2].split(":")

        async def drip(begins_after: float) -> None:
            # Hundreds of requests in one instant cost any address of Airflow tens of megabytes (22 MB for 600).
            await asyncio.sleep(begins_after)
            while not self._over.is_set():
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(host, int(port))
                    writer.write(request)
                    while not self._over.is_set():
                        await asyncio.sleep(1.0)
                        writer.write(b" ")
                        await writer.drain()
                    writer.close()

        await asyncio.gather(*(drip(0.5 * ATTACK_SECONDS * one / number) for one in range(number)))

    async def attacked(self) -> Outcome:
        """Return what became of the attack."""
        ids = await ended_workflows(self.sandbox, GENUINE + WARM_UP)
        async with self.sandbox.async_client() as client:
            case = await client.create_case()
            running_id = (await client.run_workflow(self.sandbox.define(seconds=3600.0), case.case_id)).id
        async with aiohttp.ClientSession() as session:
            # What is loaded once, and the key, are there before the attack.
            await self.deliver(session, ids[GENUINE:], 0.02)
            for conn_id in (HEALTHY, HEALTHY.upper(), "invented"):
                await self.post(session, conn_id, LONG_BODY, "garbage")
        self.outcome = Outcome()
        self.sandbox.counts.reset()
        memory, began = self.memory(), time.monotonic()
        ended = self.sandbox.webhooks.destination.body(ids[-1], "", "COMPLETED", "Workflow")
        await self.run(ids[:GENUINE], running_id, ended)
        outcome = self.outcome
        outcome.seconds = time.monotonic() - began
        outcome.grown_bytes -= memory
        outcome.key_requests = self.sandbox.counts.requests["GET /auth/webhooks/key/{kid}"]
        outcome.sick_key_requests = len(self.sick.requests)
        outcome.replayed_polls = sum(
            seen.path == f"/workflows/{running_id}" for seen in self.sandbox.requests_seen
        )
        return outcome

    async def run(self, workflow_ids: list[str], running_id: str, captured_ended: bytes) -> None:
        """Attack with everything at once, while genuine deliveries come to the healthy connection."""
        replayed = self.sandbox.webhooks.destination.body(running_id, "", "RUNNING", "Workflow")
        replayed_signature, ended_signature = self.sandbox.sign(replayed), self.sandbox.sign(captured_ended)
        forger = Forger(replayed_signature)
        other_spellings = spellings(HEALTHY)
        wrong = forger.signed(replayed)
        other_forms = [
            forger.signed(replayed, jku="https://evil.invalid/keys"),
            forger.signed(replayed, kid="../../cases"),
            forger.signed(replayed, b64=False, crit=["b64"]),
            f"{encoded(json.dumps({'alg': 'none', 'kid': forger.known_kid}).encode())}..",
            "garbage",
        ]
        floods: dict[str, tuple[Forge, int]] = {
            "spellings": (lambda: (next(other_spellings), forger.invented(), replayed), 2),
            "hanging key endpoint": (lambda: (SICK, forger.invented(), replayed), 12),
            "unsigned": (lambda: (HEALTHY, None, replayed), 2),
            "invented keys": (lambda: (HEALTHY, forger.invented(), replayed), 2),
            "wrong signatures": (lambda: (HEALTHY, wrong, replayed), 2),
            "other forms": (lambda: (HEALTHY, random.choice(other_forms), replayed), 2),
            "long bodies": (lambda: (HEALTHY, forger.invented(), LONG_BODY), 2),
            "invented connections": (lambda: (f"c_{uuid.uuid4().hex}", None, replayed), 2),
            "replays of a running workflow": (lambda: (HEALTHY, replayed_signature, replayed), 2),
            "replays of an ended workflow": (lambda: (HEALTHY, ended_signature, captured_ended), 2),
        }
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            attacks: list[Awaitable[None]] = [
                self.flood(name, forge, clients) for name, (forge, clients) in floods.items()
            ]
            attacks += [
                self.slow_bodies(None, SLOW_CONNECTIONS),
                self.slow_bodies(replayed_signature, SLOW_CONNECTIONS),
            ]
            under_way = [asyncio.ensure_future(attack) for attack in attacks]
            await self.deliver(session, workflow_ids, ATTACK_SECONDS / len(workflow_ids))
            self.outcome.grown_bytes += self.memory()
            self._over.set()
            await asyncio.gather(*under_way)


async def ended_workflows(sandbox: Sandbox, number: int) -> list[str]:
    definition_id = sandbox.define(seconds=0.0)
    async with sandbox.async_client() as client:
        case = await client.create_case()
        return [(await client.run_workflow(definition_id, case.case_id)).id for _ in range(number)]


async def attack(dags: Path, sandbox: Sandbox) -> Outcome:
    """Start an API server, attack it, and return what became of that."""
    extra = {**sandbox.connection["extra"], "webhooks": True}
    async with KeyEndpoint(HANGING) as sick:
        environment = {
            f"AIRFLOW_CONN_{HEALTHY.upper()}": json.dumps(sandbox.connection | {"extra": extra}),
            f"AIRFLOW_CONN_{SICK.upper()}": json.dumps(sick.connection),
        }
        with LocalAirflow(dags, environment) as airflow:
            airflow.migrate()
            with airflow.api_server() as server:
                attacked = Attacked(f"{airflow.url}/workflows/webhooks", server, sandbox, sick)
                return await attacked.attacked()


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    with Sandbox() as sandbox:
        return asyncio.run(attack(tmp_path_factory.mktemp("dags"), sandbox))


def test_genuine_deliveries_to_a_healthy_connection_are_taken_all_the_while(outcome: Outcome) -> None:
    statuses = Counter(status for status, _ in outcome.genuine)
    print(f"\nthe slowest took {max(seconds for _, seconds in outcome.genuine):.2f} seconds")
    print("\n".join(f"{name}: {dict(forged)}" for name, forged in outcome.forged.items()))

    assert statuses.total() == GENUINE
    assert statuses[204] >= 0.99 * GENUINE, statuses


def test_the_api_servers_memory_stays_as_it_is(outcome: Outcome) -> None:
    print(f"\nit grew by {outcome.grown_bytes / 2**20:.1f} MB")

    assert outcome.grown_bytes < MAX_GROWN_BYTES


@pytest.mark.parametrize(("name", "statuses"), EXPECTED.items(), ids=list(EXPECTED))
def test_what_is_not_the_services_gets_the_response_that_it_should(
    outcome: Outcome, name: str, statuses: set[int]
) -> None:
    sent = outcome.forged[name]

    assert sent.total() > 0
    # 0 is a request that was still under way when the attack was over, or that the server was too busy for.
    assert set(sent) - {0} <= statuses, sent


def test_a_replayed_delivery_of_a_running_workflow_costs_a_poll_in_two_seconds(outcome: Outcome) -> None:
    assert outcome.replayed_polls <= outcome.seconds / 2 + 2


def test_the_services_are_asked_for_few_keys(outcome: Outcome) -> None:
    assert outcome.key_requests <= 5
    # One at a time, each of which hangs for four seconds.
    assert outcome.sick_key_requests <= outcome.seconds / 2 + 2
