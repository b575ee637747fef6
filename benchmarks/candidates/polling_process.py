"""Polls: ``python -m benchmarks.candidates.polling_process MEASUREMENT PORT COUNTERS``.

The process does nothing but poll, pinned to one processor, and prints what it found as its last line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Coroutine
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]  # comes with Airflow
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from benchmarks.candidates.pollers import CANDIDATES, IDLE, SATURATED, PollCost, PollMeasurement
from benchmarks.harness.poll_service import NEVER, Counters
from benchmarks.harness.processes import MEASURED_PLACE, pin

_TICK_SECONDS = 0.01
_SLOW_TICK_SECONDS = 0.25
_reads = {"connections": 0}


class CountingBackend(EnvironmentVariablesBackend):
    """Airflow's connections from the environment, with a count of how often they are read."""

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return a connection, and count that."""
        sys.modules["__main__"]._reads["connections"] += 1  # noqa: SLF001  (Airflow imports this module anew)
        return super().get_conn_value(conn_id, team_name)


class _Stalls:
    """A timer that notes by how much the event loop calls it late at most."""

    def __init__(self, tick: float) -> None:
        self.longest = 0.0
        self._seconds = tick
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._tick()

    def _tick(self) -> None:
        now = self._loop.time()
        self.longest = max(self.longest, now - self._due)
        self._due = now + self._seconds
        self._loop.call_at(self._due, self._tick)


def _resident() -> int:
    gc.collect()
    resident: int = psutil.Process().memory_info().rss
    return resident


async def _measure(measurement: PollMeasurement, port: int, counters: Counters) -> PollCost:
    # Whatever is imported, read or made once for a process is so by a first wait, for a run that is over.
    over = int(time.time() * 1000)
    if measurement.candidate != IDLE:
        await asyncio.wait_for(asyncio.gather(*CANDIDATES[measurement.candidate]([over], 0.01, port)), 10)
    resident = _resident()
    _reads["connections"] = 0
    scenario = _idle if measurement.candidate == IDLE else _until_all_end if measurement.longest else _pending
    cost = await scenario(measurement, port, counters)
    gained = (_resident() - resident) / 1024 / measurement.runs
    return replace(cost, kilobytes=gained, lookups=_reads["connections"])


async def _idle(measurement: PollMeasurement, port: int, _: Counters) -> PollCost:
    _start(measurement, port, [NEVER] * measurement.runs)
    await asyncio.sleep(0.5)
    return PollCost()


async def _until_all_end(measurement: PollMeasurement, port: int, counters: Counters) -> PollCost:
    draw = random.Random(1)  # noqa: S311
    before, cpu, begin = counters.read(), time.process_time(), time.time()
    lengths = [draw.uniform(measurement.shortest, measurement.longest) for _ in range(measurement.runs)]
    waits = _start(measurement, port, [int(1000 * (begin + length)) for length in lengths])
    noticed = await asyncio.gather(*waits)
    late = [(length, seen - begin - length) for length, seen in zip(lengths, noticed, strict=True)]
    polls = counters.read().polls - before.polls
    return PollCost(
        cpu_ms_per_poll=(time.process_time() - cpu) * 1000 / polls,
        polls_per_second=polls / (time.time() - begin),
        late=late,
    )


async def _pending(measurement: PollMeasurement, port: int, counters: Counters) -> PollCost:
    before, begin = counters.read(), time.monotonic()
    # At a low rate the timer itself would be a good part of what is measured.
    stalls = _Stalls(_TICK_SECONDS if measurement.scenario == SATURATED else _SLOW_TICK_SECONDS)
    waits = _start(measurement, port, [NEVER] * measurement.runs)
    while counters.read().distinct - before.distinct < measurement.runs:
        await asyncio.sleep(_TICK_SECONDS)
        _raise_any(waits)
    swept, first_sweep = counters.read(), time.monotonic() - begin
    # By then a pool has about as many connections as it needs.
    await asyncio.sleep(measurement.interval / 5)
    first, window, cpu = counters.read(), time.monotonic(), time.process_time()
    await asyncio.sleep(measurement.window)
    # At least one poll for each run, on average: those of a peer go through the loop in herds.
    while counters.read().polls - first.polls < measurement.runs and measurement.scenario == SATURATED:  # noqa: ASYNC110
        await asyncio.sleep(_TICK_SECONDS)
    cpu, window, last = time.process_time() - cpu, time.monotonic() - window, counters.read()
    _raise_any(waits)
    polls = last.polls - first.polls
    return PollCost(
        cpu_ms_per_poll=cpu * 1000 / polls,
        polls_per_second=polls / window,
        busy=cpu / window,
        first_sweep=first_sweep,
        connections_first=swept.connections - before.connections,
        connections_per_poll=(last.connections - first.connections) / polls,
        longest_stall=stalls.longest,
    )


def _start(measurement: PollMeasurement, port: int, ends: list[int]) -> list[asyncio.Task[float]]:
    """Begin to poll each run; where polls have an interval, the waits begin spread over one."""
    draw = random.Random(2)  # noqa: S311
    runs = CANDIDATES[measurement.candidate](ends, measurement.interval, port)
    return [
        asyncio.create_task(_noticed(run, draw.random() * max(0.0, measurement.interval))) for run in runs
    ]


async def _noticed(run: Coroutine[Any, Any, None], begin_in: float) -> float:
    if begin_in:
        await asyncio.sleep(begin_in)
    await run
    return time.time()


def _raise_any(tasks: list[asyncio.Task[float]]) -> None:
    for task in tasks:
        if task.done():
            raise RuntimeError("a run that never ends has ended") from task.exception()


async def _main(measurement: PollMeasurement, port: int, counters: Counters) -> None:
    cost = await _measure(measurement, port, counters)
    sys.stdout.write(f"{json.dumps(asdict(cost))}\n")
    sys.stdout.flush()
    os._exit(0)  # thousands of connections need no goodbye


if __name__ == "__main__":
    pin(MEASURED_PLACE)
    asyncio.run(
        _main(PollMeasurement(**json.loads(sys.argv[1])), int(sys.argv[2]), Counters(Path(sys.argv[3])))
    )
