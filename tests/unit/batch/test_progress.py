"""The progress of a batch: what counts as done, and when there is an estimate of the time left.

The lines are tested on a loop of virtual time: what is ten seconds there takes none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.batch.progress import LINE_SECONDS, BatchProgress, Counts
from airflow_provider_workflows.batch.row_state import RowOutcome
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
        counts = Counts(done_before)
        published: list[dict[str, Any]] = []

        async def publish(progress: dict[str, Any]) -> None:
            published.append(progress)

        loop = asyncio.get_running_loop()
        async with BatchProgress("Submitting", rows, lambda: counts, publish, log, clock=loop.time):
            counts.done = done
            await asyncio.sleep(LINE_SECONDS + 1)
            shown = published[-1]["seconds_left"]
            (line,) = [record.getMessage() for record in caplog.records]

        assert shown == seconds_left
        assert (f"about {seconds_left} s left" in line) if seconds_left else ("left" not in line)
        assert f"{done:,} of {rows:,} rows done" in line


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
        counts = begun_rows.submission.counts(Statuses())
        submitting.cancel()

        assert counts == Counts(5, {RowOutcome.RUNNING: 5}, {})

    async def test_are_those_too_that_were_refused(self, begun_rows: Rows, sandbox: Sandbox) -> None:
        sandbox.fault("forbidden", path="/cases", times=2)
        sandbox.fault("cut_after", path="/workflows/run", times=1)

        await begun_rows.submit(cases(6))

        counts = begun_rows.submission.counts(Statuses())
        assert counts.done == 6
        assert counts.outcomes == {
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
        counts = begun_rows.submission.counts(Statuses())
        submitting.cancel()

        assert counts.done == 1
