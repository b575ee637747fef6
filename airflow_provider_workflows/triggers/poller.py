"""The one poller of a process for a connection, which all triggers of the provider share."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_workflows.api import Statuses, endpoints, errors
from airflow_provider_workflows.api.polling import MAX_POLL_INTERVAL_SECONDS, Wait, waiting_out
from airflow_provider_workflows.api.retry import RateLimiter, Retry
from airflow_provider_workflows.api.settings import POOL_SIZE
from airflow_provider_workflows.log_throttle import ThrottledWarning
from airflow_provider_workflows.triggers.poll_queue import Event, OnEnd, PollQueue, Waiter, Watch
from airflow_provider_workflows.triggers.polled_connection import PolledConnection

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient
    from airflow_provider_workflows.api.models import Workflow

log = logging.getLogger(__name__)

#: Failing polls are logged this often at most, for all waits together.
WARNING_INTERVAL_SECONDS = 60.0
#: How long the poll that is due at a deadline may take before the wait ends without it.
LAST_POLL_SECONDS = 2.0
#: How long that poll may take if the deadline passed while no triggerer ran: a connection and a token come first.
OVERDUE_POLL_SECONDS = 15.0
#: After a poll the next is made after this many seconds at least, whatever the schedule says.
MIN_POLL_INTERVAL_SECONDS = 0.01


class Poller:
    """Polls the workflows that triggers wait for: one connection pool, one token, one rate limiter.

    A queue holds the next poll of each workflow, and a bounded number of tasks send those that are due. The poller
    begins with the first wait, and closes its connections after the last one.

    The event loop's time is its clock.

    :param workflows_conn_id: id of the connection
    :param now: seconds since the epoch, in which waits begin and end
    """

    _of_loop: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]]] = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, workflows_conn_id: str, *, now: Callable[[], float] = time.time) -> None:
        self._conn_id = workflows_conn_id
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._watches: dict[str, Watch] = {}
        self._working = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection = PolledConnection(workflows_conn_id, self._connected, clock=self._loop.time)
        self.limiter = RateLimiter(clock=self._loop.time)
        self._queue = PollQueue(self.limiter, self._release, self._loop)
        self._keepers = 0
        # An id may hold a percent sign.
        connection = workflows_conn_id.replace("%", "%%")
        #: When a run was polled last, in seconds since the epoch; None before the first poll.
        self.last_poll_at: float | None = None
        #: ``{"reason", "since", "until"}`` of an outage that is being waited out; None if polls succeed.
        self.outage: dict[str, Any] | None = None
        self._warn_failed = ThrottledWarning(
            log,
            f"Connection {connection}: %s since the last such line. The latest error: %s",
            ("poll has failed", "polls have failed"),
            interval=WARNING_INTERVAL_SECONDS,
            clock=self._loop.time,
        )

    @classmethod
    def of(cls, workflows_conn_id: str, *, now: Callable[[], float] = time.time) -> Poller:
        """Return the poller of the running event loop for a connection; ``now`` is for one that is new."""
        pollers = cls._of_loop.setdefault(asyncio.get_running_loop(), {})
        if workflows_conn_id not in pollers:
            pollers[workflows_conn_id] = cls(workflows_conn_id, now=now)
        return pollers[workflows_conn_id]

    @contextlib.contextmanager
    def kept(self) -> Iterator[Poller]:
        """Keep the poller open within the block, also while nobody waits."""
        self._keepers += 1
        try:
            yield self
        finally:
            self._keepers -= 1
            self._close_if_unused()

    @property
    def statuses(self) -> Statuses:
        """The statuses that end a wait, as the connection says; the defaults until it was read."""
        client = self._connection.client
        return Statuses() if client is None else client.settings.statuses

    @property
    def next_poll_at(self) -> float | None:
        """When the next poll is due, in seconds since the epoch; None if none is."""
        seconds = self._queue.seconds_left
        return None if seconds is None else self._now() + seconds

    def next_poll_of(self, workflow_id: str) -> float | None:
        """Return when a workflow's next poll is due, in seconds since the epoch; None if none is.

        :param workflow_id: id of the workflow
        """
        watch = self._watches.get(workflow_id)
        is_due = watch is not None and watch.due < math.inf
        return self._now() + max(0.0, watch.due - self._loop.time()) if watch and is_due else None

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
            watch = self._watches[wait.workflow_id] = Watch(wait.workflow_id)
        if wait.case_id is not None or wait.record_id is not None:
            # From now on these are compared as well.
            watch.endpoint = endpoints.read_workflow(wait.workflow_id, wait.case_id, wait.record_id)
        waiter = Waiter(wait, on_end, watch)
        watch.waiters += (waiter,)
        now = self._now()
        if wait.deadline is not None:
            # The poll that is due at the deadline should end the wait. It may hang, or be kept back.
            seconds = wait.seconds_left(now)
            seconds += LAST_POLL_SECONDS if seconds > 0 else OVERDUE_POLL_SECONDS
            waiter.deadline = self._loop.call_later(seconds, self._end_at_deadline, waiter)
        first_poll = now if wait.first_poll is None else wait.first_poll
        self._queue.schedule(watch, max(0.0, min(first_poll - now, wait.seconds_left(now))))
        return waiter

    def _end_at_deadline(self, waiter: Waiter) -> None:
        # Polls may have shown an expiry, which the wait follows in place of its deadline.
        if waiter.wait.seconds_left(self._now()) < math.inf:
            self._end(waiter, waiter.wait.timed_out())

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
        del self._of_loop[self._loop][self._conn_id]
        self._queue.clear()
        self._connection.is_closed = True
        if self._connection.client is not None:
            self._in_background(self._retire(self._connection.client, list(self._tasks)))

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

    def _release(self) -> None:
        """Start as many tasks as may poll at once, each with a poll that is due."""
        # The first poll reads the connection, and with it the rate that it allows.
        most = POOL_SIZE if self._connection.client is not None else 1
        while self._working < most and (watch := self._queue.take()) is not None:
            self._working += 1
            task = self._in_background(self._work(watch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, first: Watch) -> None:
        watch: Watch | None = first
        try:
            while watch is not None:
                await self._poll_once(watch)
                watch = self._queue.take()
        finally:
            self._working -= 1

    async def _poll_once(self, watch: Watch) -> None:
        try:
            # Without a coroutine of its own for each poll.
            client = self._connection.client
            if client is None or self._connection.is_due:
                client = await self._connection.current()
            if watch.endpoint is None:
                watch.endpoint = endpoints.read_workflow(watch.workflow_id)
            workflow = await client.perform(watch.endpoint)
        except errors.WorkflowsError as error:
            self._failed(watch, error)
        except Exception as error:
            log.exception("Polling workflow %s failed unexpectedly.", watch.workflow_id)
            self._failed(watch, errors.from_exception(error, f"Polling workflow {watch.workflow_id}"))
        else:
            self._record_workflow(watch, workflow, client)
        finally:
            watch.polling = False
            now = self.last_poll_at = self._now()
            pauses = [waiter.wait.pause(now) for waiter in watch.waiters]
            if pauses:
                self._queue.schedule(watch, max(min(pauses), MIN_POLL_INTERVAL_SECONDS))

    def _record_workflow(self, watch: Watch, workflow: Workflow, client: AsyncWorkflowsClient) -> None:
        self.limiter.accepted()
        self.outage = None
        now = self._now()
        for waiter in watch.waiters:
            self._end(waiter, waiter.wait.record_workflow(workflow, client.settings.statuses, now))

    def _failed(self, watch: Watch, error: errors.WorkflowsError) -> None:
        if isinstance(error, errors.RateLimited):
            # Each wait has a max_outage of its own, so polls go out now and then, however long the service asks.
            self.limiter.refused(error.retry_after, longest=MAX_POLL_INTERVAL_SECONDS)
        if error.retry is Retry.AFTER_NEW_CREDENTIALS:
            self._connection.expire()
        now = self._now()
        for waiter in watch.waiters:
            self._end(waiter, waiter.wait.record_error(error, now))
        ends = [waiter.wait.outage_end for waiter in watch.waiters]
        if any(ends) and error.concerns_every_call:
            from airflow_provider_workflows.batch.reasons import reason_of  # noqa: PLC0415  (not while parsing)

            until = {"since": now, "until": min(filter(None, ends))} if self.outage is None else self.outage
            self.outage = {**until, "reason": reason_of(error.to_json())}
        self._warn_failed(waiting_out(error, min(filter(None, ends))) if any(ends) else error)

    def _connected(self, client: AsyncWorkflowsClient, before: AsyncWorkflowsClient | None) -> None:
        """Poll with another client from now on."""
        self.limiter.limit(client.settings.requests_per_second)
        if before is not None:
            log.info("Connection %s has changed: polls use it as it is now.", self._conn_id)
            self._in_background(self._retire(before, [task for task in self._tasks if not task.done()]))
        else:
            # The other polls may go out as well now.
            self._loop.call_soon(self._release)


_background: set[asyncio.Task[None]] = set()
