"""The workflows that a poller polls, and which of them is due when."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_workflows.api.endpoints import Endpoint
from airflow_provider_workflows.api.models import Workflow
from airflow_provider_workflows.api.polling import Wait
from airflow_provider_workflows.api.retry import RateLimiter

#: Polls that are due within this many seconds of each other go out together: waking up costs as much as a poll.
DUE_TIME_STEP_SECONDS = 0.25

Event = dict[str, object]
OnEnd: TypeAlias = Callable[[Wait, Event], None]


@dataclass(eq=False, slots=True)
class Waiter:
    """One who waits for a workflow, until ``on_end`` was called or the poller's ``forget`` was."""

    wait: Wait
    on_end: OnEnd
    watch: Watch
    deadline: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class Watch:
    """One workflow and all who wait for it. A batch has a hundred thousand of these, so they are small."""

    workflow_id: str
    endpoint: Endpoint[Workflow] | None = None
    waiters: tuple[Waiter, ...] = ()
    due: float = math.inf
    polling: bool = False


class PollQueue:
    """The next poll of each workflow, the earliest first, and a timer for it.

    :param limiter: says how many polls a second may begin
    :param release: called when a poll is due; it takes all polls that are due
    :param loop: the event loop, whose time is the clock
    """

    def __init__(
        self, limiter: RateLimiter, release: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._limiter = limiter
        self._release = release
        self._loop = loop
        self._heap: list[tuple[float, int, Watch]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the next poll is due; None if none is."""
        return max(0.0, self._heap[0][0] - self._loop.time()) if self._heap else None

    def schedule(self, watch: Watch, seconds: float) -> None:
        """Have a workflow polled, unless a poll of it is under way or due earlier.

        :param watch: the workflow
        :param seconds: until it is due
        """
        moment = self._loop.time() + seconds
        due = math.ceil(moment / DUE_TIME_STEP_SECONDS) * DUE_TIME_STEP_SECONDS if seconds else moment
        if watch.polling or due >= watch.due:
            return
        watch.due = due
        heapq.heappush(self._heap, (due, next(self._order), watch))
        self._set_timer(self._heap[0][0])

    def take(self) -> Watch | None:
        """Return the next workflow that is due, to be polled at once; otherwise set the timer for the next one."""
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            # Asked right before each poll, so that a pause holds for all that were due before it.
            if (ready_at := self._limiter.ready_at(now, early=DUE_TIME_STEP_SECONDS)) > now:
                self._set_timer(ready_at)
                return None
            due, _, watch = heapq.heappop(self._heap)
            if watch.due == due and watch.waiters and not watch.polling:
                watch.due, watch.polling = math.inf, True
                self._limiter.take_slot(now)
                return watch
        if self._heap:
            self._set_timer(self._heap[0][0])
        return None

    def clear(self) -> None:
        """Have nothing polled any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._release()
