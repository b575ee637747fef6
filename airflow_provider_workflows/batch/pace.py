"""What all calls of a batch have in common: a cap on their rate, one pause for all, one budget for an outage."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.exchange import pause_before


@dataclass(slots=True)
class Attempts:
    """The failed attempts at one call.

    :param failures: how many there were
    :param failing_since: when the first was, in monotonic seconds
    """

    failures: int = 0
    failing_since: float = 0.0


class Pace:
    """Says when the next call may go out, and whether one that failed is worth another attempt.

    :param requests_per_second: how many calls go out in a second at most; None for no cap
    :param tries: how often a call is tried at most while others succeed
    :param outage_seconds: for how long it is tried while none succeeds; then ``gave_up`` is the error
    """

    def __init__(self, requests_per_second: float | None, *, tries: int, outage_seconds: float) -> None:
        self._rate = requests_per_second
        self._tries = tries
        self.outage_seconds = outage_seconds
        self.gave_up: errors.WorkflowsError | None = None
        self._next_slot = 0.0
        self._paused_until = 0.0
        self._limited = 0
        self._last_success = 0.0

    async def turn(self) -> None:
        """Return when a call may go out."""
        while True:
            if self._rate is not None:
                now = time.monotonic()
                slot = self._next_slot = max(self._next_slot + 1 / self._rate, now)
                await asyncio.sleep(slot - now)
            # Asked again after each sleep: another call may have been refused meanwhile.
            if (pause := self._paused_until - time.monotonic()) <= 0:
                return
            # Those that a pause has kept back take a slot again, and do not go out all at once.
            await asyncio.sleep(pause)

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._limited = 0
        self._last_success = time.monotonic()

    async def another(self, attempts: Attempts, error: errors.WorkflowsError) -> bool:
        """Whether a call that failed, and surely was not carried out, is to be tried again; waits before it is.

        One that the service refuses for now (429) makes all others wait as well.
        """
        if not (error.transient or isinstance(error, errors.AuthenticationFailed)):
            return False
        now = time.monotonic()
        if attempts.failures == 0:
            attempts.failing_since = now
        attempts.failures += 1
        limited = isinstance(error, errors.RateLimited)
        nobody_succeeds = self._last_success < attempts.failing_since
        if attempts.failures >= self._tries and not (limited or nobody_succeeds):
            return False
        if now - attempts.failing_since >= self.outage_seconds:
            self.gave_up = error if nobody_succeeds else None
            return False
        if limited:
            # Calls that were under way together are refused together, and count once.
            self._limited += now >= self._paused_until
            pause = pause_before(self._limited, error.retry_after, lambda: 1.0)
            self._paused_until = max(self._paused_until, now + min(pause, self.outage_seconds))
        else:
            await asyncio.sleep(pause_before(attempts.failures, error.retry_after, random.random))
        return True
