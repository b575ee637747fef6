"""Sends signed deliveries: ``python -m benchmarks.harness.delivery_sender FILE``, in a process of its own.

The file holds the ``url``, the ``rate`` in deliveries per second (null: as fast as they are taken, ``concurrency``
under way), and the ``deliveries``, each a body and a signature or null. What is printed is, for each of them, when
it was sent in seconds since the epoch, how many seconds its response took, and its status, 0 without a response.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

_HEADER = "JWS-SIGNATURE"
#: As long as the service waits for a response.
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)

Sent = tuple[float, float, int]


async def _sent(session: aiohttp.ClientSession, url: str, body: str, signature: str | None) -> Sent:
    headers = {"Content-Type": "application/json"} | ({} if signature is None else {_HEADER: signature})
    began, begin = time.time(), time.monotonic()
    try:
        async with session.post(url, data=body.encode(), headers=headers) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
        status = 0
    return began, time.monotonic() - begin, status


async def _at_a_rate(session: aiohttp.ClientSession, order: dict[str, Any]) -> list[Sent]:
    begin, tasks = time.monotonic(), []
    for number, (body, signature) in enumerate(order["deliveries"]):
        await asyncio.sleep(max(0.0, begin + number / order["rate"] - time.monotonic()))
        tasks.append(asyncio.create_task(_sent(session, order["url"], body, signature)))
    return await asyncio.gather(*tasks)


async def _as_fast_as_it_takes_them(session: aiohttp.ClientSession, order: dict[str, Any]) -> list[Sent]:
    left, sent = iter(order["deliveries"]), []

    async def work() -> None:
        for body, signature in left:
            sent.append(await _sent(session, order["url"], body, signature))

    await asyncio.gather(*(work() for _ in range(order["concurrency"])))
    return sent


async def _send(order: dict[str, Any]) -> list[Sent]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2.0)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
        send = _as_fast_as_it_takes_them if order["rate"] is None else _at_a_rate
        return await send(session, order)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_send(json.loads(Path(sys.argv[1]).read_text())))) + "\n")
