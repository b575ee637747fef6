"""Completions that come before Airflow can resume the task that waits for them: held back until it can.

``airflow_internals/deferral.py`` says how long that is, and why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_workflows.webhooks.payload import Completion

log = logging.getLogger(__name__)

#: A task that may not be resumed yet is resumed this many seconds after it may.
RESUME_MARGIN_SECONDS = 0.1


class EarlyCompletions:
    """Holds completions of one connection back, in the memory of this process.

    If the process ends before, nothing is lost: the tasks end with their next poll.

    :param conn_id: id of the connection
    :param resume: resumes the tasks that wait for the run of a completion
    """

    def __init__(self, conn_id: str, resume: Callable[[Completion], Awaitable[None]]) -> None:
        self._conn_id = conn_id
        self._resume = resume
        self._held_back: set[asyncio.Task[None]] = set()

    def hold_back(self, completions: Mapping[Completion, float]) -> None:
        """Hold completions back, each for the number of seconds after which its task may be resumed."""
        for completion, seconds in completions.items():
            task = asyncio.create_task(self._resume_after(seconds, completion))
            self._held_back.add(task)
            task.add_done_callback(self._held_back.discard)

    def close(self) -> None:
        """Drop what is held back."""
        for task in self._held_back:
            task.cancel()

    async def _resume_after(self, seconds: float, completion: Completion) -> None:
        await asyncio.sleep(seconds + RESUME_MARGIN_SECONDS)
        try:
            await self._resume(completion)
        except Exception:
            log.exception(
                "Connection %s: tasks that wait for workflow %s were not resumed, because Airflow's database could "
                "not be written to. They end with their next poll.",
                self._conn_id,
                completion.workflow_id,
            )
