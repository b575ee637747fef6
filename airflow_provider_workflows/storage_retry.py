"""How long files or Airflow's store are tried again while they fail: what they are given was paid for."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_workflows.api.errors import is_mistake
from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.log_throttle import utc_time

#: Storage that fails is tried again for this many seconds.
MAX_STORAGE_OUTAGE_SECONDS = 120.0
#: Once the task was told to stop, it is tried for this many seconds: Airflow kills the process 5 s after SIGTERM.
AFTER_STOP_SECONDS = 3.0
#: A storage connection is read again once in this many seconds while storage fails: a key may have been rotated.
RENEW_SECONDS = 30.0
#: Storage that works again is found within ten seconds.
BACKOFF = Backoff(longest_seconds=10.0)
_LONGEST_PAUSE_AFTER_STOP_SECONDS = 0.5
#: While it pauses, it sees this often whether the task was told to stop, in seconds.
_STOP_CHECK_SECONDS = 0.25

ResultT = TypeVar("ResultT")


class StorageRetry:
    """Tries again what storage has refused, whatever the exception: Azure's and Google's are not an ``OSError``.

    A refused permission is tried again like all else: with a key that was rotated in the middle everything is
    refused, until the connection is read again.

    It blocks, so that it belongs in a thread, and one thread at a time uses it.

    :param what: what is written or read, as the subject of a sentence
    :param done: what is done to it, ``"written"`` or ``"read"``
    :param meanwhile: what happens while storage fails, as a clause
    :param lasting: exceptions that another attempt would not change, and mistakes likewise; None to try again
        whatever the exception
    :param renew: reads the storage connection again, after an exception
    :param is_stopped: returns whether the task was told to stop; if it was before, each attempt is made once:
        the time that there is after a stop may be over
    :param log: where to say that storage fails, and that it works again
    :param clock: monotonic seconds
    :param now: seconds since the epoch, for the log
    :param sleep: sleeps for a number of seconds
    :param draw: a random number from 0 to 1
    """

    def __init__(
        self,
        what: str,
        done: str = "written",
        *,
        meanwhile: str,
        lasting: tuple[type[Exception], ...] | None = None,
        renew: Callable[[Exception], object] | None = None,
        is_stopped: Callable[[], bool] | None = None,
        log: logging.Logger | Any = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._what = what
        self._done = done
        self._lasting = lasting
        self._meanwhile = meanwhile
        self._renew = renew
        self._is_stopped = is_stopped
        self._log = logging.getLogger(__name__) if log is None else log
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._draw = draw
        self._failing_since: float | None = None
        self._failures = 0
        self._renew_due = float("-inf")
        self._stopped_at: float | None = None
        self._has_given_up = is_stopped is not None and is_stopped()
        self._has_said_so = False

    def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Return what ``work`` returns, which is called until it succeeds or the time is over.

        The time counts from the first failure since storage last worked, over all calls of ``run``.

        :param work: does the same each time, also where it was half done before
        :raises Exception: what ``work`` raised last
        """
        while True:
            try:
                result = work()
            except Exception as error:  # noqa: PERF203  (it is called again after a failure alone)
                if self._lasting is not None and (isinstance(error, self._lasting) or is_mistake(error)):
                    raise
                if not self._is_worth_another(error):
                    self._say_given_up(error)
                    raise
            else:
                if self._failing_since is not None:
                    self._succeeded(self._failing_since)
                return result

    def give_up(self) -> None:
        """Try nothing again from now on; safe in another thread."""
        self._has_given_up = True

    def _is_worth_another(self, error: Exception) -> bool:
        """Pause, and return whether there is time for another attempt."""
        began = self._clock()
        if self._failing_since is None:
            self._failing_since = began
            if began < self._end(began):
                self._log.warning(
                    "%s cannot be %s: %s. It is tried again until %s at the latest; meanwhile %s.",
                    self._what,
                    self._done,
                    failure_reason(error),
                    utc_time(self._now() + self._end(began) - began),
                    self._meanwhile,
                )
        if began >= self._end(self._failing_since):
            return False
        if self._renew is not None and began >= self._renew_due:
            self._renew_due = began + RENEW_SECONDS
            self._renew(error)
        self._failures += 1
        pause = BACKOFF.seconds(self._failures, draw=self._draw())
        while (left := min(began + pause, self._end(self._failing_since)) - self._clock()) > 0:
            self._sleep(min(left, _STOP_CHECK_SECONDS))
            if self._stopped_at is not None:
                pause = min(pause, _LONGEST_PAUSE_AFTER_STOP_SECONDS)
        return True

    def _end(self, failing_since: float) -> float:
        """Return the moment from which on nothing is tried again."""
        if self._has_given_up:
            return float("-inf")
        if self._stopped_at is None and self._is_stopped is not None and self._is_stopped():
            self._stopped_at = self._clock()
        end = failing_since + MAX_STORAGE_OUTAGE_SECONDS
        return end if self._stopped_at is None else min(end, self._stopped_at + AFTER_STOP_SECONDS)

    def _succeeded(self, failing_since: float) -> None:
        self._log.info(
            "%s could be %s again, after %.1f s.", self._what, self._done, self._clock() - failing_since
        )
        self._failing_since, self._failures, self._has_said_so = None, 0, False

    def _say_given_up(self, error: Exception) -> None:
        if not self._has_said_so and self._failing_since is not None:
            self._log.error(
                "%s could not be %s for %.1f s: %s. It is not tried again.",
                self._what,
                self._done,
                self._clock() - self._failing_since,
                failure_reason(error),
            )
        self._has_said_so = True


def failure_reason(error: BaseException) -> str:
    """Return why storage has failed, without the text of the exception: that may hold a name, a query or a key.

    :param error: what was raised: its class is named, with the system's text for its number or its HTTP status
    """
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} ({os.strerror(error.errno)})"
    # Azure's errors have the first, Google's the second.
    for status in (getattr(error, "status_code", None), getattr(error, "code", None)):
        if isinstance(status, int):
            return f"{name} (HTTP {status})"
    return name
