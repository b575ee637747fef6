"""How far a batch has come, as the sandbox has seen it: a bar at a terminal, else a line now and then."""

from __future__ import annotations

import threading
import time
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from airflow_provider_workflows.sandbox import Sandbox
from development.terminal import say

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

COMPLETED = "COMPLETED"
TICK_SECONDS = 0.2
LINE_SECONDS = 5.0


@dataclass(frozen=True)
class Seen:
    """What a sandbox has seen of all batches, or of one.

    :param runs: number of runs that were started
    :param ended: number of those that have ended
    :param completed: number of those that have a result
    :param polls: number of polls
    :param result_requests: number of requests for results, those that were refused included
    """

    runs: int = 0
    ended: int = 0
    completed: int = 0
    polls: int = 0
    result_requests: int = 0

    @classmethod
    def by(cls, sandbox: Sandbox) -> Seen:
        """Return what a sandbox has seen until now."""
        now, requests = time.monotonic(), sandbox.counts.requests
        ended = [workflow for workflow in sandbox.workflows if workflow.ends_at <= now]
        return cls(
            sum(sandbox.counts.runs_per_case.values()),
            len(ended),
            sum(workflow.definition.status == COMPLETED for workflow in ended),
            requests["GET /workflows/{workflowId}"],
            requests["GET /workflows/{workflowId}/result"],
        )

    def since(self, before: Seen) -> Seen:
        """Return what was seen after an earlier moment."""
        return Seen(*(new - old for new, old in zip(astuple(self), astuple(before), strict=True)))

    def phase(self, rows: int) -> tuple[str, int, int, str]:
        """Return what a batch of this number of rows does, how much of how much is done, and that in words."""
        if self.result_requests:
            # A request that was refused is made again.
            fetched = min(self.result_requests, self.completed)
            return "Fetching results", fetched, self.completed, f"{fetched:,} of {self.completed:,}"
        if self.polls:
            polled = f"polled {self.polls:,} times"
            return (
                "Waiting",
                self.ended,
                self.runs,
                f"{self.ended:,} of {self.runs:,} runs have ended, {polled}",
            )
        return "Submitting", self.runs, rows, f"{self.runs:,} of {rows:,} runs started"


class BatchProgress:
    """Shows how far each of several batches has come, one after the other, as a context manager.

    :param sandbox: the service that runs them
    :param rows: number of rows that each batch runs
    """

    def __init__(self, sandbox: Sandbox, rows: int) -> None:
        self._sandbox = sandbox
        self._rows = rows
        self._before: Seen | None = None
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
        self._before = Seen.by(self._sandbox)

    def end(self) -> None:
        """Show nothing until the next batch begins."""
        self._before = None

    def _tick(self) -> None:
        last, next_line = time.monotonic(), 0.0
        while not self._over.wait(TICK_SECONDS):
            now = time.monotonic()
            seen, before = Seen.by(self._sandbox), self._before
            if seen.runs > self._runs:
                self._runs = seen.runs
                self._submitting_seconds += now - last
            last = now
            if before is None:
                self._bar.update(self._bar_id, visible=False)
                next_line = now + LINE_SECONDS
                continue
            phase, done, total, amount = seen.since(before).phase(self._rows)
            self._bar.update(
                self._bar_id, description=phase, completed=done, total=total, amount=amount, visible=True
            )
            if self._bar.disable and now >= next_line:
                next_line = now + LINE_SECONDS
                say(f"    {phase}: {amount}")
