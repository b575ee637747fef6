"""The progress of a batch: what counts as done, and when there is an estimate of the time left.

The lines are tested on a loop of virtual time: what is ten seconds there takes none.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
from collections import Counter
from typing import Any

import pytest

from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.batch.progress import (
    LINE_SECONDS,
    MAX_SILENT_SECONDS,
    WAIT_LINE_SECONDS,
    BatchProgress,
    Measured,
)
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.tally import Tally
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import CASE_CALL, cases
from tests.unit.clocks import VirtualTimeLoop, until

from .submitting import Rows

log = logging.getLogger(__name__)


class TestEstimate:
    LOOP = VirtualTimeLoop

    @pytest.mark.parametrize(
        ("rows", "done_before", "done", "seconds_left"),
        [
            (1000, 0, 0, None),
            (1000, 0, 49, None),
            (1000, 0, 50, 190),
            # Of those that were not done when the phase began.
            (1000, 900, 904, None),
            (1000, 900, 905, 190),
        ],
    )
    async def test_comes_once_a_share_of_the_rows_is_done(
        self,
        caplog: pytest.LogCaptureFixture,
        rows: int,
        done_before: int,
        done: int,
        seconds_left: int | None,
    ) -> None:
        caplog.set_level(logging.INFO)
        loop = asyncio.get_running_loop()
        batch = Reported(rows, done_before, clock=loop.time)
        async with batch.progress():
            batch.done = done
            await asyncio.sleep(LINE_SECONDS + 1)
            lines = [record.getMessage() for record in caplog.records]
            shown = batch.published[-1]

        left = None if shown.expected_end is None else round(shown.expected_end - shown.at)
        assert left == seconds_left
        assert all((f"about {seconds_left} s left" in line) == (seconds_left is not None) for line in lines)
        assert [f"{done:,} of {rows:,} rows submitted" in line for line in lines] == [True] * (
            done > done_before
        )

    async def test_is_left_out_once_nothing_is_left(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        batch = Reported(100, clock=asyncio.get_running_loop().time)
        async with batch.progress():
            batch.done = 100
            await asyncio.sleep(LINE_SECONDS + 1)
            lines = [record.getMessage() for record in caplog.records]

        assert ["100 of 100 rows submitted" in line for line in lines] == [True]
        assert " left to submit" not in lines[0]


class Reported:
    """A batch that says how many of its rows are done, and keeps what is published."""

    def __init__(
        self, rows: int, done: int = 0, phase: ReportPhase = ReportPhase.SUBMITTING, **progress: Any
    ):
        self.report = dataclasses.replace(BatchReport.begun("", 0.0).at_phase(phase, 0.0), rows=rows)
        self.done = done
        self.published: list[BatchReport] = []
        self.at: list[float] = []
        self._progress = progress

    def progress(self, **arguments: Any) -> BatchProgress:
        return BatchProgress(self.report, self._measure, self._publish, log, **self._progress | arguments)

    async def _measure(self) -> Measured:
        open_rows = "running" if self.report.phase is ReportPhase.WAITING else "due"
        outcomes = {"succeeded": self.done, open_rows: self.report.rows - self.done}
        now = asyncio.get_running_loop().time()
        return Measured(
            dataclasses.replace(self.report, outcomes=outcomes, written=self.done, at=now),
        )

    async def _publish(self, report: BatchReport) -> None:
        self.published.append(report)
        self.at.append(asyncio.get_running_loop().time())


class TestWords:
    LOOP = VirtualTimeLoop

    @pytest.mark.parametrize(
        ("phase", "words"),
        [
            (ReportPhase.SUBMITTING, "Submitting: 30 of 100 rows submitted; 30 succeeded, 70 due"),
            (ReportPhase.WAITING, "Waiting: 30 of 100 rows ended; 30 succeeded, 70 running"),
            (ReportPhase.FETCHING, "Fetching results: 30 of 100 rows written; 30 succeeded"),
        ],
    )
    async def test_a_line_says_what_the_phase_has_done_of_all_rows(
        self, caplog: pytest.LogCaptureFixture, phase: ReportPhase, words: str
    ) -> None:
        caplog.set_level(logging.INFO)
        batch = Reported(100, phase=phase, clock=asyncio.get_running_loop().time)
        async with batch.progress():
            batch.done = 30
            await asyncio.sleep(WAIT_LINE_SECONDS + LINE_SECONDS)
            line = caplog.records[0].getMessage()

        assert line.startswith(words)

    async def test_a_line_while_rows_are_submitted_says_that_none_is_polled_yet(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        batch = Reported(100, clock=asyncio.get_running_loop().time)
        async with batch.progress():
            batch.done = 30
            await asyncio.sleep(LINE_SECONDS + 1)
            line = caplog.records[0].getMessage()

        assert line.endswith("Runs are polled once the last row is submitted.")


class TestWait:
    LOOP = VirtualTimeLoop

    async def test_publishes_once_in_ten_seconds_at_most_and_nothing_if_nothing_has_changed(self) -> None:
        loop = asyncio.get_running_loop()
        batch = Reported(10_000, phase=ReportPhase.WAITING, clock=loop.time)
        async with batch.progress(at_once=False):
            for _ in range(300):
                await asyncio.sleep(0.5)
                batch.done += 1
            published = len(batch.published)
            await asyncio.sleep(5000)
            still_published = len(batch.published)
        pauses = [later - earlier for earlier, later in itertools.pairwise(batch.at)]

        assert published >= 10
        assert min(pauses) >= LINE_SECONDS
        assert still_published <= published + 1
        assert len(batch.published) == still_published

    async def test_logs_a_line_in_ten_minutes_though_nothing_changes(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        loop = asyncio.get_running_loop()
        async with Reported(100, phase=ReportPhase.WAITING, clock=loop.time).progress(at_once=False):
            await asyncio.sleep(6 * MAX_SILENT_SECONDS + 5)
            lines = len(caplog.records)

        assert lines == 6

    async def test_goes_on_where_a_report_cannot_be_published(self, caplog: pytest.LogCaptureFixture) -> None:
        loop = asyncio.get_running_loop()
        batch = Reported(100, clock=loop.time)

        async def publish(_: BatchReport) -> None:
            raise ConnectionError("a value of a person")

        batch._publish = publish  # type: ignore[method-assign]
        async with batch.progress():
            for _ in range(5):
                batch.done += 1
                await asyncio.sleep(LINE_SECONDS)

        (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert "ConnectionError" in warning
        assert "person" not in warning


def _outcomes(rows: Rows) -> Counter[RowOutcome]:
    return Tally.of(0.0, rows.submission.dealt_with(), Statuses()).outcomes(Statuses())


class TestRowsDone:
    @pytest.mark.parametrize(
        "fault",
        [
            {"name": "latency", "seconds": 3600},
            {"name": "rate_limited", "retry_after": 3600},
            {"name": "server_error", "status": 503},
        ],
        ids=["under way", "kept back", "waits for another attempt"],
    )
    @pytest.mark.parametrize("path", ["/cases", "/workflows/run"])
    async def test_are_those_that_are_submitted_or_given_up(
        self, begun_rows: Rows, sandbox: Sandbox, fault: dict[str, Any], path: str
    ) -> None:
        await begun_rows.submit(cases(5))
        sandbox.fault(path=path, **fault)
        met = "begun" if fault["name"] == "latency" else "error"

        submitting = asyncio.create_task(begun_rows.submit(cases(20), max_outage=3600))
        await until(lambda: any(getattr(state, met) for state in begun_rows.states.values()))
        outcomes = _outcomes(begun_rows)
        submitting.cancel()

        assert outcomes == {RowOutcome.RUNNING: 5}

    async def test_are_those_too_that_were_refused(self, begun_rows: Rows, sandbox: Sandbox) -> None:
        sandbox.fault("forbidden", path="/cases", times=2)
        sandbox.fault("cut_after", path="/workflows/run", times=1)

        await begun_rows.submit(cases(6))

        assert _outcomes(begun_rows) == {
            RowOutcome.RUNNING: 3,
            RowOutcome.NOT_SUBMITTED: 2,
            RowOutcome.UNKNOWN: 1,
        }

    async def test_are_not_those_that_an_earlier_try_gave_up(
        self, begun_rows: Rows, sandbox: Sandbox
    ) -> None:
        sandbox.fault("forbidden", path="/cases", times=5)
        await begun_rows.submit(cases(6))
        sandbox.fault("rate_limited", retry_after=3600, path="/cases")

        submitting = asyncio.create_task(begun_rows.submit(cases(6), max_outage=3600))
        await until(lambda: sandbox.counts.requests[CASE_CALL] > 5)
        outcomes = _outcomes(begun_rows)
        submitting.cancel()

        assert outcomes == {RowOutcome.RUNNING: 1}
