"""The attempts of one call: how many there are, how long the pauses between them are, and when it is given up."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.api.retry import Backoff

log = logging.getLogger(__name__)


class Attempts:
    """Count the attempts of one call.

    :param max_attempts: how many there are at most
    :param retry_seconds: seconds after the first failed attempt in which another may begin
    :param backoff: how the pauses grow
    :param clock: monotonic seconds
    :param draw: a random number from 0 to 1
    """

    def __init__(
        self,
        max_attempts: int,
        retry_seconds: float,
        backoff: Backoff,
        clock: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        self._max_attempts = max_attempts
        self._retry_seconds = retry_seconds
        self._backoff = backoff
        self._clock = clock
        self._draw = draw
        self._failed = 0
        #: The moment from which on no attempt begins. It is counted from the first failure: the time in the queue
        #: for a connection does not count.
        self.deadline = float("inf")

    def pause(self, error: WorkflowsError) -> float:
        """Return the seconds until the next attempt, after one that has failed.

        :param error: what it has failed with
        :raises WorkflowsError: that error, if there is no other attempt
        """
        self._failed += 1
        if not error.is_retryable() or self._failed >= self._max_attempts:
            raise error
        moment = self._clock()
        self.deadline = min(self.deadline, moment + self._retry_seconds)
        pause = self._backoff.seconds(self._failed, error.retry_after, self._draw())
        if moment + pause >= self.deadline:
            raise error
        log.warning(
            "%s Trying again in %.1f seconds (attempt %d of %d).",
            error,
            pause,
            self._failed + 1,
            self._max_attempts,
        )
        return pause
