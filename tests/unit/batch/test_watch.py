"""The trigger of a batch: one event for all runs, and what it has seen is written down."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows import storage_retry
from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.api.polling import PollSchedule, Wait
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch import watch as watch_module
from airflow_provider_workflows.batch.inbox import InboxSegment
from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.batch.report import BatchReport
from airflow_provider_workflows.batch.row_state import SUBMIT_AGAIN, RowOutcome, RowState
from airflow_provider_workflows.batch.watch import BatchWatch
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.storage_retry import failure_reason
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.triggers.poller import Poller
from airflow_provider_workflows.xcom_keys import INBOX_KEY
from tests.unit.batch_task import STATUS_CALL
from tests.unit.clocks import until
from tests.unit.failing_storage import STORAGE_ERRORS, FailingStore, attached_store

pytestmark = pytest.mark.sampled(2)

STATUS_PATH = "/workflows/{workflowId}"
DAY = 86400.0
FAILED, RUNNING, SUCCEEDED = RowOutcome.FAILED, RowOutcome.RUNNING, RowOutcome.SUCCEEDED


class Runs:
    """Runs of a batch that were submitted, and the state that its trigger reads."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.ids: list[str] = []
        self.journal = "journal-000001-aa.jsonl"

    def start(self, number: int, **definition: Any) -> list[str]:
        definition_id = self.sandbox.define(**definition)
        with self.sandbox.client() as client:
            case_id = client.create_case().case_id
            ids = [client.run_workflow(definition_id, case_id).id for _ in range(number)]
        self.add(ids)
        self.sandbox.counts.reset()
        return ids

    def add(self, ids: list[str]) -> None:
        self.write(
            {"row": row, "workflow_id": workflow_id, "submitted_at": time.time()}
            for row, workflow_id in enumerate(ids, len(self.ids) + 1)
        )
        self.ids += ids

    def write(self, entries: Any) -> None:
        with (self.folder / self.journal).open("a") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)

    def trigger(self, **arguments: Any) -> BatchStatusTrigger:
        often = {"poll_interval": 0.02, "max_poll_interval": 0.02}
        return BatchStatusTrigger(folder=str(self.folder), **often | arguments)

    async def event(self, **arguments: Any) -> dict[str, Any]:
        event = await anext(self.trigger(**arguments).run())
        payload: dict[str, Any] = json.loads(json.dumps(event.payload))
        return payload

    async def reported(self) -> BatchReport:
        """Wait in a worker, and return what is reported in the end."""
        published: list[BatchReport] = []

        async def publish(report: BatchReport) -> None:
            published.append(report)

        await BatchWatch(
            ObjectStoragePath(str(self.folder)),
            Poller.of("workflows_default"),
            counts={},
            deadline=None,
            schedule=PollSchedule(0.02, 0.02),
            max_outage=60.0,
            publish=publish,
            log=logging.getLogger(__name__),
        ).run()
        return published[-1]

    @property
    def states(self) -> dict[int, RowState]:
        return states(ObjectStoragePath(str(self.folder)))

    @property
    def outcomes(self) -> Counter[RowOutcome]:
        return Counter(state.outcome(Statuses()) for state in self.states.values())


@pytest.fixture
def runs(connected: Sandbox, short_pauses: None, tmp_path: Path) -> Runs:
    return Runs(connected, tmp_path)


@pytest.fixture
def often_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "WRITE_SECONDS", 0.02)


class TestEvent:
    @pytest.mark.thorough
    async def test_comes_once_all_have_ended_and_holds_counts_only(self, runs: Runs) -> None:
        runs.start(20, seconds=(0.0, 0.3))
        runs.start(10, seconds=0.0, status="EXPIRED")

        assert await runs.event() == {"ended": 30, "running": 0, "timed_out": False}
        assert runs.outcomes == {SUCCEEDED: 20, FAILED: 10}

    async def test_takes_one_poll_at_each_run_that_has_ended(self, runs: Runs, sandbox: Sandbox) -> None:
        runs.start(30, seconds=0.0)

        await runs.event()

        assert sandbox.counts.requests[STATUS_CALL] == 30

    @pytest.mark.thorough
    async def test_comes_at_the_deadline_with_the_runs_that_go_on(self, runs: Runs, sandbox: Sandbox) -> None:
        runs.start(3, seconds=0.0)
        runs.start(5, seconds=600)

        event = await runs.event(deadline=time.time() + 0.3, poll_interval=0.2, max_poll_interval=0.2)

        assert event == {"ended": 3, "running": 5, "timed_out": True}
        assert runs.outcomes == {SUCCEEDED: 3, RUNNING: 5}
        assert sandbox.counts.requests[STATUS_CALL] <= 3 + 5 * 3

    async def test_comes_at_once_where_there_is_nothing_to_wait_for(
        self, runs: Runs, sandbox: Sandbox
    ) -> None:
        runs.write([{"row": 1, "begun": "run"}, {"row": 2, "error": {}}])

        assert await runs.event() == {"ended": 0, "running": 0, "timed_out": False}
        assert sandbox.counts.total_requests == 0

    @pytest.mark.thorough
    async def test_is_not_sent_before_airflow_can_take_it(self, runs: Runs) -> None:
        runs.start(1, seconds=0.0)
        trigger = runs.trigger(not_before=time.time() + 0.4)
        trigger.task_instance = _Task()  # type: ignore[assignment]
        begun = time.time()

        await anext(trigger.run())

        assert time.time() - begun >= 0.4


class _Task:
    dag_id = task_id = run_id = "x"
    map_index = -1


class TestFailures:
    async def test_a_blip_is_waited_out(self, runs: Runs, sandbox: Sandbox) -> None:
        runs.start(5, seconds=0.0)
        sandbox.fault("server_error", status=500, form="html", path=STATUS_PATH, times=12)

        await runs.event()

        assert runs.outcomes == {SUCCEEDED: 5}
        assert all(state.error is None for state in runs.states.values())

    async def test_a_run_out_of_reach_for_too_long_counts_as_running_and_a_retry_goes_on(
        self, runs: Runs, sandbox: Sandbox
    ) -> None:
        runs.start(5, seconds=0.0)
        sandbox.fault("server_error", status=503, path=STATUS_PATH)

        assert await runs.event(max_outage=0.1) == {"ended": 5, "running": 0, "timed_out": False}
        assert runs.outcomes == {RUNNING: 5}
        assert {state.error["kind"] for state in runs.states.values() if state.error} == {
            "ServiceUnavailable"
        }

        sandbox.clear_faults()
        await runs.event()

        assert runs.outcomes == {SUCCEEDED: 5}
        assert all(state.error is None for state in runs.states.values())

    async def test_a_run_that_the_service_does_not_know_has_failed_after_one_poll(
        self, runs: Runs, sandbox: Sandbox
    ) -> None:
        runs.start(3, seconds=0.0)
        runs.add([str(uuid.uuid4())])

        await runs.event()

        assert runs.outcomes == {SUCCEEDED: 3, FAILED: 1}
        assert (runs.states[4].error or {})["kind"] == "NotFound"
        assert sandbox.counts.requests[STATUS_CALL] == 4

    async def test_one_that_has_failed_so_is_still_reported_as_failed_by_the_next_trigger(
        self, runs: Runs
    ) -> None:
        runs.start(2, seconds=0.0)
        runs.add([str(uuid.uuid4())])
        await runs.event()

        reported = await runs.reported()

        assert reported.rows == 3
        assert reported.outcomes == {"failed": 1, "succeeded": 2}
        assert reported.statuses == {"COMPLETED": 2}
        assert [(reason.rows, reason.examples) for reason in reported.reasons[FAILED]] == [(1, "3")]

    async def test_state_that_is_not_there_ends_the_wait_with_an_error(self, runs: Runs) -> None:
        runs.folder = runs.folder / "elsewhere"

        event = await runs.event()

        assert event["error"]["kind"] == "WorkflowsError"
        assert str(runs.folder) in event["error"]["message"]

    async def test_state_that_is_garbled_ends_the_wait_with_an_error(self, runs: Runs) -> None:
        (runs.folder / "journal-000001-aa.jsonl").write_text("garbage\n")

        assert "error" in await runs.event()

    async def test_state_that_cannot_be_written_ends_the_wait_with_an_error(
        self, runs: Runs, often_written: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs.start(1, seconds=0.0)
        runs.start(1, seconds=600)

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", refuse)
        monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.0)

        assert "OSError" in (await asyncio.wait_for(runs.event(), 10))["error"]["message"]


class TestFailingJournal:
    """A wait whose state is in an object store that fails for a while."""

    @pytest.fixture
    def store(
        self, runs: Runs, often_written: None, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[FailingStore]:
        monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(0.01, 0.01))
        with attached_store() as store:
            yield store

    def state_in_store(self, runs: Runs, store: FailingStore) -> None:
        """Move the state of the runs into the store."""
        store.pipe_file(f"/bucket/state/{runs.journal}", (runs.folder / runs.journal).read_bytes())
        runs.folder = "s3://bucket/state"  # type: ignore[assignment]

    @pytest.mark.parametrize("error", [error for error, _ in STORAGE_ERRORS], ids=failure_reason)
    async def test_fails_nothing_and_what_has_ended_is_written_once_it_can_be(
        self, runs: Runs, sandbox: Sandbox, store: FailingStore, error: Exception
    ) -> None:
        runs.start(10, seconds=0.0)
        self.state_in_store(runs, store)
        store.fail(error)

        waiting = asyncio.create_task(runs.event())
        await until(lambda: store.failed > 5)
        store.away.clear()

        assert await waiting == {"ended": 10, "running": 0, "timed_out": False}
        assert runs.outcomes == {SUCCEEDED: 10}
        assert sandbox.counts.requests[STATUS_CALL] == 10

    @pytest.mark.thorough
    async def test_that_fails_while_runs_go_on_keeps_what_has_ended_in_order(
        self, runs: Runs, sandbox: Sandbox, store: FailingStore
    ) -> None:
        runs.start(10, seconds=0.0)
        runs.start(5, seconds=0.5)
        self.state_in_store(runs, store)
        store.fail(OSError(5, "Input/output error"), times=5)

        assert await runs.event() == {"ended": 15, "running": 0, "timed_out": False}
        assert runs.outcomes == {SUCCEEDED: 15}

    @pytest.mark.parametrize(("error", "reason"), STORAGE_ERRORS)
    async def test_for_too_long_ends_the_wait_with_the_reason_and_a_retry_goes_on(
        self,
        runs: Runs,
        store: FailingStore,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        reason: str,
    ) -> None:
        monkeypatch.setattr(storage_retry, "MAX_STORAGE_OUTAGE_SECONDS", 0.1)
        runs.start(3, seconds=0.0)
        self.state_in_store(runs, store)
        store.fail(error)

        failed = (await runs.event())["error"]
        store.away.clear()

        assert f"could not be read or written: {reason}." in failed["message"]
        assert "hunter2" not in failed["message"]
        assert failed["retry"] == "later"
        assert await runs.event() == {"ended": 3, "running": 0, "timed_out": False}
        assert runs.outcomes == {SUCCEEDED: 3}

    @pytest.mark.thorough
    async def test_does_not_block_the_event_loop(
        self, runs: Runs, store: FailingStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage_retry, "BACKOFF", Backoff(3600.0, 3600.0))
        runs.start(3, seconds=0.0)
        self.state_in_store(runs, store)
        store.fail(OSError(5, "Input/output error"))
        waiting = asyncio.create_task(runs.event())
        await until(lambda: store.failed)

        # The pause before the next attempt takes an hour.
        for _ in range(1000):
            await asyncio.sleep(0)

        assert store.failed == 1
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


class TestTakingOver:
    async def killed(self, runs: Runs, *, once: Callable[[], bool]) -> None:
        """Have a trigger that is cancelled once a condition holds, as when its triggerer ends."""
        waiting = asyncio.create_task(runs.event())
        await until(once)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    @pytest.mark.thorough
    async def test_what_has_ended_and_was_written_is_not_polled_again(
        self, runs: Runs, sandbox: Sandbox, often_written: None
    ) -> None:
        ended = runs.start(10, seconds=0.0)
        going_on = runs.start(5, seconds=0.6)
        await self.killed(runs, once=lambda: runs.outcomes == {SUCCEEDED: 10, RUNNING: 5})
        assert runs.outcomes == {SUCCEEDED: 10, RUNNING: 5}
        sandbox.counts.reset()

        assert await runs.event() == {"ended": 15, "running": 0, "timed_out": False}

        polled = {seen.path.removeprefix("/workflows/") for seen in sandbox.requests_seen}
        assert polled == set(going_on)
        assert not polled & set(ended)
        assert runs.outcomes == {SUCCEEDED: 15}

    @pytest.mark.thorough
    async def test_what_was_not_yet_written_is_polled_again(self, runs: Runs, sandbox: Sandbox) -> None:
        runs.start(10, seconds=0.0)
        runs.start(1, seconds=0.5)
        await self.killed(runs, once=lambda: sandbox.counts.requests[STATUS_CALL] > 11)
        assert runs.outcomes == {RUNNING: 11}

        assert await runs.event() == {"ended": 11, "running": 0, "timed_out": False}
        assert runs.outcomes == {SUCCEEDED: 11}

    @pytest.mark.thorough
    async def test_two_triggers_at_once_come_to_the_same(self, runs: Runs) -> None:
        runs.start(10, seconds=0.2)

        assert (
            await asyncio.gather(runs.event(), runs.event())
            == [{"ended": 10, "running": 0, "timed_out": False}] * 2
        )
        assert runs.outcomes == {SUCCEEDED: 10}

    async def test_a_row_that_was_submitted_again_is_waited_for_by_its_new_run(
        self, runs: Runs, sandbox: Sandbox
    ) -> None:
        before = runs.start(1, seconds=0.0, status="FAILED")
        await runs.event()
        runs.journal = "journal-000009-aa.jsonl"
        runs.write([{"row": 1, **SUBMIT_AGAIN}])
        runs.ids.clear()
        again = runs.start(1, seconds=0.0)

        assert await runs.event() == {"ended": 1, "running": 0, "timed_out": False}
        assert [seen.path for seen in sandbox.requests_seen] == [f"/workflows/{again[0]}"]
        assert again != before
        assert runs.outcomes == {SUCCEEDED: 1}


@pytest.mark.thorough
async def test_others_have_their_turn_while_many_waits_begin(runs: Runs) -> None:
    runs.add([str(uuid.uuid4()) for _ in range(20_000)])
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    await asyncio.sleep(0)
    counting = asyncio.create_task(other())
    event = await runs.event(deadline=0.0)
    counting.cancel()

    assert event["timed_out"]
    assert turns >= 20_000 / watch_module._WAITS_BEGUN_AT_ONCE


async def test_runs_whose_completions_are_in_the_inbox_end_without_a_poll(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "INBOX_READ_SECONDS", 0.02)
    ids = runs.start(3, seconds=60.0)
    foreign = InboxSegment().after({f"foreign {number}": "COMPLETED" for number in range(20)})
    inbox = foreign.after({ids[0]: "COMPLETED", ids[1]: "FAILED"})
    xcoms = {foreign.key: foreign.to_json(), INBOX_KEY: inbox.to_json()}

    async def read(key: str) -> object:
        if key == INBOX_KEY and runs.outcomes[SUCCEEDED]:
            return inbox.after({ids[2]: "COMPLETED"}).to_json()
        return xcoms[key]

    async def publish(_: BatchReport) -> None:
        pass

    monkeypatch.setattr(watch_module, "WRITE_SECONDS", 0.02)
    event = await BatchWatch(
        ObjectStoragePath(str(runs.folder)),
        Poller.of("workflows_default"),
        counts={},
        deadline=None,
        schedule=PollSchedule(60.0, 60.0),
        max_outage=60.0,
        publish=publish,
        log=logging.getLogger(__name__),
        inbox=read,
    ).run()

    assert event == {"ended": 3, "running": 0, "timed_out": False}
    assert runs.outcomes == {SUCCEEDED: 2, FAILED: 1}
    assert runs.sandbox.counts.requests[STATUS_CALL] <= 3


async def test_polls_beside_webhooks_become_fewer_too_of_a_run_with_an_expiry(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Wait] = []
    watch = Poller.watch

    def noting(self: Poller, wait: Wait, on_end: Any) -> Any:
        waits.append(wait)
        return watch(self, wait, on_end)

    async def read(_: str) -> object:
        return InboxSegment().to_json()

    async def publish(_: BatchReport) -> None:
        pass

    monkeypatch.setattr(Poller, "watch", noting)
    runs.start(1, seconds=0.0)
    await BatchWatch(
        ObjectStoragePath(str(runs.folder)),
        Poller.of("workflows_default"),
        counts={},
        deadline=None,
        schedule=PollSchedule(5.0, 300.0, slows_down=True),
        max_outage=60.0,
        publish=publish,
        log=logging.getLogger(__name__),
        inbox=read,
    ).run()

    wait = waits[-1]
    wait.expires_at = wait.started + 30 * DAY
    assert [wait.pause(wait.started + days * DAY) for days in (0, 1, 7)] == pytest.approx(
        [300, 300, 2100], rel=0.11
    )
