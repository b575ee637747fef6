"""How far a batch has come: a line in the task's log now and then, counts for a page, a bar at a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from typing_extensions import Self

#: The log gets one line in so many seconds at most.
LINE_SECONDS = 10.0
_BAR_SECONDS = 0.2


@dataclass
class Counts:
    """Where the rows of a batch stand.

    :param done: rows that the present phase has dealt with
    :param outcomes: rows by outcome, those not yet dealt with left out
    :param statuses: rows by the status of their workflow
    """

    done: int = 0
    outcomes: Mapping[RowOutcome, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)


class BatchProgress:
    """Tells how far one phase of a batch has come, for as long as its ``async with`` block runs.

    :param phase: ``"Submitting"``, ``"Waiting"`` or ``"Fetching results"``
    :param rows: number of rows that the phase deals with
    :param count: tells where they stand
    :param publish: takes what a page shows; when it fails, the batch goes on
    :param log: the task's log
    """

    def __init__(
        self,
        phase: str,
        rows: int,
        count: Callable[[], Counts],
        publish: Callable[[dict[str, Any]], Awaitable[None]],
        log: logging.Logger | Any,
    ) -> None:
        self._phase = phase
        self._rows = rows
        self._count = count
        self._publish = publish
        self._log = log
        self._started = time.monotonic()
        self._done_before = 0
        self._published = True
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to tell."""
        self._started = time.monotonic()
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
            await self._tell(f" took {time.monotonic() - self._started:,.1f} s")

    async def _tick(self) -> None:
        with _bar(self._phase, self._rows) as show:
            next_line = self._started + LINE_SECONDS
            while True:
                await asyncio.sleep(LINE_SECONDS if show is None else _BAR_SECONDS)
                if show is not None:
                    show(self._count().done)
                if time.monotonic() >= next_line:
                    next_line += LINE_SECONDS
                    await self._tell()

    async def _tell(self, ended: str = "") -> None:
        counts = self._count()
        seconds = max(time.monotonic() - self._started, 0.001)
        rate = (counts.done - self._done_before) / seconds
        left = (self._rows - counts.done) / rate if rate > 0 else None
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
        except Exception as error:  # noqa: BLE001  (a page that lags is no reason to end a batch)
            if self._published:
                self._log.warning("The batch's progress could not be published: %s", type(error).__name__)
            self._published = False


@contextlib.contextmanager
def _bar(phase: str, rows: int) -> Any:
    """Yield what moves a bar on the terminal, or None where there is none."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar: TaskID = progress.add_task(phase, total=rows)
        yield lambda done: progress.update(bar, completed=done)
