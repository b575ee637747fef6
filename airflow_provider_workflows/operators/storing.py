"""Writes to Airflow's task state store that may fail: tried again for a while, or as well as can be."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.retry import Backoff
from airflow_provider_workflows.batch.ownership import CALLS_END_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: For so long a failing write is tried again: an API server that is restarted is back by then.
STORE_SECONDS = 120.0
#: The pause after the first failed write, and the longest one, in seconds.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
#: A pause is slept in parts of this many seconds, so that a stop is seen soon.
_NAP_SECONDS = 0.25


class Storing:
    """Writes what must not be lost, and tries again while that fails.

    :param log: the task's log
    :param may_act: returns whether the task may go on; once it may not, a write has a few seconds left, since
        Airflow kills the process 5 s after SIGTERM
    :param sleep: sleeps for a number of seconds
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        log: Any,
        *,
        may_act: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._may_act = may_act
        self._sleep = sleep
        self._clock = clock

    def write(self, write: Callable[[], object], what: str) -> bool:
        """Return whether ``write`` has succeeded within two minutes.

        :param write: writes; it may raise anything
        :param what: what is written, for the log
        """
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        end = self._clock() + STORE_SECONDS
        failures = 0
        while True:
            try:
                write()
            except Exception as error:  # noqa: BLE001  (whatever the class: what is written must not be lost)
                failures += 1
                reason = type(error).__name__
            else:
                return True
            end = self._end(end)
            pause = min(backoff.seconds(failures), end - self._clock())
            if pause <= 0:
                return False
            self._log.warning(
                "Airflow's task state store could not be written (%s). %s is written again in %.0f s.",
                reason,
                what,
                pause,
            )
            self._pause(pause)

    def _pause(self, seconds: float) -> None:
        end = self._clock() + seconds
        might_act = self._may_act()
        while (left := end - self._clock()) > 0 and self._may_act() == might_act:
            self._sleep(min(left, _NAP_SECONDS))

    def _end(self, end: float) -> float:
        """Return when to give up: soon, once the task has to stop."""
        if self._may_act():
            return end
        self._may_act = lambda: False
        return min(end, self._clock() + CALLS_END_SECONDS)


@contextlib.contextmanager
def best_effort(log: Any) -> Iterator[None]:
    """Log what goes wrong with Airflow's store, so that it does not take the place of the task's own error.

    :param log: the task's log
    """
    try:
        yield
    except Exception:
        log.exception("Airflow's task state store could not be written.")
