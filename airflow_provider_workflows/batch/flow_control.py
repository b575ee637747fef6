"""What all calls of a batch share: the rate limiter, the circuit breakers, and how long an outage is waited out."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from airflow_provider_workflows.api import errors, retry
from airflow_provider_workflows.api.retry import Backoff, CircuitBreaker, RateLimiter

#: A call that is kept back asks again after this many seconds: what keeps it back may end earlier, or later.
KEPT_BACK_SECONDS = 1.0


@dataclass(slots=True)
class Attempts:
    """The failed attempts at one call.

    :param kind: kind of call; responses to one kind may be lost while those to another come
    :param failures: number of attempts that have failed
    :param failing_since: when the first one failed, in monotonic seconds
    """

    kind: str = ""
    failures: int = 0
    failing_since: float = 0.0


class FlowControl:
    """Says when the next call may go out, and whether one that failed is worth another attempt.

    :param requests_per_second: how many calls go out in a second at most; None for no cap
    :param max_attempts: how often a call is tried at most while others succeed
    :param max_outage: seconds for which it is tried while none succeeds; then ``gave_up`` is the error
    :param backoff: how pauses grow; ``retry.BACKOFF`` if None
    :param clock: monotonic seconds
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
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._max_attempts = max_attempts
        self._max_outage = max_outage
        self._backoff = retry.BACKOFF if backoff is None else backoff
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._limiter = RateLimiter(requests_per_second, backoff=self._backoff, clock=clock)
        #: By kind of call.
        self._breakers = defaultdict[str, CircuitBreaker](
            functools.partial(CircuitBreaker, backoff=self._backoff, clock=clock)
        )
        self._last_success = float("-inf")
        self._under_way = True
        self.gave_up: errors.WorkflowsError | None = None

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
            if pause <= 0:
                break
            waited = True
            await self._sleep(min(pause, KEPT_BACK_SECONDS))
        return waited

    def succeeded(self, attempts: Attempts) -> None:
        """Take note of a call that succeeded."""
        self._limiter.accepted()
        self._last_success = self._clock()
        self._under_way = True
        self._breakers[attempts.kind].responded()

    def lost(self, attempts: Attempts) -> None:
        """Take note of a lost response: where that goes on, calls go out one at a time, and less and less often."""
        breaker = self._breakers[attempts.kind]
        breaker.lost()
        if breaker.has_been_losing_for(self._max_outage):
            self.gave_up = errors.ServiceUnavailable(
                "The service's responses to other rows were lost for too long, so this one was not sent. "
                "Try again later."
            )

    async def another(self, attempts: Attempts, error: errors.WorkflowsError) -> bool:
        """Wait, and return whether a call that failed, and may be made again, is to be tried again.

        One that the service refuses for now (429) makes all others wait as well.
        """
        if not error.is_retryable(under_way=self._under_way):
            self._breakers[attempts.kind].responded()
            return False
        now = self._clock()
        if attempts.failures == 0:
            attempts.failing_since = now
        attempts.failures += 1
        limited = isinstance(error, errors.RateLimited)
        none_succeeds = self._last_success < attempts.failing_since
        if attempts.failures >= self._max_attempts and not (limited or none_succeeds):
            return False
        if now - attempts.failing_since >= self._max_outage:
            if none_succeeds:
                self.gave_up = error
            return False
        if limited:
            self._limiter.refused(error.retry_after, longest=self._max_outage)
        else:
            await self._sleep(self._backoff.seconds(attempts.failures, error.retry_after, self._draw()))
        return True
