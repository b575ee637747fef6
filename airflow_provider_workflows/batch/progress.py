"""How far a batch has come: a line in the task's log now and then, and counts for a page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from typing_extensions import Self

#: The log gets one line in this many seconds.
LINE_SECONDS = 10.0

#: There is an estimate of the time left once this share of the rows is done that were not when the phase began:
#: the first rows are sent one by one, and tell nothing of the others.
MIN_SHARE_FOR_ESTIMATE = 0.05

#: What takes the progress that a page shows.
Publish = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Counts:
    """Where the rows of a batch stand.

    :param done: rows that the present phase has dealt with; one whose call is under way, or that waits for another
        attempt, is not among them
    :param outcomes: rows by outcome, those not yet dealt with left out
    :param statuses: rows by the status of their workflow
    """

    done: int = 0
    outcomes: Mapping[RowOutcome, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)


class BatchProgress:
    """Reports how far one phase of a batch has come, for as long as its ``async with`` block runs.

    :param phase: ``"Submitting"``, ``"Waiting"`` or ``"Fetching results"``
    :param rows: number of rows that the phase deals with
    :param count: returns where they stand
    :param publish: takes what a page shows; if it fails, the batch goes on
    :param log: the task's log
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        phase: str,
        rows: int,
        count: Callable[[], Counts],
        publish: Publish,
        log: logging.Logger | Any,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._phase = phase
        self._rows = rows
        self._count = count
        self._publish = publish
        self._log = log
        self._clock = clock
        self._started = clock()
        self._done_before = 0
        self._published = True
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to report."""
        self._started = self._clock()
        self._done_before = self._count().done
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        if error is None:
            await self._report(f" took {self._clock() - self._started:,.1f} s")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            await self._report()

    async def _report(self, ended: str = "") -> None:
        counts = self._count()
        seconds = max(self._clock() - self._started, 0.001)
        done = counts.done - self._done_before
        rate = done / seconds
        is_telling = 0 < done >= MIN_SHARE_FOR_ESTIMATE * (self._rows - self._done_before)
        left = (self._rows - counts.done) / rate if is_telling else None
        remaining = "" if ended or left is None else f", about {left:,.0f} s left"
        shown = {
            outcome: counts.outcomes.get(outcome, 0) for outcome in (RowOutcome.FAILED, RowOutcome.RUNNING)
        }
        shown |= {outcome: number for outcome, number in counts.outcomes.items() if number}
        self._log.info(
            "%s%s: %s of %s rows done; %s; %.1f a second%s.",
            self._phase,
            ended,
            f"{counts.done:,}",
            f"{self._rows:,}",
            ", ".join(f"{number:,} {outcome.value}" for outcome, number in sorted(shown.items())),
            rate,
            remaining,
        )
        progress = {
            "phase": self._phase,
            "rows": self._rows,
            "done": counts.done,
            "outcomes": {
                str(getattr(name, "value", name)): number for name, number in counts.outcomes.items()
            },
            "statuses": dict(counts.statuses),
            "rows_per_second": round(rate, 1),
            "seconds_left": None if left is None else round(left),
            "at": time.time(),
        }
        try:
            await self._publish(progress)
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a batch)
            if self._published:
                self._log.warning(
                    "The batch's progress could not be written to the task's XCom: %s. The batch goes on, and its "
                    "progress there may be out of date.",
                    type(error).__name__,
                )
            self._published = False
