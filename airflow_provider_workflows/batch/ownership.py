"""Whether this try of a task may still act: it is the latest, its supervisor is alive, and nobody has stopped it.

Airflow can have two processes of one task at once: it begins a retry when a supervisor has died, and the task's own
process lives on (8,913 runs were started by one, where 265 had been at the supervisor's death). So each try claims
the work, reads every few seconds whether its claim is the latest, and starts nothing more once it is not.

That two tasks have one output is refused in ``batch/place.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from airflow_provider_workflows.api.errors import OutcomeUnknown, Stopped
from airflow_provider_workflows.batch.claim import Claim, ClaimStore
from airflow_provider_workflows.batch.process import UNKNOWN_PROCESS, has_ended, this_process
from airflow_provider_workflows.batch.submission_stop import SubmissionStop

#: The claim is read again after this many seconds.
CLAIM_CHECK_SECONDS = 3.0
#: The parent process is checked after this many seconds.
PARENT_CHECK_SECONDS = 1.0
#: Calls that are under way at a stop have this many seconds to end: Airflow kills the process 5 s after SIGTERM.
CALLS_END_SECONDS = 3.5
#: A claim that could not be confirmed for this many seconds lets no new row begin.
UNCONFIRMED_SECONDS = 6.0
#: An earlier try that did not end in order has surely stopped this many seconds after a new claim:
#: it takes one check, and the time that its calls under way have.
LEASE_SECONDS = 10.0
_PAUSE_SECONDS = 0.25

Value = TypeVar("Value")


class Ownership:
    """The right of this try to act, and what ends it.

    :param claims: keeps the claims of all tries; None where no other try can be at work
    :param try_number: number of this try
    :param submission_stop: says whether a person has stopped the submission; read together with the claim
    :param log: the task's log
    :param clock: monotonic seconds
    :param sleep: sleeps for a number of seconds, while an earlier try ends
    :param parent: returns the id of the parent process, the task's supervisor
    """

    def __init__(
        self,
        claims: ClaimStore | None = None,
        *,
        try_number: int = 1,
        submission_stop: SubmissionStop | None = None,
        log: Any = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        parent: Callable[[], int] = os.getppid,
    ) -> None:
        self._claims = claims
        self._claim = Claim(secrets.token_hex(8), try_number, this_process())
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._parent = parent
        self._parent_id = parent()
        self._confirmed_at = clock()
        self._is_latest = True
        self.submission_stop = SubmissionStop() if submission_stop is None else submission_stop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        #: Why this try must start nothing more; None while it may act.
        self.stop_reason: str | None = None

    @property
    def may_act(self) -> bool:
        """Whether this try may begin something new."""
        return self.stop_reason is None

    @property
    def may_write(self) -> bool:
        """Whether this try may still write the output: it may have been stopped, but no other has taken over."""
        return self._is_latest and self._parent() == self._parent_id

    def stop(self, reason: str) -> None:
        """Let nothing new begin; safe in a signal handler and in another thread.

        :param reason: why, as a sentence without its full stop
        """
        if self.stop_reason is None:
            self.stop_reason = reason
        if self._loop is not None and self._stopped is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._stopped.set)

    def require(self) -> None:
        """Return if this try may begin something new.

        :raises Stopped: saying why it may not
        """
        if self.stop_reason is None and self._parent() != self._parent_id:
            self.stop("The task's supervisor is gone")
        if self.stop_reason is not None:
            raise Stopped(f"{self.stop_reason}, so this try starts nothing more. A retry goes on from here.")

    def claim(self) -> None:
        """Claim the work, and return once an earlier try that did not end in order has surely stopped.

        :raises Stopped: if this try was stopped meanwhile
        """
        self.require()
        if self._claims is None:
            return
        earlier, at_work = self._earlier_try(self._claims)
        self._claim = dataclasses.replace(self._claim, has_begun=earlier is None, waits_for=at_work)
        self._claims.write(self._claim)
        self._confirmed_at = self._clock()
        if earlier is None:
            return
        if self._log is not None:
            self._log.warning(
                "%s of this task did not end in order, and may still be at work. This try begins in %.0f s, "
                "when the other has surely stopped.",
                earlier,
                LEASE_SECONDS,
            )
        end = self._clock() + LEASE_SECONDS
        while (left := end - self._clock()) > 0:
            self.require()
            self._sleep(min(left, _PAUSE_SECONDS))
        latest = self._claims.read()
        self._confirmed_at = self._clock()
        if latest is None or latest.token != self._claim.token:
            self._overtaken()
        self.require()
        self._claim = dataclasses.replace(self._claim, has_begun=True, waits_for=())
        self._claims.write(self._claim)

    @staticmethod
    def _earlier_try(claims: ClaimStore) -> tuple[str | None, tuple[str, ...]]:
        """Return the words for an earlier try that may still be at work, and the names of such processes."""
        try:
            previous = claims.read()
        except OutcomeUnknown:
            # Another version's claim, of which nothing can be read: its try ends when it reads this try's claim.
            return "An earlier try, by another version of airflow-provider-workflows,", (UNKNOWN_PROCESS,)
        if previous is None:
            return None, ()
        # One that was stopped or killed while it waited tells nothing of the tries for which it waited.
        at_work = tuple(process for process in previous.at_work if not has_ended(process))
        return f"Try {previous.try_number}" if at_work else None, at_work

    def release(self) -> None:
        """Say that this try has ended in order, so that the next one need not wait; and nothing of a failure."""
        if self._claims is None or not self._is_latest or self._parent() != self._parent_id:
            return
        with contextlib.suppress(Exception):
            latest = self._claims.read()
            if latest is not None and latest.token == self._claim.token:
                self._claims.write(dataclasses.replace(self._claim, is_released=True))

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch the parent process and the claim within the block."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        if self.stop_reason is not None:
            self._stopped.set()
        watching = [asyncio.create_task(self._watch_parent()), asyncio.create_task(self._watch_claim())]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            self._loop = self._stopped = None

    async def sleep(self, seconds: float) -> None:
        """Sleep for a number of seconds.

        :raises Stopped: as soon as this try has to stop
        """
        await self._nap(seconds)
        if self.stop_reason is not None:
            self.require()

    async def turn(self) -> None:
        """Return when something new may begin: at once, or when a claim that could not be read is confirmed.

        :raises Stopped: if this try has to stop
        """
        while self._clock() - self._confirmed_at > UNCONFIRMED_SECONDS and self._is_watched:
            await self.sleep(_PAUSE_SECONDS)
        if self.stop_reason is not None:
            self.require()

    async def finish(self, working: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Run coroutines side by side; after a stop they have a few seconds to end, and are then cancelled.

        :raises BaseException: the first that one of them raised, once all have ended
        """
        tasks = [asyncio.create_task(work) for work in working]
        stopped = asyncio.create_task(self._until_stopped())
        try:
            pending: set[asyncio.Task[None]] = set(tasks)
            while pending and not stopped.done():
                done, _ = await asyncio.wait({*pending, stopped}, return_when=asyncio.FIRST_COMPLETED)
                pending -= done
            if pending:
                await asyncio.wait(pending, timeout=CALLS_END_SECONDS)
        finally:
            stopped.cancel()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def unless_stopped(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Return what a coroutine returns; it is cancelled as soon as this try has to stop.

        :raises Stopped: if this try has to stop
        :raises BaseException: what the coroutine raised
        """
        task = asyncio.create_task(work)
        stopped = asyncio.create_task(self._until_stopped())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.require()
            return await task
        finally:
            stopped.cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def _is_watched(self) -> bool:
        return self._claims is not None and self._stopped is not None

    async def _nap(self, seconds: float) -> None:
        """Sleep for a number of seconds, or until this try has to stop."""
        if self._stopped is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _until_stopped(self) -> None:
        if self._stopped is None:
            await asyncio.Event().wait()
        else:
            await self._stopped.wait()

    async def _watch_parent(self) -> None:
        while self.may_act:
            await self._nap(PARENT_CHECK_SECONDS)
            if self._parent() != self._parent_id:
                self.stop("The task's supervisor is gone")

    async def _watch_claim(self) -> None:
        claims = self._claims
        while claims is not None and self.may_act:
            try:
                latest = await asyncio.to_thread(claims.read)
                await asyncio.to_thread(self.submission_stop.check)
            except Exception:  # noqa: BLE001  (the supervisor or the API server is away: no new row until it is back)
                latest = self._claim if self._clock() - self._confirmed_at <= UNCONFIRMED_SECONDS else None
                if latest is None:
                    self._warn_unconfirmed()
            else:
                self._confirmed_at = self._clock()
                if latest is None or latest.token != self._claim.token:
                    self._overtaken()
            await self._nap(CLAIM_CHECK_SECONDS)

    def _overtaken(self) -> None:
        self._is_latest = False
        self.stop("Another try of this task has taken over")

    def _warn_unconfirmed(self) -> None:
        if self._log is not None:
            self._log.warning(
                "Airflow cannot be asked whether this is still the latest try of the task: no new row begins until "
                "it can."
            )
