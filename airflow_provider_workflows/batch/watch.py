"""Wait for all runs of a batch, and write down in the batch's journal what has ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.polling import PollSchedule, Wait
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.batch.inbox import InboxReader
from airflow_provider_workflows.batch.journal import Entry, Journal
from airflow_provider_workflows.batch.output_options import DEFAULT_OUTPUT
from airflow_provider_workflows.batch.overdue_rows import OVERDUE_ADVICE
from airflow_provider_workflows.batch.problem_rows import ProblemsOnTheWay
from airflow_provider_workflows.batch.progress import BatchProgress, Measured, Publish
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.row_state import RowState, error_fields
from airflow_provider_workflows.batch.run_poller import Event, RunPoller, WaiterT
from airflow_provider_workflows.batch.watched_rows import WatchedRows
from airflow_provider_workflows.storage import shown
from airflow_provider_workflows.storage_retry import failure_reason

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.storage import ObjectStoragePath

#: Runs that have ended are written down once in this many seconds: those that a killed process had not yet written
#: are polled again.
WRITE_SECONDS = 5.0
#: The inbox is read once in this many seconds.
INBOX_READ_SECONDS = 2.0
#: This many waits begin before others on the event loop have their turn.
_WAITS_BEGUN_AT_ONCE = 200


@dataclass(slots=True)
class _RowWait(Wait):
    row: int = 0
    overdue_advice: ClassVar[str] = OVERDUE_ADVICE


class BatchWatch(Generic[WaiterT]):
    """Waits until every run of a batch has ended, or the deadline is reached.

    :param folder: where the batch keeps its state
    :param poller: polls the runs
    :param counts: rows by outcome, for those rows that have no run to wait for
    :param deadline: when to stop, in seconds since the epoch; None for never
    :param schedule: when each run is polled
    :param max_outage: seconds for which polls of a run may fail before the wait for it ends
    :param publish: takes a report that says something new
    :param log: the task's log
    :param report: what was reported last; None to read it from the state
    :param problems: lists the rows with something wrong; None to begin such a list beside the output
    :param output_options: how the output is written, and so a list that is begun
    :param inbox: returns an XCom of the batch's inbox by its key, where webhooks are used: then each run is polled
        once, and after that every ``max_poll_interval``, in case a webhook is lost
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        poller: RunPoller[WaiterT],
        *,
        counts: Mapping[str, int],
        deadline: float | None,
        schedule: PollSchedule,
        max_outage: float,
        publish: Publish,
        log: Any,
        report: BatchReport | None = None,
        problems: ProblemsOnTheWay | None = None,
        output_options: OutputOptions = DEFAULT_OUTPUT,
        inbox: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self._folder = folder
        self._poller = poller
        self._rows = WatchedRows(folder, counts, report, problems, output_options)
        #: Runs whose wait is still to begin.
        self._not_begun = 0
        self._deadline = deadline
        self._schedule = schedule if inbox is None else _slowest(schedule)
        self._inbox = None if inbox is None else InboxReader(inbox)
        self._max_outage = max_outage
        self._publish = publish
        self._log = log
        #: By the run's id: a service in error may give one to several rows.
        self._waiters: dict[str, tuple[WaiterT, ...]] = {}
        self._begun = False
        self._has_ended = False
        self._over = asyncio.Event()
        self._unwritten: list[Entry] = []
        self._journal = Journal(folder, log=log)
        #: Set at the end of the wait: what has ended is then written for the last time.
        self._last_write = asyncio.Event()

    async def run(self) -> Event:
        """Return the event that ends the wait: how many runs have ended, and how many go on.

        :raises Exception: if the batch's state cannot be read, or not be written for two minutes
        """
        try:
            with self._poller.kept():
                return await self._run()
        finally:
            # A thread that reads ends soon, if the wait was cancelled.
            self._has_ended = True

    async def _run(self) -> Event:
        running = await asyncio.to_thread(
            self._rows.read_running, self._poller.statuses, lambda: self._has_ended
        )
        self._not_begun = len(running)
        report = self._rows.begun_report(len(running))
        writing = asyncio.create_task(self._write_now_and_then())
        reading = asyncio.create_task(self._read_inbox())
        try:
            at_once = report.phase is not ReportPhase.WAITING
            async with BatchProgress(report, self._measure, self._publish, self._log, at_once=at_once):
                await self._begin(running)
                timed_out = not await self._until_over(writing)
            self._last_write.set()
            await writing
        finally:
            writing.cancel()
            reading.cancel()
            for waiter in chain.from_iterable(self._waiters.values()):
                self._poller.forget(waiter)
            await asyncio.to_thread(self._journal.close)
        return {"ended": self._rows.done, "running": self._waiting, "timed_out": timed_out}

    async def _begin(self, running: dict[int, RowState]) -> None:
        begun = 0
        while running:
            self._not_begun -= 1
            row, state = running.popitem()
            workflow_id, submitted_at = cast("str", state.workflow_id), cast("float", state.submitted_at)
            wait = _RowWait(
                workflow_id,
                submitted_at,
                None,
                self._schedule,
                self._max_outage,
                row=row,
                case_id=state.compared_case_id,
                record_id=state.compared_record_id,
            )
            waiter = self._poller.watch(wait, self._ended)
            self._waiters[workflow_id] = (*self._waiters.get(workflow_id, ()), waiter)
            begun += 1
            if begun % _WAITS_BEGUN_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._begun = True
        self._see_whether_over()

    def _ended(self, wait: Wait, event: Event) -> None:
        row_wait = cast("_RowWait", wait)
        others = tuple(each for each in self._waiters.pop(wait.workflow_id) if each.wait is not wait)
        if others:
            self._waiters[wait.workflow_id] = others
        entry: dict[str, Any] = {
            "row": row_wait.row,
            "workflow_id": row_wait.workflow_id,
            "status": event.get("status"),
            "error": None,
        }
        goes_on = False
        if "error" in event:
            error = errors.error_from_json(cast("Mapping[str, Any]", event["error"]))
            # What keeps polls from succeeding says nothing about the run, which may go on.
            goes_on = error.concerns_every_call or error.is_retryable(under_way=True)
            entry["error"] = error_fields(error)
        if goes_on:
            self._rows.goes_on(row_wait.row, entry["error"])
        else:
            entry["ended_at"] = time.time()
            self._rows.ended(entry, row_wait, self._poller.statuses)
        self._unwritten.append(entry)
        self._see_whether_over()

    @property
    def _waiting(self) -> int:
        return sum(map(len, self._waiters.values()))

    def _see_whether_over(self) -> None:
        if self._begun and not self._waiters:
            self._over.set()

    async def _until_over(self, writing: asyncio.Task[None]) -> bool:
        """Return whether all runs have ended before the deadline."""
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
        is_last = False
        while not is_last:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._last_write.wait(), WRITE_SECONDS)
            is_last = self._last_write.is_set()
            await self._write()

    async def _read_inbox(self) -> None:
        failed = False
        while self._inbox is not None:
            await asyncio.sleep(INBOX_READ_SECONDS)
            try:
                completions = await self._inbox.new_completions()
            except Exception as error:  # noqa: BLE001  (polls find what webhooks would have brought)
                if not failed:
                    self._log.warning(
                        "The completions that webhooks have brought could not be read from the task's XCom: %s. "
                        "The batch polls its runs instead.",
                        type(error).__name__,
                    )
                failed = True
                continue
            for workflow_id, status in completions:
                for waiter in self._waiters.get(workflow_id, ()):
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

    async def _measure(self) -> Measured:
        running = self._not_begun + self._waiting
        poller = self._poller
        report = await self._rows.report_now(running, poller.statuses)
        report = self._rows.report = dataclasses.replace(
            report.at_phase(ReportPhase.WAITING, time.time()),
            outage=poller.outage,
            webhooks=self._inbox is not None,
        )
        return Measured(report, poller.last_poll_at, poller.next_poll_at)


def _slowest(schedule: PollSchedule) -> PollSchedule:
    return dataclasses.replace(schedule, poll_interval=schedule.max_poll_interval)


def unreadable_state(folder: str, error: Exception) -> errors.WorkflowsError:
    """Return the error of a batch whose state could not be read or written while its runs were waited for.

    :param folder: URI of where the batch keeps its state
    :param error: what was raised, of which the reason is named but not the text
    """
    if isinstance(error, errors.WorkflowsError):
        return error
    if errors.is_mistake(error):
        return errors.from_exception(error, "Waiting for the runs of the batch")
    advice = "The output must be in storage that workers and triggerers share. " * isinstance(
        error, FileNotFoundError
    )
    return errors.WorkflowsError(
        f"The batch's state in {shown(folder)} could not be read or written: "
        f"{failure_reason(error)}. {advice}The runs go on, and so does a retry.",
        retry=Retry.LATER,
    )
