"""What people do in Airflow's pages: they clear tasks, and mark them as failed."""

from __future__ import annotations

from development.chaos.actor import CALLS_UNDER_WAY, Actor, NotNow
from development.chaos.system import BATCH, SINGLE_RUNS, START_OVER


class Clicks(Actor):
    """Clears tasks, and marks them."""

    def clear_batch(self, state: str) -> None:
        """Clear the batch."""
        process = self.submitting_process() if state == "running" else None
        self.require_batch(state)
        if process is not None:
            self.occurrences.must_end("clear", process, CALLS_UNDER_WAY, None)
        self.system.clear(BATCH)

    def mark_batch_failed(self, state: str) -> None:
        """Mark the batch as failed, and clear it a while later."""
        process = self.submitting_process() if state == "running" else None
        self.require_batch(state)
        if process is not None:
            self.occurrences.must_end("mark failed", process, CALLS_UNDER_WAY, None)
        self.system.mark_failed(BATCH)
        self._clear_later(BATCH, -1)

    def clear_single_run(self, state: str) -> None:
        """Clear a single run."""
        self.system.clear(SINGLE_RUNS, self.single_run(state).map_index)

    def mark_single_run_failed(self, state: str) -> None:
        """Mark a single run as failed, and clear it a while later."""
        map_index = self.single_run(state).map_index
        self.system.mark_failed(SINGLE_RUNS, map_index)
        self._clear_later(SINGLE_RUNS, map_index)

    def start_over(self) -> None:
        """Clear the batch that starts over when it is cleared."""
        if not self.system.has_succeeded(START_OVER):
            raise NotNow
        self.system.clear(START_OVER)
        self.occurrences.start_overs += 1

    def _clear_later(self, name: str, map_index: int) -> None:
        def clear() -> None:
            if self.system.tasks(name)[max(map_index, 0)].state == "failed":
                self.system.clear(name, map_index)

        what = f"{name} is cleared, which was marked failed"
        self.occurrences.later(self.chance.uniform(4.0, 8.0), what, clear)
