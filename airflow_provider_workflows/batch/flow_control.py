"""What all calls of a batch have in common: a cap on their rate, one pause for all, one budget for an outage."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.exchange import pause_before

#: After so many lost responses, with none in between that came, a service is taken to be in trouble.
LOST_RESPONSES_BEFORE_OPEN = 3


@dataclass(slots=True)
class Attempts:
    """The failed attempts at one call.

    :param kind: of call; responses of one kind may be lost while those of another come
    :param failures: how many there were
    :param failing_since: when the first was, in monotonic seconds
    """

    kind: str = ""
    failures: int = 0
    failing_since: float = 0.0


@dataclass(slots=True)
class _Lost:
    """The responses to calls of one kind that were lost in a row."""

    since: float
    number: int = 0
    probes: int = 0
    next_at: float = 0.0


class FlowControl:
    """Says when the next call may go out, and whether one that failed is worth another attempt.

    :param requests_per_second: how many calls go out in a second at most; None for no cap
    :param max_attempts: how often a call is tried at most while others succeed
    :param max_outage: for how long it is tried while none succeeds; then ``gave_up`` is the error
    """

    def __init__(self, requests_per_second: float | None, *, max_attempts: int, max_outage: float) -> None:
        self._rate = requests_per_second
        self._max_attempts = max_attempts
        self.max_outage = max_outage
        self.gave_up: errors.WorkflowsError | None = None
        self._next_slot = 0.0
        self._paused_until = 0.0
        self._limited = 0
        self._last_success = 0.0
        self._lost: dict[str, _Lost] = {}

    async def turn(self, kind: str = "") -> None:
        """Return when a call may go out; ``kind`` as in ``Attempts``."""
        while True:
            if self._rate is not None:
                now = time.monotonic()
                slot = self._next_slot = max(self._next_slot + 1 / self._rate, now)
                await asyncio.sleep(slot - now)
            # Those that were kept back take a slot again, and do not go out all at once.
            if not await self._kept_back(kind):
                break
        lost = self._lost.get(kind)
        if lost is not None and lost.number >= LOST_RESPONSES_BEFORE_OPEN:
            # One at a time, for each may be one more row of which nobody knows what became.
            lost.probes += 1
            lost.next_at = time.monotonic() + pause_before(lost.probes, None, lambda: 1.0)

    async def _kept_back(self, kind: str) -> bool:
        waited = False
        while self.gave_up is None and (pause := self._allowed_at(kind) - time.monotonic()) > 0:
            waited = True
            # Asked again now and then: what keeps calls back may be over earlier, or later.
            await asyncio.sleep(min(pause, 1.0))
        return waited

    def _allowed_at(self, kind: str) -> float:
        lost = self._lost.get(kind)
        return self._paused_until if lost is None else max(self._paused_until, lost.next_at)

    def succeeded(self, attempts: Attempts) -> None:
        """Take note of a response."""
        self._limited = 0
        self._last_success = time.monotonic()
        self._lost.pop(attempts.kind, None)

    def lost(self, attempts: Attempts) -> None:
        """Take note of a response that was lost: where that goes on, calls go out one at a time, and less often."""
        now = time.monotonic()
        lost = self._lost.setdefault(attempts.kind, _Lost(now))
        lost.number += 1
        if lost.number > LOST_RESPONSES_BEFORE_OPEN and now - lost.since >= self.max_outage:
            self.gave_up = errors.ServiceUnavailable(
                "The service's responses to other rows were lost for too long, so this one was not sent. "
                "Try again later."
            )

    async def another(self, attempts: Attempts, error: errors.WorkflowsError) -> bool:
        """Whether a call that failed, and surely was not carried out, is to be tried again; waits before it is.

        One that the service refuses for now (429) makes all others wait as well.
        """
        if not (error.transient or isinstance(error, errors.AuthenticationFailed)):
            self._lost.pop(attempts.kind, None)
            return False
        now = time.monotonic()
        if attempts.failures == 0:
            attempts.failing_since = now
        attempts.failures += 1
        limited = isinstance(error, errors.RateLimited)
        nobody_succeeds = self._last_success < attempts.failing_since
        if attempts.failures >= self._max_attempts and not (limited or nobody_succeeds):
            return False
        if now - attempts.failing_since >= self.max_outage:
            if nobody_succeeds:
                self.gave_up = error
            return False
        if limited:
            # Calls that were under way together are refused together, and count once.
            self._limited += now >= self._paused_until
            pause = pause_before(self._limited, error.retry_after, lambda: 1.0)
            self._paused_until = max(self._paused_until, now + min(pause, self.max_outage))
        else:
            await asyncio.sleep(pause_before(attempts.failures, error.retry_after, random.random))
        return True
