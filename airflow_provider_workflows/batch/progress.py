"""How far a batch has come: a line in the task's log now and then, and a report for its page."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.report import DUE, BatchReport, ReportPhase
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.log_throttle import utc_time

if TYPE_CHECKING:
    from typing_extensions import Self

#: A report is published, and a line logged, once in this many seconds at most.
LINE_SECONDS = 10.0
#: While a batch waits, which takes hours, there is a line once in this many seconds if something has changed.
WAIT_LINE_SECONDS = 60.0
#: There is a line after this many seconds also if nothing has changed.
MAX_SILENT_SECONDS = 600.0

#: There is an estimate of the time left once this share of the rows is done that were not when the phase began:
#: the first rows are sent one by one, and tell nothing of the others.
MIN_SHARE_FOR_ESTIMATE = 0.05

#: A larger rate is logged as a whole number.
_RATE_WITHOUT_FRACTION = 10.0

#: What takes a report.
Publish = Callable[[BatchReport], Awaitable[None]]

_WORDS = {
    ReportPhase.SUBMITTING: "Submitting",
    ReportPhase.WAITING: "Waiting",
    ReportPhase.FETCHING: "Fetching results",
    ReportPhase.ENDED: "Ended",
}
#: What has become of the rows that a phase has dealt with (``BatchReport.done``), as its page says too.
DONE_WORDS = {
    ReportPhase.SUBMITTING: "submitted",
    ReportPhase.WAITING: "ended",
    ReportPhase.FETCHING: "written",
    ReportPhase.ENDED: "ended",
}
#: No run is polled before the last row is submitted: the calls of a second go to rows that have none.
_NOT_POLLED = " Runs are polled once the last row is submitted."
_LEFT_TO = {
    ReportPhase.SUBMITTING: "submit",
    ReportPhase.WAITING: "wait",
    ReportPhase.FETCHING: "write",
}


@dataclass(frozen=True)
class Measured:
    """Where a batch stands.

    :param report: with the counts of now
    :param last_poll_at: when the connection's runs were polled last, in seconds since the epoch
    :param next_poll_at: when the next poll is due, in seconds since the epoch
    """

    report: BatchReport
    last_poll_at: float | None = None
    next_poll_at: float | None = None


#: Returns where a batch stands, without blocking the event loop.
Measure = Callable[[], Awaitable[Measured]]


class BatchProgress:
    """Reports how far one phase of a batch has come, for as long as its ``async with`` block runs.

    :param report: what was reported last
    :param measure: returns where the batch stands
    :param publish: takes a report that says something new; if it fails, the batch goes on
    :param log: the task's log
    :param at_once: whether to publish a report as the phase begins
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        report: BatchReport,
        measure: Measure,
        publish: Publish,
        log: logging.Logger | Any,
        *,
        at_once: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = report
        self._measure = measure
        self._publish = publish
        self._log = log
        self._at_once = at_once
        self._clock = clock
        self._started = clock()
        self._done_before = 0
        self._published = True
        self._published_at = float("-inf")
        self._logged_at = float("-inf")
        self._logged: BatchReport | None = None
        self._over = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to report."""
        self._started = self._logged_at = self._clock()
        measured = await self._measure()
        self._done_before = measured.report.done
        self._logged = measured.report
        if self._at_once:
            await self._publish_now(measured.report)
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        ticking = self._ticking
        if ticking is not None and error is not None:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
        elif ticking is not None:
            # A report that is being made is not cut off in its midst.
            await ticking
        if error is None:
            await self._report(f" took {self._clock() - self._started:,.1f} s")

    async def _tick(self) -> None:
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._over.wait(), LINE_SECONDS)
            if self._over.is_set():
                return
            await self._report()

    async def _report(self, ended: str = "") -> None:
        measured = await self._measure()
        now = self._clock()
        seconds = max(now - self._started, 0.001)
        rows = measured.report.rows
        all_done = measured.report.done
        done = all_done - self._done_before
        rate = done / seconds
        is_telling = 0 < done >= MIN_SHARE_FOR_ESTIMATE * (rows - self._done_before)
        left = (rows - all_done) / rate if is_telling else None
        report = dataclasses.replace(
            measured.report,
            rows_per_second=round(rate, 2),
            expected_end=None if left is None else round(measured.report.at + left, 1),
        )
        if ended or self._is_line_due(report, now):
            self._logged, self._logged_at = report, now
            phase = report.phase
            is_soon_over = left is None or left < 1
            remaining = "" if ended or is_soon_over else f", about {left:,.0f} s left to {_LEFT_TO[phase]}"
            self._log.info(
                "%s%s: %s of %s %s; %s; %s a second%s.%s",
                _WORDS[phase],
                ended,
                f"{all_done:,}",
                counted(rows, "row"),
                DONE_WORDS[phase],
                counts_in_words(report.outcomes),
                f"{rate:,.0f}" if rate >= _RATE_WITHOUT_FRACTION else f"{rate:.1f}",
                remaining,
                "" if ended else _polls_in_words(measured),
            )
        if now - self._published_at >= LINE_SECONDS and report.has_changed_since(self._latest):
            await self._publish_now(report)

    def _is_line_due(self, report: BatchReport, now: float) -> bool:
        silent = now - self._logged_at
        if silent >= MAX_SILENT_SECONDS or self._logged is None:
            return True
        pause = WAIT_LINE_SECONDS if report.phase is ReportPhase.WAITING else LINE_SECONDS
        return silent >= pause and report.has_changed_since(self._logged)

    async def _publish_now(self, report: BatchReport) -> None:
        self._published_at = self._clock()
        try:
            await self._publish(report)
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a batch)
            if self._published:
                self._log.warning(
                    "The batch's report could not be written to the task's XCom: %s. The batch goes on, and its "
                    "page may be out of date.",
                    type(error).__name__,
                )
            self._published = False
        else:
            self._latest = report


def counts_in_words(outcomes: Any) -> str:
    """Return rows by outcome as a log line has them: ``412 succeeded, 8 running``.

    :param outcomes: number of rows by outcome
    """
    order = ["succeeded", "failed", "running", "result_missing", "not_submitted", "unknown", "skipped", DUE]
    in_order = {name: outcomes[name] for name in order if outcomes.get(name)}
    others = {name: number for name, number in outcomes.items() if number and name not in order}
    return ", ".join(f"{number:,} {name}" for name, number in {**in_order, **others}.items()) or "no rows yet"


def _polls_in_words(measured: Measured) -> str:
    if measured.report.phase is ReportPhase.SUBMITTING:
        return _NOT_POLLED
    if measured.last_poll_at is None and measured.next_poll_at is None:
        return ""
    last = "none yet" if measured.last_poll_at is None else utc_time(measured.last_poll_at)
    due = "none" if measured.next_poll_at is None else utc_time(measured.next_poll_at)
    return f" Last poll: {last}; next poll: {due}."
