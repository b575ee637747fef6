"""Who polls: our trigger, the peers' real trigger classes, and the least that could do it.

Each candidate is a function that gives one coroutine for each run, which ends when the end of the run is noticed.
What only one of them needs is imported there, so that no candidate's memory holds another's modules.
"""

from __future__ import annotations

import asyncio
import heapq
import importlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from benchmarks.harness.poll_service import run_id, workflow_id
from benchmarks.harness.processes import OURS

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

Waits = Iterable[Coroutine[Any, Any, None]]

FLOOR, DBT, DATABRICKS = "bare loop", "dbt Cloud", "Databricks"
#: Ours, but each poll goes out when it is due, not together with those that are due soon after.
SEPARATE = "ours, separate"
#: What a waiting task costs in any case.
IDLE = "idle"
#: As many as our pool has.
FLOOR_CONNECTIONS = 32
#: The least that our schedule takes, in the place of 0.
_MIN_INTERVAL_SECONDS = 0.01
SATURATED, SPREAD, ENDING = "saturated", "spread", "ending"

PEER_MODULES = {
    DBT: "airflow.providers.dbt.cloud.triggers.dbt",
    DATABRICKS: "airflow.providers.databricks.triggers.databricks",
}


@dataclass(frozen=True)
class PollMeasurement:
    """One measurement: who polls how many runs, and for how long.

    :param candidate: the name of who polls
    :param runs: how many are polled
    :param interval: seconds between two polls of a run; 0 for again at once, below 0 for the default schedule
    :param window: seconds that are measured, after the first sweep
    :param shortest: seconds after which the first run ends; with ``longest`` at 0 no run ends
    :param longest: seconds after which the last run ends
    """

    candidate: str
    runs: int
    interval: float = 0.0
    window: float = 2.0
    shortest: float = 0.0
    longest: float = 0.0

    @property
    def scenario(self) -> str:
        """What kind of measurement this is."""
        if self.longest:
            return ENDING
        return SPREAD if self.interval else SATURATED


@dataclass(frozen=True)
class PollCost:
    """What one measurement found.

    :param cpu_ms_per_poll: CPU time of the whole process in the window, by the polls that the service counted
    :param polls_per_second: in the window
    :param busy: part of the window in which the process had the CPU
    :param first_sweep: seconds until the service had seen each run once
    :param connections_first: connections that the service saw opened until then
    :param connections_per_poll: connections opened in the window, by its polls
    :param longest_stall: seconds for which the event loop was kept from a timer at most, from the start on
    :param kilobytes: resident memory gained since before the first wait, by the number of runs
    :param lookups: how often an Airflow connection was read
    :param late: for runs that ended: how long each took, and how much later its end was noticed, in seconds
    """

    cpu_ms_per_poll: float = 0.0
    polls_per_second: float = 0.0
    busy: float = 0.0
    first_sweep: float = 0.0
    connections_first: int = 0
    connections_per_poll: float = 0.0
    longest_stall: float = 0.0
    kilobytes: float = 0.0
    lookups: int = 0
    late: Sequence[Sequence[float]] = ()


def connections(port: int) -> dict[str, str]:
    """Return the Airflow connections to the service at ``port``."""
    address = f'"host": "https://127.0.0.1:{port}"'
    return {
        "AIRFLOW_CONN_WORKFLOWS_DEFAULT": f'{{"conn_type": "workflows", {address}, "login": "k", "password": "s"}}',
        "AIRFLOW_CONN_DBT_CLOUD_DEFAULT": '{"conn_type": "dbt_cloud", "login": "1", "password": "token", '
        f'"host": "127.0.0.1:{port}"}}',
        "AIRFLOW_CONN_DATABRICKS_DEFAULT": '{"conn_type": "databricks", "password": "token", '
        f'"host": "127.0.0.1", "port": {port}}}',
    }


def ours(ends: list[int], interval: float, _port: int) -> Waits:
    """Our trigger. An interval below 0 leaves it to its default schedule."""
    from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger  # noqa: PLC0415

    fixed = max(interval, _MIN_INTERVAL_SECONDS)
    schedule: dict[str, Any] = {} if interval < 0 else {"poll_interval": fixed, "max_poll_interval": fixed}
    for ordinal, end in enumerate(ends):
        yield _until_event(WorkflowStatusTrigger(workflow_id=workflow_id(ordinal, end), **schedule))


def separate(ends: list[int], interval: float, port: int) -> Waits:
    """Our trigger; each poll goes out when it is due."""
    from airflow_provider_workflows.triggers import poll_queue  # noqa: PLC0415

    poll_queue.DUE_TIME_STEP_SECONDS = 0.001
    return ours(ends, interval, port)


def dbt(ends: list[int], interval: float, _port: int) -> Waits:
    """dbt Cloud's trigger."""  # noqa: D403
    trigger = importlib.import_module(PEER_MODULES[DBT]).DbtCloudRunJobTrigger
    for ordinal, end in enumerate(ends):
        yield _until_event(
            trigger(
                conn_id="dbt_cloud_default",
                run_id=run_id(ordinal, end),
                end_time=time.time() + 3600,
                poll_interval=interval,
                account_id=1,
            )
        )


def databricks(ends: list[int], interval: float, _port: int) -> Waits:
    """Databricks' trigger."""
    trigger = importlib.import_module(PEER_MODULES[DATABRICKS]).DatabricksExecutionTrigger
    for ordinal, end in enumerate(ends):
        yield _until_event(
            trigger(run_id(ordinal, end), "databricks_default", polling_period_seconds=interval)
        )


def floor(ends: list[int], interval: float, port: int) -> Waits:
    """Wait on a loop with nothing but the calls: no triggers, retries, tokens to renew, or logging."""
    loop = _BareLoop(port, interval)
    return (loop.wait(workflow_id(ordinal, end)) for ordinal, end in enumerate(ends))


def idle(ends: list[int], _interval: float, _port: int) -> Waits:
    """Triggers that do nothing."""
    from airflow.triggers.base import BaseTrigger, TriggerEvent  # noqa: PLC0415

    class IdleTrigger(BaseTrigger):
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return ("", {})

        async def run(self) -> AsyncIterator[TriggerEvent]:
            await asyncio.sleep(3600)
            yield TriggerEvent({})  # type: ignore[no-untyped-call]

    return (_until_event(IdleTrigger()) for _ in ends)  # type: ignore[no-untyped-call]


CANDIDATES: dict[str, Callable[[list[int], float, int], Waits]] = {
    FLOOR: floor,
    OURS: ours,
    SEPARATE: separate,
    DBT: dbt,
    DATABRICKS: databricks,
    IDLE: idle,
}


async def _until_event(trigger: BaseTrigger) -> None:
    async for _ in trigger.run():
        return


@dataclass(eq=False, slots=True)
class _BareWait:
    url: str
    ended: asyncio.Future[None]


class _BareLoop:
    """A heap of what is due, and up to as many tasks as connections that work it off."""

    def __init__(self, port: int, interval: float) -> None:
        self._url = f"https://127.0.0.1:{port}/workflows/"
        self._interval = interval
        self._heap: list[tuple[float, int, _BareWait]] = []
        self._order = itertools.count()
        self._ready: deque[_BareWait] = deque()
        self._working: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=FLOOR_CONNECTIONS),
            headers={"Authorization": "Bearer " + "a" * 400, "Accept": "application/json"},
        )

    async def wait(self, name: str) -> None:
        wait = _BareWait(self._url + name, self._loop.create_future())
        self._ready.append(wait)
        self._start_worker()
        await wait.ended

    def _start_worker(self) -> None:
        if len(self._working) < FLOOR_CONNECTIONS:
            task = asyncio.create_task(self._work())
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _work(self) -> None:
        while self._ready:
            wait = self._ready.popleft()
            async with self._session.get(wait.url) as response:
                status = (await response.json())["status"]
            if status != "RUNNING":
                wait.ended.set_result(None)
            elif self._interval:
                self._poll_at(self._loop.time() + self._interval, wait)
            else:
                self._ready.append(wait)

    def _poll_at(self, due: float, wait: _BareWait) -> None:
        heapq.heappush(self._heap, (due, next(self._order), wait))
        if self._timer is None:
            self._timer = self._loop.call_at(self._heap[0][0], self._release)

    def _release(self) -> None:
        self._timer = None
        while self._heap and self._heap[0][0] <= self._loop.time():
            self._ready.append(heapq.heappop(self._heap)[2])
            self._start_worker()
        if self._heap:
            self._timer = self._loop.call_at(self._heap[0][0], self._release)
