"""Whether a failed call is repeated, when, and how fast calls may go out: decided here and nowhere else.

Each error says by its ``Retry`` what may be done about it (``docs/retries.md`` has the table); ``api/responses.py``
makes errors of responses, such as ``RateLimited`` of 429. ``api/exchange.py`` repeats single calls,
``batch/flow_control.py`` those of a batch, ``triggers/poller.py`` polls.

The classes below say when: none of them sleeps, sends or draws a random number by itself, so that threads and event
loops use the same ones, and tests wait for nothing.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
#: A ``Retry-After`` of more than a day is cut to a day: it would park a task for good.
MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
#: A circuit breaker opens after this many lost responses in a row. Fewer happen by themselves: each restart of a
#: load balancer cuts some connections.
LOST_RESPONSES_BEFORE_OPEN = 3


class Retry(str, enum.Enum):
    """What may be done about an error. Its value is what is stored of it."""

    NEVER = "never"
    """Nothing: the same call would bring the same error."""
    LATER = "later"
    """Make the same call again, now or later: it may succeed, and does no harm."""
    AFTER_NEW_CREDENTIALS = "after_new_credentials"
    """Make the same call again once the connection has other credentials."""
    UNKNOWN = "unknown"
    """Nothing without a person: nobody knows whether the call was carried out, and a second one may do it twice."""

    def is_retryable(self, *, under_way: bool = False) -> bool:
        """Return whether the same call is worth another attempt, unchanged.

        :param under_way: whether the service has accepted the credentials before, for the same work. Then rejected
            ones have probably been rotated, and the new ones are on their way into the connection. Before that
            they are probably mistyped, and a typo should be reported at once.
        """
        return self is Retry.LATER or (under_way and self is Retry.AFTER_NEW_CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause before an attempt that follows a failed one: it doubles, and is drawn at random (full jitter).

    :param first_seconds: the longest pause before the second attempt
    :param longest_seconds: the longest pause of all
    """

    first_seconds: float = FIRST_PAUSE_SECONDS
    longest_seconds: float = LONGEST_PAUSE_SECONDS

    def seconds(self, failures: int, asked: float | None = None, draw: float = 1.0) -> float:
        """Return the seconds to wait before the next attempt.

        :param failures: number of attempts that have failed so far, 1 or more
        :param asked: seconds that the service asked for by ``Retry-After``; waited at least
        :param draw: a random number from 0 to 1; 1 for the longest pause
        """
        # The exponent is capped, or the float would overflow: an outage may take thousands of attempts.
        seconds = draw * min(self.first_seconds * 2.0 ** min(failures - 1, 30), self.longest_seconds)
        # The jitter comes on top of what was asked: all who were refused together were given the same time.
        return seconds if asked is None else asked + seconds


#: The one set of numbers, for single calls, for the pause after a 429 and for a circuit breaker's probes.
BACKOFF = Backoff()


class RateLimiter:
    """When the next request may go out: a number of them in a second, and none during the pause after a 429.

    The pause is one for all, because the service counts all requests of a key together. Requests that were under
    way together are refused together, and count as one refusal. The pause follows ``BACKOFF`` without jitter
    (0.5, 1, 2, ... 30 seconds, on top of what the service asked for): one that is too short costs a single refused
    request, since the first refusal keeps all others back, and one that is too long costs every request.

    :param requests_per_second: how many requests go out in a second at most; None for no cap
    :param backoff: how the pause grows; ``BACKOFF`` if None
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        requests_per_second: float | None = None,
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 0.0
        self._backoff = BACKOFF if backoff is None else backoff
        self._clock = clock
        self._next_slot = 0.0
        self._refusals = 0
        self.paused_until = 0.0
        self.limit(requests_per_second)

    def limit(self, requests_per_second: float | None) -> None:
        """Change how many requests go out in a second at most."""
        self._interval = 0.0 if requests_per_second is None else 1 / requests_per_second

    def ready_at(self, now: float, *, early: float = 0.0) -> float:
        """Return when the next request may go out, ``now`` or later.

        :param early: seconds by which a request may go out before its slot
        """
        return max(self.paused_until, self._next_slot - early, now)

    def take_slot(self, now: float) -> float:
        """Take the next slot of the rate, and return when it begins, ``now`` or later."""
        if not self._interval:
            return now
        slot = max(self._next_slot, now)
        self._next_slot = slot + self._interval
        return slot

    def refused(self, asked: float | None, *, longest: float) -> None:
        """Take note of a 429: no request goes out for a while.

        :param asked: seconds that the service asked for by ``Retry-After``
        :param longest: seconds after which it is tried again, however long the service asked for
        """
        now = self._clock()
        self._refusals += now >= self.paused_until
        pause = self._backoff.seconds(self._refusals, asked)
        self.paused_until = max(self.paused_until, now + min(pause, longest))

    def accepted(self) -> None:
        """Take note of a request that was not refused: the next pause is a short one again."""
        self._refusals = 0


class CircuitBreaker:
    """Stops calls whose responses are lost, because each may have been carried out and nobody knows.

    It is *closed* at first, and every call goes out. After ``LOST_RESPONSES_BEFORE_OPEN`` lost responses in a row
    it is *open*, and none does. After a pause it is *half-open*: a single call goes out as a probe, and it is open
    again for a longer pause. The first call that is carried out or refused closes it.

    :param backoff: how the pauses between probes grow; ``BACKOFF`` if None
    :param clock: monotonic seconds
    """

    def __init__(
        self, *, backoff: Backoff | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._backoff = BACKOFF if backoff is None else backoff
        self._clock = clock
        self._lost = 0
        self._lost_since = 0.0
        self._probes = 0
        #: Whether every call may go out.
        self.is_closed = True
        #: When the next probe may go out, in seconds of the clock; 0 before the first one.
        self.next_probe_at = 0.0

    def probe(self) -> None:
        """Take note of a probe, a call that goes out while the breaker is not closed: the next one waits."""
        self._probes += 1
        self.next_probe_at = self._clock() + self._backoff.seconds(self._probes)

    def lost(self) -> None:
        """Take note of a lost response."""
        if self._lost == 0:
            self._lost_since = self._clock()
        self._lost += 1
        self.is_closed = self._lost < LOST_RESPONSES_BEFORE_OPEN

    def responded(self) -> None:
        """Take note of a call that was surely carried out, or surely refused."""
        self._lost = self._probes = 0
        self.is_closed = True
        self.next_probe_at = 0.0

    def has_been_losing_for(self, seconds: float) -> bool:
        """Return whether responses have been lost for this long, probes among them."""
        return self._lost > LOST_RESPONSES_BEFORE_OPEN and self._clock() - self._lost_since >= seconds


class TokenBucket:
    """A number of permits at once, and one more after each ``refill_seconds``.

    :param capacity: number of permits at first, and at most
    :param refill_seconds: seconds until one more permit is there
    :param clock: monotonic seconds
    """

    def __init__(
        self, capacity: int, refill_seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._refill_seconds = refill_seconds
        self._clock = clock
        self._left = float(capacity)
        self._left_at = clock()

    def take(self) -> bool:
        """Take a permit, and return whether there was one."""
        now = self._clock()
        self._left = min(self._left + (now - self._left_at) / self._refill_seconds, self._capacity)
        self._left_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Give a permit back that was of no use."""
        self._left = min(self._left + 1, self._capacity)


def retry_after(header: str | None, *, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait (RFC 9110, section 10.2.3).

    :param header: seconds, or an HTTP date; None if the response has no such header
    :param now: seconds since the epoch
    :return: seconds, a day at most; None if there is no header, or it is neither
    """
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            # As asctime writes it, or with a zone that is left out: HTTP dates are UTC (RFC 9110, section 5.6.7).
            date = date.replace(tzinfo=timezone.utc)
        return min(max(0.0, date.timestamp() - now), MAX_RETRY_AFTER_SECONDS)
    except (ValueError, OverflowError):
        return None


#: The standard has whole seconds only.
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
