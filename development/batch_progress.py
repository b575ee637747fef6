"""How far a batch has come, as the sandbox's counts tell: a bar at a terminal, else a line now and then."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from airflow_provider_workflows.sandbox.counts import Counts
from development.terminal import say

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

TICK_SECONDS = 0.2
LINE_SECONDS = 5.0


class BatchProgress:
    """Shows how far each of several batches has come, one after the other, as a context manager.

    :param counts: what the sandbox has seen
    :param rows: number of rows that each batch runs
    """

    def __init__(self, counts: Counts, rows: int) -> None:
        self._counts = counts
        self._rows = rows
        self._before: tuple[int, int, int] | None = None
        self._runs = 0
        self._submitting_seconds = 0.0
        console = Console()
        self._bar = Progress(
            TextColumn("    {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            console=console,
            transient=True,
            disable=not console.is_interactive,
        )
        self._bar_id = self._bar.add_task("", total=None, visible=False, amount="")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="batch-progress", daemon=True)

    def __enter__(self) -> Self:
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._bar.stop()

    @property
    def runs_per_second(self) -> float:
        """How many runs were started in a second, while any were."""
        return self._runs / max(self._submitting_seconds, TICK_SECONDS)

    def begin(self) -> None:
        """Begin with the next batch."""
        self._before = self._seen()

    def end(self) -> None:
        """Show nothing until the next batch begins."""
        self._before = None

    def _seen(self) -> tuple[int, int, int]:
        """Return how many runs were started, and how many polls and results there were."""
        requests = self._counts.requests
        runs = sum(self._counts.runs_per_case.values())
        return runs, requests["GET /workflows/{workflowId}"], requests["GET /workflows/{workflowId}/result"]

    def _tick(self) -> None:
        last, next_line = time.monotonic(), 0.0
        while not self._over.wait(TICK_SECONDS):
            now = time.monotonic()
            seen, before = self._seen(), self._before
            if seen[0] > self._runs:
                self._runs = seen[0]
                self._submitting_seconds += now - last
            last = now
            if before is None:
                self._bar.update(self._bar_id, visible=False)
                next_line = now + LINE_SECONDS
                continue
            runs, polls, results = (new - old for new, old in zip(seen, before, strict=True))
            phase, done, total, amount = self._phase(runs, polls, results)
            self._bar.update(
                self._bar_id, description=phase, completed=done, total=total, amount=amount, visible=True
            )
            if self._bar.disable and now >= next_line:
                next_line = now + LINE_SECONDS
                say(f"    {phase}: {amount}")

    def _phase(self, runs: int, polls: int, results: int) -> tuple[str, int, int | None, str]:
        if results:
            return "Fetching results", results, runs, f"{results:,} of {runs:,}"
        if polls:
            return "Waiting", 0, None, f"{runs:,} runs, polled {polls:,} times"
        return "Submitting", runs, self._rows, f"{runs:,} of {self._rows:,} runs started"
