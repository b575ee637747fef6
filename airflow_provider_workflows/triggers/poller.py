"""The one poller of a triggerer process for a connection, which all triggers of the provider share."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import dataclasses
import heapq
import itertools
import logging
import math
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow_provider_workflows import api
from airflow_provider_workflows.api import Settings, Statuses, endpoints, errors
from airflow_provider_workflows.api.endpoints import Endpoint
from airflow_provider_workflows.api.exchange import pause_before
from airflow_provider_workflows.api.models import Workflow
from airflow_provider_workflows.api.polling import MAX_POLL_INTERVAL_SECONDS, Wait
from airflow_provider_workflows.api.settings import POOL_SIZE
from airflow_provider_workflows.hooks.workflows import WorkflowsHook, shared_tokens

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient

log = logging.getLogger(__name__)

#: Polls that are due within this many seconds of each other go out together: waking up costs as much as a poll.
DUE_TIME_STEP_SECONDS = 0.25
#: The connection is looked up anew after this many seconds, so that a rotated secret is picked up.
CONNECTION_CACHE_SECONDS = 300.0
#: And after a rejected key, at most this often.
REJECTED_KEY_LOOKUP_SECONDS = 30.0
#: FailurePolicy polls are logged this often at most, for all waits together.
WARNING_INTERVAL_SECONDS = 60.0
#: How long the look that is due at a deadline may take before the wait ends without it.
LAST_POLL_SECONDS = 2.0
OVERDUE_POLL_SECONDS = 15.0
#: After a lookup of the connection that failed, the next is made after so many seconds.
FAILED_LOOKUP_RETRY_SECONDS = 2.0
#: How long a lookup of the connection may take, in seconds.
LOOKUP_TIMEOUT_SECONDS = 30.0

Event = dict[str, object]
OnEnd: TypeAlias = "Callable[[Wait, Event], None]"


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for a workflow, until ``on_end`` was called or the poller was told to forget them."""

    wait: Wait
    on_end: OnEnd
    watch: _Watch
    deadline: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class _Watch:
    """One workflow and all who wait for it. A batch has a hundred thousand of these, so they are small."""

    workflow_id: str
    endpoint: Endpoint[Workflow] | None = None
    waiters: tuple[Waiter, ...] = ()
    due: float = math.inf
    polling: bool = False


class Poller:
    """Polls at workflows for whoever waits for them: one pool, one token, one schedule.

    A heap holds the next polls each workflow, and a bounded number of tasks work off what is due. It begins
    with the first who waits, and closes its connections when the last one has left.

    :param workflows_conn_id: id of the connection
    """

    _of_loop: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, workflows_conn_id: str) -> None:
        self._hook = WorkflowsHook(workflows_conn_id)
        self._loop = asyncio.get_running_loop()
        self._watches: dict[str, _Watch] = {}
        self._heap: list[tuple[float, int, _Watch]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._working = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: AsyncWorkflowsClient | None = None
        self._lookup_at = 0.0
        self._lookup_failure: errors.WorkflowsError = errors.ServiceUnavailable("Not looked up yet.")
        self._lookup_slots = asyncio.Lock()
        self._paused_until = 0.0
        self._limited = 0
        self._next_slot = 0.0
        self._closed = False
        self._keepers = 0
        self._failures = 0
        self._warn_at = 0.0

    @classmethod
    def of(cls, workflows_conn_id: str) -> Poller:
        """Return the poller of the running event loop for a connection."""
        pollers = cls._of_loop.setdefault(asyncio.get_running_loop(), {})
        if workflows_conn_id not in pollers:
            pollers[workflows_conn_id] = cls(workflows_conn_id)
        return pollers[workflows_conn_id]

    @contextlib.contextmanager
    def kept(self) -> Iterator[Poller]:
        """Keep the poller open, also while nobody waits."""
        self._keepers += 1
        try:
            yield self
        finally:
            self._keepers -= 1
            self._close_if_unused()

    @property
    def statuses(self) -> Statuses:
        """Which statuses end a wait, as the connection says; the defaults until it was looked up."""
        return Statuses() if self._client is None else self._client.settings.statuses

    async def wait(self, wait: Wait) -> Event:
        """Return the event that ends ``wait``; others may wait for the same workflow."""
        ended: asyncio.Future[Event] = self._loop.create_future()

        def end(_: Wait, event: Event) -> None:
            if not ended.done():
                ended.set_result(event)

        waiter = self.watch(wait, end)
        try:
            return await ended
        finally:
            self.forget(waiter)

    def watch(self, wait: Wait, on_end: OnEnd) -> Waiter:
        """Poll the workflow of ``wait`` until the wait ends, then call ``on_end`` with it and its event.

        :return: what ``forget`` takes, to end the wait before
        """
        watch = self._watches.get(wait.workflow_id)
        if watch is None:
            watch = self._watches[wait.workflow_id] = _Watch(wait.workflow_id)
        waiter = Waiter(wait, on_end, watch)
        watch.waiters += (waiter,)
        if wait.deadline is not None:
            # The look that is due at the deadline should end the wait. It may hang, or be kept back.
            seconds = wait.seconds_left(time.time())
            # A deadline that passed while no triggerer ran leaves time for a connection, a token and a poll.
            seconds += LAST_POLL_SECONDS if seconds > 0 else OVERDUE_POLL_SECONDS
            waiter.deadline = self._loop.call_later(seconds, lambda: self._end(waiter, wait.timed_out()))
        first_poll = time.time() if wait.first_poll is None else wait.first_poll
        self._schedule(watch, max(0.0, min(first_poll - time.time(), wait.seconds_left(time.time()))))
        return waiter

    def forget(self, waiter: Waiter) -> None:
        """End a wait without an event; one that has ended is left alone."""
        watch = waiter.watch
        if waiter not in watch.waiters:
            return
        if waiter.deadline is not None:
            waiter.deadline.cancel()
        watch.waiters = tuple(other for other in watch.waiters if other is not waiter)
        if watch.waiters:
            return
        del self._watches[watch.workflow_id]
        self._close_if_unused()

    def _end(self, waiter: Waiter, event: Event | None) -> None:
        if event is not None:
            self.forget(waiter)
            waiter.on_end(waiter.wait, event)

    def _close_if_unused(self) -> None:
        if self._watches or self._keepers:
            return
        del self._of_loop[self._loop][self._hook.workflows_conn_id]
        if self._timer is not None:
            self._timer.cancel()
        self._closed = True
        self._heap.clear()
        if self._client is not None:
            self._in_background(self._retire(self._client, list(self._tasks)))

    async def _retire(self, client: AsyncWorkflowsClient, users: list[asyncio.Task[None]]) -> None:
        try:
            if users:
                await asyncio.wait(users, timeout=client.settings.read_timeout)
        finally:
            await client.close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # In a context of its own: that of the first trigger would send what is logged to that task's log.
        task: asyncio.Task[None] = contextvars.Context().run(self._loop.create_task, work)
        _background.add(task)
        task.add_done_callback(_background.discard)
        return task

    def _schedule(self, watch: _Watch, seconds: float) -> None:
        """Have a look at ``watch`` in so many seconds, unless one is due earlier."""
        moment = self._loop.time() + seconds
        due = math.ceil(moment / DUE_TIME_STEP_SECONDS) * DUE_TIME_STEP_SECONDS if seconds else moment
        if watch.polling or due >= watch.due:
            return
        watch.due = due
        heapq.heappush(self._heap, (due, next(self._order), watch))
        self._set_timer(self._heap[0][0])

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= moment and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._release)

    def _release(self) -> None:
        """Start as many tasks as may look at once, each with a poll that is due."""
        self._timer = None
        # The first poll brings the connection, and with it what it allows.
        most = POOL_SIZE if self._client is not None else 1
        while self._working < most and (watch := self._next()) is not None:
            self._working += 1
            task = self._in_background(self._work(watch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> _Watch | None:
        """Return the next workflow to look at now, or see to being woken when there is one."""
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            # Asked right before each poll, so that a pause holds for all that had been due before it.
            if (allowed_at := self._allowed_at(now)) > now:
                self._set_timer(allowed_at)
                return None
            due, _, watch = heapq.heappop(self._heap)
            if watch.due == due and watch.waiters and not watch.polling:
                watch.due, watch.polling = math.inf, True
                self._take_slot(now)
                return watch
        if self._heap:
            self._set_timer(self._heap[0][0])
        return None

    def _allowed_at(self, now: float) -> float:
        return max(self._paused_until, self._next_slot - DUE_TIME_STEP_SECONDS, now)

    def _take_slot(self, now: float) -> None:
        rate = self._client.settings.requests_per_second if self._client is not None else None
        if rate is not None:
            self._next_slot = max(self._next_slot, now) + 1 / rate

    async def _work(self, first: _Watch) -> None:
        watch: _Watch | None = first
        try:
            while watch is not None:
                await self._poll_once(watch)
                watch = self._next()
        finally:
            self._working -= 1

    async def _poll_once(self, watch: _Watch) -> None:
        try:
            client = self._client
            if client is None or self._loop.time() >= self._lookup_at:
                client = await self._current_client()
            if watch.endpoint is None:
                watch.endpoint = endpoints.read_workflow(watch.workflow_id)
            status = (await client.perform(watch.endpoint)).status
        except errors.WorkflowsError as error:
            self._failed(watch, error)
        except Exception as error:
            log.exception("Polling workflow %s failed.", watch.workflow_id)
            self._failed(watch, errors.ServiceUnavailable(f"Looking failed: {type(error).__name__}."))
        else:
            self._record_status(watch, status, client)
        finally:
            watch.polling = False
            now = time.time()
            pauses = [waiter.wait.pause(now) for waiter in watch.waiters]
            if pauses:
                self._schedule(watch, max(min(pauses), _SHORTEST_PAUSE_SECONDS))

    def _record_status(self, watch: _Watch, status: str, client: AsyncWorkflowsClient) -> None:
        self._limited = 0
        now = time.time()
        for waiter in watch.waiters:
            self._end(waiter, waiter.wait.record_status(status, client.settings.statuses, now))

    def _failed(self, watch: _Watch, error: errors.WorkflowsError) -> None:
        if isinstance(error, errors.RateLimited):
            # Polls that were under way together are refused together, and count once.
            self._limited += self._loop.time() >= self._paused_until
            pause = pause_before(self._limited + 1, error.retry_after, lambda: 1.0)
            # Whoever waits has a budget of its own: after so long it is worth asking again.
            pause = min(pause, MAX_POLL_INTERVAL_SECONDS)
            self._paused_until = max(self._paused_until, self._loop.time() + pause)
        if isinstance(error, errors.AuthenticationFailed):
            self._lookup_at = min(self._lookup_at, self._loop.time() + REJECTED_KEY_LOOKUP_SECONDS)
        self._failures += 1
        if self._loop.time() >= self._warn_at:
            log.warning(
                "Connection %s: %d polls have failed since the last such line, the latest so: %s",
                self._hook.workflows_conn_id,
                self._failures,
                error,
            )
            self._failures, self._warn_at = 0, self._loop.time() + WARNING_INTERVAL_SECONDS
        now = time.time()
        for waiter in watch.waiters:
            self._end(waiter, waiter.wait.record_error(error, now))

    async def _current_client(self) -> AsyncWorkflowsClient:
        async with self._lookup_slots:
            if self._loop.time() >= self._lookup_at:
                await self._lookup()
        if self._client is None:
            raise copy.copy(self._lookup_failure)
        return self._client

    async def _lookup(self) -> None:
        # The moment is set first: when the lookup fails, the next is not made for every look.
        self._lookup_at = self._loop.time() + FAILED_LOOKUP_RETRY_SECONDS
        try:
            settings = await asyncio.wait_for(self._hook.aget_settings(), LOOKUP_TIMEOUT_SECONDS)
        except errors.InvalidInput as error:
            self._lookup_failure = error
        except Exception as error:  # noqa: BLE001  (Airflow says "not found" also when it could not be asked)
            self._lookup_failure = errors.ServiceUnavailable(
                f"The connection {self._hook.workflows_conn_id} could not be looked up: {error}"
            )
        else:
            self._use(settings)
            return
        log.warning("%s", self._lookup_failure)

    def _use(self, settings: Settings) -> None:
        if self._closed:
            self._lookup_failure = errors.ServiceUnavailable("Nobody waits any more.")
            return
        # The wait has a budget and a schedule for what goes wrong: each poll is one try.
        settings = dataclasses.replace(settings, max_attempts=1)
        self._lookup_at = self._loop.time() + CONNECTION_CACHE_SECONDS
        if self._client is not None and self._client.settings == settings:
            return
        before, self._client = self._client, api.AsyncWorkflowsClient(settings, shared_tokens(settings))
        if before is not None:
            log.info("Connection %s has changed, and is used anew.", self._hook.workflows_conn_id)
            self._in_background(self._retire(before, [task for task in self._tasks if not task.done()]))
        else:
            # The others may look as well now.
            self._loop.call_soon(self._release)


#: A look that found nothing is not repeated at once, whatever the schedule says.
_SHORTEST_PAUSE_SECONDS = 0.01

_background: set[asyncio.Task[None]] = set()
