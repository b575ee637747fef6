"""What a delivery costs the API server in CPU time, beside a bare FastAPI endpoint in the same process.

The part ``costing`` of ``make bench-webhooks``: two minutes. Nothing of Airflow runs but its API server,
and the kinds of deliveries take turns, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_workflows.api.webhook_signature import HEADER, sign
from airflow_provider_workflows.sandbox import Sandbox
from benchmarks.harness import report
from benchmarks.harness.processes import MeasurementFailed, working_folder
from benchmarks.harness.report import AtMost, progress
from benchmarks.harness.webhook_airflow import CONN_ID, TOKEN_SECONDS, Delivery, environment_with_webhooks
from tests.harness.local_airflow import LocalAirflow
from tests.harness.process import Process

_PLUGINS_FOLDER = Path(__file__).parents[1] / "plugins" / "bare"
_CONCURRENCY = 16
_LONG_BODY_BYTES = 200_000
_LONG_SHARE = 10
BARE, READING = "bare endpoint", "bare endpoint that reads the body"
GENUINE = "genuine, of an ended workflow that is known"
_PATHS = {BARE: "bare/webhooks", READING: "bare/reading"}
#: The most that a kind may cost, in times of the bare endpoint; the others are shown only.
BOUNDS = {
    "unsigned": 1.2,
    "garbage in the header": 1.2,
    "alg none": 1.2,
    "HS256": 1.2,
    "invented key": 1.2,
    "known key, wrong signature": 1.2,
    GENUINE: 1.8,
}

_FOREIGN = rsa.generate_private_key(65537, 2048)


def measure(number: int, rounds: int) -> tuple[list[AtMost], list[str]]:
    """Return the figures to reach, and a table of all.

    :param number: of deliveries of each kind in a round
    :param rounds: how often all kinds take a turn
    """
    with working_folder() as folder, Sandbox(token_seconds=TOKEN_SECONDS) as sandbox:
        (folder / "dags").mkdir()
        environment = {
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(_PLUGINS_FOLDER),
            **environment_with_webhooks(sandbox),
        }
        with LocalAirflow(folder / "dags", environment) as airflow:
            airflow.migrate()
            with airflow.api_server() as server:
                costs = asyncio.run(_measured(airflow.url, server, sandbox, number, rounds))
    times = {kind: cost / costs[READING] for kind, cost in costs.items()}
    table = report.heading("CPU of the API server", ["ms each", "times bare"])
    table += [report.row(kind, [f"{1000 * cost:.3f}", f"{times[kind]:.2f}"]) for kind, cost in costs.items()]
    figures = [AtMost(f"a delivery costs, {kind}", times[kind], most, "x") for kind, most in BOUNDS.items()]
    return figures, [*table, ""]


async def _measured(
    url: str, server: Process, sandbox: Sandbox, number: int, rounds: int
) -> dict[str, float]:
    """Return the CPU seconds of one delivery of each kind."""
    total: defaultdict[str, float] = defaultdict(float)
    sent: Counter[str] = Counter()
    workflow_id = await _ended_workflow(sandbox)
    async with aiohttp.ClientSession() as session:
        for turn in range(rounds + 1):
            for kind, deliveries, status in _kinds(sandbox, workflow_id, number):
                path = _PATHS.get(kind, "workflows/webhooks")
                cost = await _cost(session, server, f"{url}/{path}/{CONN_ID}", deliveries, status)
                # What is loaded once is loaded in the round before the first.
                if turn:
                    total[kind] += cost
                    sent[kind] += len(deliveries)
            if turn % 10 == 0:
                progress(f"costs of deliveries: round {turn} of {rounds}")
    return {kind: cost / sent[kind] for kind, cost in total.items()}


def _kinds(sandbox: Sandbox, workflow_id: str, number: int) -> Iterator[tuple[str, list[Delivery], int]]:
    """Yield each kind of deliveries with the status of its responses."""
    body = sandbox.webhooks.destination.body(workflow_id, "", "COMPLETED", "Workflow")
    genuine, forge, text = sandbox.sign(body), sandbox.webhooks.keys.forge, body.decode()
    invented = [_with_key_id(genuine, str(uuid.uuid4())) for _ in range(number)]
    wrong = sign(body, _FOREIGN, _key_id(genuine))
    long = "x" * _LONG_BODY_BYTES
    yield BARE, [(text, genuine)] * number, 204
    yield READING, [(text, genuine)] * number, 204
    # Before any key is invented: a flood of them keeps a key out that is not cached.
    yield GENUINE, [(text, genuine)] * number, 204
    yield "unsigned", [(text, None)] * number, 401
    yield "garbage in the header", [(text, "garbage")] * number, 401
    yield "alg none", [(text, forge("alg_none", body))] * number, 401
    yield "HS256", [(text, forge("hs256", body))] * number, 401
    yield "invented key", [(text, one) for one in invented], 401
    yield "known key, wrong signature", [(text, wrong)] * number, 401
    yield f"unsigned, {_LONG_BODY_BYTES:,} bytes", [(long, None)] * (number // _LONG_SHARE), 401
    yield f"wrong signature, {_LONG_BODY_BYTES:,} bytes", [(long, wrong)] * (number // _LONG_SHARE), 401


async def _ended_workflow(sandbox: Sandbox) -> str:
    async with sandbox.async_client() as client:
        case = await client.create_case()
        return (await client.run_workflow(sandbox.define(seconds=0.0), case.case_id)).id


def _key_id(signature: str) -> str:
    return str(_protected(signature)["kid"])


def _with_key_id(signature: str, key_id: str) -> str:
    header = json.dumps(_protected(signature) | {"kid": key_id}, separators=(",", ":")).encode()
    return f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}..{signature.split('.')[2]}"


def _protected(signature: str) -> dict[str, str]:
    segment = signature.split(".", maxsplit=1)[0]
    fields: dict[str, str] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return fields


async def _cost(
    session: aiohttp.ClientSession, server: Process, url: str, deliveries: list[Delivery], status: int
) -> float:
    """Send deliveries, and return the CPU seconds that the API server has spent on all of them."""
    left = iter(deliveries)
    others: set[int] = set()

    async def work() -> None:
        for body, signature in left:
            headers = {} if signature is None else {HEADER: signature}
            async with session.post(url, data=body.encode(), headers=headers) as response:
                if response.status != status:
                    others.add(response.status)

    before = _cpu_seconds(server)
    await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))
    after = _cpu_seconds(server)
    if others:
        raise MeasurementFailed(f"{url}: other responses than {status}: {others}")
    return after - before


def _cpu_seconds(server: Process) -> float:
    times = [psutil.Process(member).cpu_times() for member in server.members()]
    return float(sum(one.user + one.system for one in times))
