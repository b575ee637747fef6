"""The one poller of a process and connection, seen from the service's side of the socket.

But for ``TestLoop``, on an event loop that is faster than the clock on the wall: a second takes a fifth of one.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import dataclasses
import datetime as dt
import gc
import json
import logging
import math
import re
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings, endpoints
from airflow_provider_workflows.api.polling import PollSchedule, Wait
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.triggers import polled_connection
from airflow_provider_workflows.triggers import poller as poller_module
from airflow_provider_workflows.triggers.poll_queue import Event
from airflow_provider_workflows.triggers.poller import Poller
from tests.unit.clocks import FastLoop, until

CONNECTION = "workflows_default"
STATUS_CALL = "GET /workflows/{workflowId}"
OFTEN = PollSchedule(0.05, 0.05)
LOOP = FastLoop


def now() -> float:
    """Return the seconds since the epoch, as the loop's time has them."""
    loop = asyncio.get_running_loop()
    return loop.epoch() if isinstance(loop, FastLoop) else time.time()


def shared_poller() -> Poller:
    return Poller.of(CONNECTION, now=now)


@pytest.fixture(autouse=True)
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> collections.Counter[str]:
    """Counts how often each connection is read."""
    counted: collections.Counter[str] = collections.Counter()
    lookup = WorkflowsHook.aget_settings

    async def counting(hook: WorkflowsHook) -> Any:
        counted[hook.workflows_conn_id] += 1
        return await lookup(hook)

    monkeypatch.setattr(WorkflowsHook, "aget_settings", counting)
    return counted


def workflows(sandbox: Sandbox, number: int, *, seconds: float) -> list[str]:
    """Start runs that take ``seconds`` of the loop's time, and return their ids, with the counts at zero."""
    definition_id = sandbox.define(seconds=seconds / FastLoop.SPEED)
    with sandbox.client() as client:
        case_id = client.create_case().case_id
        ids = [client.run_workflow(definition_id, case_id).id for _ in range(number)]
    sandbox.counts.reset()
    return ids


async def wait_for(workflow_id: str, **arguments: Any) -> Event:
    wait = Wait(workflow_id, now(), **{"schedule": OFTEN, **arguments})
    return await asyncio.wait_for(shared_poller().wait(wait), 30 * FastLoop.SPEED)


class TestSharing:
    @pytest.mark.thorough
    async def test_a_thousand_waits_take_the_pool_s_connections_one_token_and_one_lookup(
        self, sandbox: Sandbox, lookups: collections.Counter[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(sandbox.connection_with_key))
        ids = workflows(sandbox, 1000, seconds=1.0)

        events = await asyncio.gather(*map(wait_for, ids))

        assert events == [{"status": "COMPLETED"}] * 1000
        assert sandbox.counts.requests["POST /auth/authorize"] <= 1
        assert sandbox.counts.total_connections <= 33
        assert lookups == {CONNECTION: 1}

    @pytest.mark.thorough
    async def test_tasks_that_wait_for_the_same_workflow_share_its_polls(self, sandbox: Sandbox) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=1.0)

        events = await asyncio.gather(*[wait_for(workflow_id) for _ in range(50)])

        assert events == [{"status": "COMPLETED"}] * 50
        # At most one poll each 0.25 seconds, the first and the last beside.
        assert sandbox.counts.requests[STATUS_CALL] <= 8

    @pytest.mark.thorough
    async def test_each_who_waits_has_a_deadline_of_its_own(self, sandbox: Sandbox) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=1.5)

        late, early = await asyncio.gather(wait_for(workflow_id), wait_for(workflow_id, deadline=now() + 0.5))

        assert early == {"status": "RUNNING", "timed_out": True}
        assert late == {"status": "COMPLETED"}

    @pytest.mark.thorough
    async def test_polls_that_are_due_together_go_out_together(self, sandbox: Sandbox) -> None:
        ids = workflows(sandbox, 20, seconds=600)
        releases = 0
        queue = shared_poller()._queue
        release = queue._release

        def counting() -> None:
            nonlocal releases
            releases += 1
            release()

        queue._release = counting
        schedule = PollSchedule(0.5, 0.5)

        tasks = []
        for workflow_id in ids:
            tasks.append(asyncio.ensure_future(wait_for(workflow_id, schedule=schedule)))
            await asyncio.sleep(0.011)
        releases = 0
        sandbox.counts.reset()
        await until(lambda: sandbox.counts.requests[STATUS_CALL] >= 3 * len(ids))
        await end(tasks)

        assert releases <= sandbox.counts.requests[STATUS_CALL] / 5


async def end(tasks: list[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TestLife:
    async def test_closes_its_connections_when_the_last_one_has_left(self, sandbox: Sandbox) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=600)
        task = asyncio.ensure_future(wait_for(workflow_id))
        await until(lambda: sandbox.counts.requests[STATUS_CALL])
        poller = shared_poller()
        client = poller._connection.client
        assert client is not None
        assert client._http._session is not None

        await end([task])
        await until(lambda: client._http._session is None)

        assert shared_poller() is not poller

    async def test_begins_anew_after_it_has_closed(self, sandbox: Sandbox) -> None:
        first, second = workflows(sandbox, 2, seconds=0.0)

        assert await wait_for(first) == {"status": "COMPLETED"}
        assert await wait_for(second) == {"status": "COMPLETED"}

    @pytest.mark.thorough
    async def test_does_nothing_for_a_waiting_run_between_its_polls(self, sandbox: Sandbox) -> None:
        ids = workflows(sandbox, 50, seconds=600)
        tasks = [asyncio.ensure_future(wait_for(one, schedule=PollSchedule(60, 60))) for one in ids]

        await until(lambda: sandbox.counts.requests[STATUS_CALL] >= 50)
        await asyncio.sleep(1)
        seen = sandbox.counts.requests[STATUS_CALL]
        await end(tasks)

        assert seen == 50

    async def test_logs_outside_of_the_first_trigger_s_context(
        self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody's")
        contexts: list[str] = []

        class CompletionWriter(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                contexts.append(whose.get())

        handler = CompletionWriter()
        logging.getLogger(poller_module.__name__).addHandler(handler)
        (workflow_id,) = workflows(sandbox, 1, seconds=0.5)
        sandbox.fault("cut_before", times=1, path="/workflows/{workflowId}")
        whose.set("the first trigger's")

        await wait_for(workflow_id)

        logging.getLogger(poller_module.__name__).removeHandler(handler)
        assert contexts
        assert set(contexts) == {"nobody's"}


class TestTrouble:
    @pytest.mark.parametrize(
        "fault",
        [
            {"name": "cut_before"},
            {"name": "cut_during"},
            {"name": "server_error", "status": 500},
            {"name": "server_error", "status": 503, "form": "html"},
            {"name": "rate_limited", "retry_after": 0},
            {"name": "html_ok"},
            {"name": "truncated_json"},
            {"name": "missing_fields"},
            {"name": "redirect"},
            {"name": "unauthorized"},
        ],
        ids=lambda fault: "-".join(map(str, fault.values())),
    )
    async def test_is_waited_out(self, sandbox: Sandbox, fault: dict[str, Any]) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=0.0)
        sandbox.fault(**fault, times=3, path="/workflows/{workflowId}")

        assert await wait_for(workflow_id) == {"status": "COMPLETED"}

    @pytest.mark.thorough
    async def test_of_a_service_that_is_away_is_waited_out(self, sandbox: Sandbox) -> None:
        ids = workflows(sandbox, 20, seconds=0.5)
        tasks = [asyncio.ensure_future(wait_for(one)) for one in ids]
        await asyncio.sleep(0.2)

        await asyncio.to_thread(sandbox.stop)
        await asyncio.sleep(1)
        await asyncio.to_thread(sandbox.start)

        assert await asyncio.gather(*tasks) == [{"status": "COMPLETED"}] * 20

    async def test_ends_the_wait_when_the_budget_is_used_up(self, sandbox: Sandbox) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=600)
        sandbox.fault("server_error", status=500)

        event = await wait_for(workflow_id, max_outage=0.5)

        assert event["error"]["kind"] == "ServiceUnavailable"  # type: ignore[index]
        assert event["error"]["fingerprint"]  # type: ignore[index]

    @pytest.mark.thorough
    async def test_is_told_once_a_minute_with_the_reason_and_until_when_it_is_waited_out(
        self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        ids = workflows(sandbox, 50, seconds=600)
        sandbox.fault("server_error", status=503, path="/workflows/{workflowId}")
        begun = now()

        tasks = [asyncio.ensure_future(wait_for(one, max_outage=3600)) for one in ids]
        await until(lambda: sandbox.counts.requests[STATUS_CALL] > 100)
        await end(tasks)

        (line,) = [text for text in caplog.messages if "1 poll has failed" in text]
        assert "SERVICE_UNAVAILABLE" in line
        until_when = dt.datetime.fromisoformat(re.search(r"ends at (.+) UTC", line)[1] + "+00:00")  # type: ignore[index]
        assert begun + 3599 <= until_when.timestamp() <= now() + 3600

    @pytest.mark.parametrize(
        ("prepare", "kind"),
        [
            (lambda _: None, "NotFound"),
            (lambda box: box.fault("forbidden", path="/workflows/{workflowId}"), "PermissionDenied"),
        ],
    )
    async def test_that_is_permanent_ends_the_wait_at_once(
        self, sandbox: Sandbox, prepare: Any, kind: str
    ) -> None:
        prepare(sandbox)

        event = await wait_for(DEFINITION)

        assert event["error"]["kind"] == kind  # type: ignore[index]
        assert sandbox.counts.requests[STATUS_CALL] == 1

    async def test_of_one_workflow_does_not_touch_the_others(self, sandbox: Sandbox) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=0.5)

        unknown, existing = await asyncio.gather(wait_for(DEFINITION), wait_for(workflow_id))

        assert "error" in unknown
        assert existing == {"status": "COMPLETED"}

    @pytest.mark.thorough
    async def test_429_slows_the_whole_poller(self, sandbox: Sandbox) -> None:
        ids = workflows(sandbox, 100, seconds=600)
        tasks = [asyncio.ensure_future(wait_for(one)) for one in ids]
        sandbox.fault("rate_limited", retry_after=30)
        # What was under way when the first refusal came ends first.
        await until(lambda: shared_poller().limiter.paused_until and not shared_poller()._working)
        sandbox.counts.reset()

        await asyncio.sleep(1)
        seen = sandbox.counts.requests[STATUS_CALL]
        await end(tasks)

        assert seen == 0

    @pytest.mark.thorough
    async def test_429_at_the_first_polls_stops_those_that_are_due_too(self, sandbox: Sandbox) -> None:
        ids = workflows(sandbox, 300, seconds=600)
        sandbox.fault("rate_limited", retry_after=30, path="/workflows/{workflowId}")
        tasks = [asyncio.ensure_future(wait_for(one)) for one in ids]

        await until(lambda: shared_poller().limiter.paused_until and not shared_poller()._working)
        await asyncio.sleep(1)
        seen = sandbox.counts.requests[STATUS_CALL]
        await end(tasks)

        assert 1 <= seen <= 32

    @pytest.mark.thorough
    async def test_a_wait_ends_at_its_deadline_while_429_keeps_the_poller_back(
        self, sandbox: Sandbox
    ) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=600)
        sandbox.fault("rate_limited", retry_after=3600)

        event = await wait_for(workflow_id, deadline=now() + 0.5)

        assert event["timed_out"]

    @pytest.mark.thorough
    async def test_a_wait_ends_at_its_deadline_while_a_poll_hangs(self, sandbox: Sandbox) -> None:
        (workflow_id,) = workflows(sandbox, 1, seconds=600)
        sandbox.fault("latency", seconds=20 / FastLoop.SPEED, path="/workflows/{workflowId}")

        event = await wait_for(workflow_id, deadline=now() + 0.5)

        assert event["timed_out"]

    async def test_that_is_a_mistake_in_code_ends_the_wait_at_once(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "read_workflow", lambda: None)

        event = await wait_for(DEFINITION)

        assert event["error"]["kind"] == "InternalError"  # type: ignore[index]
        assert "Polling workflow" in event["error"]["message"]  # type: ignore[index]
        assert "TypeError" in event["error"]["message"]  # type: ignore[index]

    async def test_that_is_a_mistake_in_the_lookup_of_the_connection_ends_the_wait_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(WorkflowsHook, "aget_settings", lambda: None)

        event = await wait_for(DEFINITION)

        assert event["error"]["kind"] == "InternalError"  # type: ignore[index]
        assert CONNECTION in event["error"]["message"]  # type: ignore[index]


class TestBounds:
    @pytest.mark.thorough
    async def test_no_more_polls_are_under_way_than_the_pool_has_connections(self, sandbox: Sandbox) -> None:
        ids = workflows(sandbox, 200, seconds=0.0)
        sandbox.fault("latency", seconds=0.1, path="/workflows/{workflowId}")

        await asyncio.gather(*map(wait_for, ids))

        assert sandbox.counts.total_connections <= 33

    @pytest.mark.thorough
    async def test_requests_per_second_are_capped_where_the_connection_says_so(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        capped = sandbox.connection | {"extra": {"requests_per_second": 20}}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(capped))
        ids = workflows(sandbox, 100, seconds=600)
        begun = now()
        tasks = [asyncio.ensure_future(wait_for(one)) for one in ids]

        await until(lambda: sandbox.counts.requests[STATUS_CALL] >= 40)
        seen, seconds = sandbox.counts.requests[STATUS_CALL], now() - begun
        await end(tasks)

        # Twenty a second, and what may go out together at either end.
        assert seen <= 20 * seconds + 10


class TestConnection:
    @pytest.mark.thorough
    @pytest.mark.parametrize("credentials", ["token", "key"])
    async def test_is_read_again_when_it_expires_so_that_a_rotated_secret_is_picked_up(
        self,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        lookups: collections.Counter[str],
        credentials: str,
    ) -> None:
        rotated = sandbox.connection if credentials == "token" else sandbox.connection_with_key
        monkeypatch.setenv(
            "AIRFLOW_CONN_WORKFLOWS_DEFAULT",
            json.dumps(rotated | {"password": f"{'tot_' * (credentials == 'token')}before-the-rotation"}),
        )
        (workflow_id,) = workflows(sandbox, 1, seconds=0.0)
        task = asyncio.ensure_future(wait_for(workflow_id))
        await until(lambda: lookups[CONNECTION] >= 2)
        assert not task.done()

        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(rotated))

        assert await task == {"status": "COMPLETED"}
        assert lookups[CONNECTION] >= 2

    @pytest.mark.thorough
    async def test_whose_key_is_rejected_is_read_and_sent_once_in_a_step_of_the_backoff(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, lookups: collections.Counter[str]
    ) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_WORKFLOWS_DEFAULT",
            json.dumps(sandbox.connection_with_key | {"password": "before-the-rotation"}),
        )
        ids = workflows(sandbox, 200, seconds=0.0)
        begun = asyncio.get_running_loop().time()
        tasks = [asyncio.ensure_future(wait_for(one)) for one in ids]

        await until(lambda: sandbox.counts.requests["POST /auth/authorize"] >= 4)
        read, sent = lookups[CONNECTION], sandbox.counts.requests["POST /auth/authorize"]
        # The steps end after 0.5, 1.5, 3.5, 7.5 seconds and so on.
        steps = math.floor(math.log2((asyncio.get_running_loop().time() - begun) / 0.5 + 1))
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(sandbox.connection_with_key))
        events = await asyncio.gather(*tasks)

        assert events == [{"status": "COMPLETED"}] * 200
        assert max(read, sent) <= 1 + steps

    @pytest.mark.thorough
    async def test_that_cannot_be_read_is_not_read_for_each_who_waits(
        self, monkeypatch: pytest.MonkeyPatch, lookups: collections.Counter[str]
    ) -> None:
        # As Airflow says when its API server could not be asked.
        monkeypatch.delenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT")
        tasks = [asyncio.ensure_future(wait_for(str(uuid.uuid4()))) for _ in range(200)]

        await asyncio.sleep(3)
        ended = [task for task in tasks if task.done()]
        await end(tasks)

        assert ended == []
        assert 1 <= lookups[CONNECTION] <= 3

    @pytest.mark.thorough
    async def test_that_is_gone_while_waiting_does_not_end_the_wait(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(polled_connection, "CONNECTION_CACHE_SECONDS", 0.1)
        (workflow_id,) = workflows(sandbox, 1, seconds=1.0)
        task = asyncio.ensure_future(wait_for(workflow_id))
        await asyncio.sleep(0.3)

        monkeypatch.delenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT")

        assert await task == {"status": "COMPLETED"}


@contextlib.contextmanager
def sandbox_of_its_own_process() -> Iterator[Settings]:
    """A sandbox that does not share this process's interpreter lock with the loop under test."""
    command = [sys.executable, "-m", "airflow_provider_workflows.sandbox", "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (url,) = re.findall(r"http://[0-9.:]+", process.stdout.readline())
        try:
            with Sandbox() as ours:
                yield dataclasses.replace(ours.settings, host=url)
        finally:
            process.terminate()


def make_faulty(url: str) -> None:
    """Have a sandbox fail a part of the polls of workflows."""
    for fault in ({"name": "server_error", "status": 500}, {"name": "cut_before"}):
        share = {"share": 0.03, "path": "/workflows/{workflowId}"}
        requests.post(f"{url}/_sandbox/faults", json=fault | share, timeout=10).raise_for_status()


async def runs_of(settings: Settings, number: int) -> list[str]:
    """Start runs that complete after two seconds, and return their ids."""
    async with AsyncWorkflowsClient(settings) as client:
        case_id = (await client.create_case()).case_id
        runs = await asyncio.gather(*[client.run_workflow(DEFINITION, case_id) for _ in range(number)])
    return [run.id for run in runs]


class TestLoop:
    """Nothing holds the loop longer than Airflow's own threshold."""

    LOOP = asyncio.new_event_loop
    THRESHOLD_SECONDS = 0.2

    @pytest.fixture
    def held(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The callbacks that held the loop longer than the threshold, in CPU time or in a blocking call.

        One that was only kept waiting for a core is not among them: a call that blocks gives up the core of
        its own will, which the kernel counts.
        """
        slow: list[str] = []
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_THREAD)
            run(handle)
            wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_THREAD)
            if wall <= self.THRESHOLD_SECONDS:
                return
            cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            if cpu > self.THRESHOLD_SECONDS or after.ru_nvcsw > before.ru_nvcsw:
                slow.append(f"{wall:.2f} s, of which {cpu:.2f} s of CPU: {handle!r}")

        monkeypatch.setattr(asyncio.Handle, "_run", timed)
        return slow

    @pytest.mark.thorough
    async def test_under_load_nothing_holds_it(
        self, held: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with sandbox_of_its_own_process() as settings:
            connection = {"conn_type": "workflows", "host": settings.host, "login": settings.key}
            monkeypatch.setenv(
                "AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection | {"password": settings.secret})
            )
            await asyncio.to_thread(make_faulty, settings.host)
            # Another process may take the core at any moment: what the poller itself does, it does each time.
            for _ in range(3):
                ids = await runs_of(settings, 2000)
                # The test suite's own objects are no concern of a collection of garbage in a triggerer.
                gc.collect()
                gc.freeze()
                # The step that has collected ends here, and is not one of the poller's.
                await asyncio.sleep(0)
                held.clear()
                events = await asyncio.gather(*map(wait_for, ids))
                if not held:
                    break

        assert {event["status"] for event in events} == {"COMPLETED"}
        assert held == []

    @pytest.mark.thorough
    @pytest.mark.parametrize("planted", [time.sleep, lambda seconds: sum(range(int(seconds * 10**8)))])
    async def test_one_that_is_planted_is_found(self, held: list[str], planted: Any) -> None:
        asyncio.get_running_loop().call_soon(planted, 0.3)

        await asyncio.sleep(0.05)

        assert len(held) == 1
