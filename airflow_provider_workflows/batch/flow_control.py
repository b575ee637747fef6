"""What all calls of a batch share: the rate limiter, the circuit breakers, and how long an outage is waited out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from airflow_provider_workflows.api import errors, retry
from airflow_provider_workflows.api.expiry import too_near_to_repeat
from airflow_provider_workflows.api.retry import Backoff, CircuitBreaker, RateLimiter
from airflow_provider_workflows.log_throttle import utc_time

log = logging.getLogger(__name__)

Made = TypeVar("Made")

#: While the batch waits, the log says so once in this many seconds.
WARNING_INTERVAL_SECONDS = 60.0
#: A pause after a 429, or between two probes, is worth such a line if it is this long, in seconds.
LONG_PAUSE_SECONDS = 5.0
#: A call that is kept back asks again after this many seconds: what keeps it back may end earlier, or later.
KEPT_BACK_SECONDS = 1.0


@dataclass(slots=True)
class Attempts:
    """The failed attempts at one call; moments are in monotonic seconds.

    An attempt is *alone* if no other call of the batch was served since the attempt before it failed: then it is
    part of an outage.

    :param kind: kind of call; responses to one kind may be lost while those to another come
    :param failures: number of attempts that have failed
    :param served: how often calls of the batch had succeeded when the latest attempt failed
    :param failures_beside_others: how many have failed in a row that were not alone
    :param outage_since: when the latest attempt failed that was not alone: from then on an outage is counted
    :param refused_since: when the first of those failed that were not alone, in a row
    :param error: what the latest attempt has failed with
    """

    kind: str = ""
    failures: int = 0
    served: int = 0
    failures_beside_others: int = 0
    outage_since: float = 0.0
    refused_since: float = 0.0
    error: errors.WorkflowsError | None = None

    def request(self, make: Callable[[], Made]) -> Made:
        """Return the request of the next attempt.

        :param make: makes it anew for each attempt
        :raises WorkflowsError: what the latest attempt has failed with, if there can be no other because a run's
            expiry has come too near meanwhile
        """
        try:
            return make()
        except errors.InvalidInput as error:
            if self.error is None:
                raise
            raise too_near_to_repeat(error, self.error) from error

    def failed(self, now: float, served: int) -> bool:
        """Take note of an attempt that has failed, and return whether it was alone.

        :param now: monotonic seconds
        :param served: how often calls of the batch have succeeded
        """
        alone = self.failures > 0 and served == self.served
        self.failures += 1
        self.served = served
        if alone:
            self.failures_beside_others = 0
            return True
        if self.failures_beside_others == 0:
            self.refused_since = now
        self.failures_beside_others += 1
        self.outage_since = now
        return False


class Credentials(Protocol):
    """What calls are authenticated with, as the connection says."""

    @property
    def has_rejected_key(self) -> bool:
        """Whether the key was rejected, and no call has succeeded since."""

    def seconds_until_authorize(self) -> float:
        """Return the seconds until a rejected key may be sent again; 0 if none was rejected, or it may be now."""

    async def read_connection(self) -> None:
        """Read the connection again if a key was rejected, once for all calls that wait for that."""


class FlowControl:
    """Says when the next call may go out, and whether one that failed is worth another attempt.

    :param requests_per_second: how many calls go out in a second at most; None for no cap
    :param max_attempts: how often a call is tried at most while others succeed
    :param max_outage: seconds for which it is tried while none succeeds; then ``gave_up`` is the error
    :param backoff: how pauses grow; ``retry.BACKOFF`` if None
    :param credentials: have the connection read again before a rejected key is sent again; None if it never changes
    :param clock: monotonic seconds
    :param now: seconds since the epoch, for the log
    :param sleep: sleeps for a number of seconds
    :param draw: a random number from 0 to 1
    """

    def __init__(
        self,
        requests_per_second: float | None,
        *,
        max_attempts: int,
        max_outage: float,
        backoff: Backoff | None = None,
        credentials: Credentials | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._max_attempts = max_attempts
        self._max_outage = max_outage
        self._backoff = retry.BACKOFF if backoff is None else backoff
        self._credentials = credentials
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._draw = draw
        self._limiter = RateLimiter(requests_per_second, backoff=self._backoff, clock=clock)
        #: By kind of call.
        self._breakers = defaultdict[str, CircuitBreaker](
            functools.partial(CircuitBreaker, backoff=self._backoff, clock=clock)
        )
        self._served = 0
        self._failed = 0
        self._under_way = True
        self.gave_up: errors.WorkflowsError | None = None
        self._latest_error: errors.WorkflowsError | None = None
        self._warning_due = float("-inf")

    @contextlib.contextmanager
    def first_calls(self, max_outage: float) -> Iterator[None]:
        """Give up earlier than later on: nothing has been submitted yet, so nothing is lost.

        A rejected key fails at once until a call has succeeded, for it is probably mistyped.

        :param max_outage: seconds for which an outage is waited out at most, within the block
        """
        before, self._max_outage = self._max_outage, min(self._max_outage, max_outage)
        self._under_way = False
        try:
            yield
        finally:
            self._max_outage = before
            self._under_way = True

    async def turn(self, kind: str = "") -> None:
        """Return when a call may go out; ``kind`` as in ``Attempts``."""
        breaker = self._breakers[kind]
        while True:
            now = self._clock()
            if (pause := self._limiter.take_slot(now) - now) > 0:
                await self._sleep(pause)
            # Those that were kept back take a slot again, and do not go out all at once.
            if not await self._kept_back(breaker):
                break
        if not breaker.is_closed:
            breaker.probe()

    async def _kept_back(self, breaker: CircuitBreaker) -> bool:
        """Wait for the end of what keeps a call back, and return whether there was anything."""
        waited = False
        while self.gave_up is None:
            pause = max(self._limiter.paused_until, breaker.next_probe_at) - self._clock()
            rejected = self._credentials if self._credentials and self._credentials.has_rejected_key else None
            if rejected is not None:
                pause = max(pause, rejected.seconds_until_authorize())
            if pause <= 0:
                if rejected is not None:
                    await rejected.read_connection()
                break
            if pause >= LONG_PAUSE_SECONDS:
                self._warn_waiting(f"The next call goes out at {self._time(self._clock() + pause)}.")
            waited = True
            await self._sleep(min(pause, KEPT_BACK_SECONDS))
        return waited

    def succeeded(self, attempts: Attempts) -> None:
        """Take note of a call that succeeded."""
        self._limiter.accepted()
        self._served += 1
        self._under_way = True
        self._breakers[attempts.kind].responded()

    def lost(self, attempts: Attempts, error: errors.WorkflowsError | None = None) -> None:
        """Take note of a lost response: where that goes on, calls go out one at a time, and less and less often."""
        self._latest_error = error or self._latest_error
        breaker = self._breakers[attempts.kind]
        breaker.lost()
        if breaker.has_been_losing_for(self._max_outage):
            self.gave_up = errors.ServiceUnavailable(
                "The service's responses to other rows were lost for too long, so this one was not sent. "
                "Try again later."
            )

    async def another(self, attempts: Attempts, error: errors.WorkflowsError) -> bool:
        """Wait, and return whether a call that failed, and may be made again, is to be tried again.

        One that the service refuses for now (429) makes all others wait as well, and so does a rejected key.
        """
        if isinstance(error, errors.FileFailed):
            # It has changed since it was checked, as each other attempt would find: its row fails alone.
            return False
        if not error.is_retryable(under_way=self._under_way):
            self._breakers[attempts.kind].responded()
            return False
        self._latest_error = attempts.error = error
        self._failed += 1
        now = self._clock()
        # An outage is told by what happens to the others, from the latest attempt on: a call that fails a moment
        # before the last success of another one would else count as refused for itself, and be given up.
        alone = attempts.failed(now, self._served)
        limited = isinstance(error, errors.RateLimited)
        if alone:
            outage_end = attempts.outage_since + self._max_outage
            if now >= outage_end:
                self.gave_up = error
                return False
            self._warn_waiting(f"It goes on by itself, or gives up at {self._time(outage_end)}.")
        elif attempts.failures > 1:
            if attempts.failures_beside_others >= self._max_attempts and not limited:
                return await self._is_outage_beginning(attempts)
            if now - attempts.refused_since >= self._max_outage:
                return False
        if limited:
            self._limiter.refused(error.retry_after, longest=self._max_outage)
        else:
            await self._sleep(self._backoff.seconds(attempts.failures, error.retry_after, self._draw()))
        return True

    async def _is_outage_beginning(self, attempts: Attempts) -> bool:
        """Wait, and return whether meanwhile other calls have failed, and none was served.

        A call that has used up its attempts beside others may have met an outage at its last one.
        """
        served, failed = self._served, self._failed
        await self._sleep(self._backoff.seconds(attempts.failures, draw=self._draw()))
        return self._served == served and self._failed > failed

    def _warn_waiting(self, how_long: str) -> None:
        """Say in the log that the batch waits and why, once in a while; ``how_long`` is a sentence."""
        if (now := self._clock()) >= self._warning_due:
            self._warning_due = now + WARNING_INTERVAL_SECONDS
            log.warning("The batch waits for the service. %s %s", how_long, self._latest_error or "")

    def _time(self, moment: float) -> str:
        """Return a moment of the clock as a log line names it."""
        return utc_time(self._now() + moment - self._clock())
