"""Waiting for all runs of a batch: on the shared poller, with what has ended written to the batch's journal."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.polling import PollSchedule, Wait, is_retryable
from airflow_provider_workflows.batch.inbox import new_completions
from airflow_provider_workflows.batch.journal import Entry, Journal, entries
from airflow_provider_workflows.batch.progress import BatchProgress, Counts
from airflow_provider_workflows.batch.row_state import OUTCOMES, RowOutcome
from airflow_provider_workflows.batch.submit import error_fields
from airflow_provider_workflows.triggers.poller import Event, Poller, Waiter

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: What has ended is written down once in so many seconds: a triggerer that is killed looks at those again.
WRITE_SECONDS = 5.0
#: What webhooks have told is read once in so many seconds.
INBOX_READ_SECONDS = 2.0
#: So many waits begin before others on the event loop have their turn.
_BEGIN_AT_ONCE = 200


@dataclass(slots=True)
class _RowWait(Wait):
    row: int = 0


def _slow(schedule: PollSchedule) -> PollSchedule:
    return PollSchedule(schedule.max_poll_interval, schedule.max_poll_interval)


class BatchWatch:
    """Waits until every run of a batch has ended, or the deadline is reached.

    :param folder: where the batch keeps its state
    :param workflows_conn_id: id of the connection
    :param counts: rows by outcome that there is nothing to wait for
    :param deadline: when to stop, in seconds since the epoch; None for never
    :param schedule: when each run is polled
    :param max_outage: seconds for which failing polls a run are borne
    :param publish: takes what a page shows
    :param log: the task's log
    :param inbox: reads what webhooks have told of the batch, where there are any: then each run is polled once,
        and after that every ``max_poll_interval``, in case a webhook is lost
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        workflows_conn_id: str,
        *,
        counts: Mapping[str, int],
        deadline: float | None,
        schedule: PollSchedule,
        max_outage: float,
        publish: Callable[[dict[str, Any]], Awaitable[None]],
        log: Any,
        inbox: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._folder = folder
        self._workflows_conn_id = workflows_conn_id
        self._others = Counter({RowOutcome(name): number for name, number in counts.items()})
        self._statuses: Counter[str] = Counter()
        self._errors: Counter[RowOutcome] = Counter()
        self._deadline = deadline
        self._schedule_of_polls = schedule if inbox is None else _slow(schedule)
        self._inbox = inbox
        self._error_budget = max_outage
        self._publish = publish
        self._log = log
        self._waiters: dict[str, Waiter] = {}
        self._begun = False
        self._over = asyncio.Event()
        self._unwritten: list[Entry] = []
        self._journal = Journal(folder)

    async def run(self) -> Event:
        """Return the event that ends the wait: how many runs have ended, and how many go on.

        :raises OSError: when the batch's state could not be read or written
        """
        with Poller.of(self._workflows_conn_id).kept() as self._poller:
            return await self._run()

    async def _run(self) -> Event:
        running = await asyncio.to_thread(self._running)
        rows = len(running) + self._done
        writing = asyncio.create_task(self._write_now_and_then())
        reading = asyncio.create_task(self._read_inbox())
        try:
            async with BatchProgress("Waiting", rows, self._counts, self._publish, self._log):
                await self._begin(running)
                timed_out = not await self._until_over(writing)
            await self._write()
        finally:
            writing.cancel()
            reading.cancel()
            for waiter in self._waiters.values():
                self._poller.forget(waiter)
            await asyncio.to_thread(self._journal.close)
        return {"ended": self._done, "running": len(self._waiters), "timed_out": timed_out}

    def _running(self) -> dict[int, tuple[str, float]]:
        """Return the id and the start of each run that goes on, by row, and count those that ended before."""
        running: dict[int, tuple[str, float]] = {}
        ended: dict[int, str | None] = {}
        for entry in entries(self._folder):
            row = entry["row"]
            if (workflow_id := entry.get("workflow_id")) is not None:
                running[row] = (workflow_id, entry["submitted_at"])
                ended.pop(row, None)
            elif entry.get("ended_at") is not None:
                running.pop(row, None)
                ended[row] = entry["status"]
            elif "workflow_id" in entry:
                running.pop(row, None)
                ended.pop(row, None)
        self._statuses.update(status for status in ended.values() if status is not None)
        # The service did not know the run, or refused to tell.
        self._errors[RowOutcome.FAILED] = sum(1 for status in ended.values() if status is None)
        return running

    async def _begin(self, running: dict[int, tuple[str, float]]) -> None:
        number = 0
        while running:
            row, (workflow_id, submitted_at) = running.popitem()
            wait = _RowWait(
                workflow_id, submitted_at, None, self._schedule_of_polls, self._error_budget, row=row
            )
            self._waiters[workflow_id] = self._poller.watch(wait, self._ended)
            number += 1
            if number % _BEGIN_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._begun = True
        self._see_whether_over()

    def _ended(self, wait: Wait, event: Event) -> None:
        assert isinstance(wait, _RowWait)  # noqa: S101  (what was given to the poller)
        del self._waiters[wait.workflow_id]
        entry: dict[str, Any] = {"row": wait.row, "status": event.get("status"), "error": None}
        if isinstance(told := event.get("error"), Mapping):
            error = errors.error_from_json(told)
            entry["error"] = error_fields(error)
        if told is None:
            self._statuses[wait.status] += 1
        else:
            self._errors[RowOutcome.RUNNING if is_retryable(error) else RowOutcome.FAILED] += 1
        if told is None or not is_retryable(error):
            entry["ended_at"] = time.time()
        self._unwritten.append(entry)
        self._see_whether_over()

    def _see_whether_over(self) -> None:
        if self._begun and not self._waiters:
            self._over.set()

    async def _until_over(self, writing: asyncio.Task[None]) -> bool:
        """Return whether all has ended before the deadline."""
        over = asyncio.create_task(self._over.wait())
        seconds = None if self._deadline is None else max(0.0, self._deadline - time.time())
        try:
            await asyncio.wait((over, writing), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
            return over.done()
        finally:
            over.cancel()

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write()

    async def _read_inbox(self) -> None:
        latest, failed = 0, False
        while self._inbox is not None:
            await asyncio.sleep(INBOX_READ_SECONDS)
            try:
                inbox = await self._inbox()
            except Exception as error:  # noqa: BLE001  (what webhooks would have told, looks will)
                if not failed:
                    self._log.warning("What webhooks tell could not be read: %s", type(error).__name__)
                failed = True
                continue
            for number, workflow_id, status in new_completions(inbox, latest):
                latest = number
                if (waiter := self._waiters.get(workflow_id)) is not None:
                    event = waiter.wait.record_status(status, self._poller.statuses, time.time())
                    if event is not None:
                        self._poller.forget(waiter)
                        self._ended(waiter.wait, event)

    async def _write(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        if unwritten:
            for entry in unwritten[:-1]:
                self._journal.note(entry)
            await self._journal.record(unwritten[-1])

    @property
    def _done(self) -> int:
        return sum(self._statuses.values()) + sum(self._errors.values())

    def _counts(self) -> Counts:
        outcomes = self._others + self._errors
        outcomes[RowOutcome.RUNNING] += len(self._waiters)
        statuses = self._poller.statuses
        for status, number in self._statuses.items():
            outcomes[OUTCOMES[statuses.outcome(status)]] += number
        return Counts(self._done, outcomes, self._statuses)
