"""Log lines for what may happen a thousand times a second."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator

from airflow_provider_workflows.counted import counted

#: A throttled line is logged this often at most, in seconds.
LOG_INTERVAL_SECONDS = 10.0


class ThrottledWarning:
    """A warning that is logged now and then, with how often there was a reason for it.

    :param log: where to
    :param line: with ``%s`` for what has happened since the last such line, and ``%s`` for the latest reason
    :param what: what is counted, as ``counted`` takes it: for one, and for several
    :param interval: seconds between two lines at least
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        log: logging.Logger,
        line: str,
        what: tuple[str, str],
        *,
        interval: float = LOG_INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._line = line
        self._what = what
        self._interval = interval
        self._clock = clock
        self._count = 0
        self._due = float("-inf")

    def __call__(self, reason: object = "", *, error: Exception | None = None) -> None:
        """Count one more, and log it if a line is due.

        :param reason: what to say of it
        :param error: whose traceback is logged as well
        """
        self._count += 1
        now = self._clock()
        if now >= self._due:
            self._log.warning(self._line, counted(self._count, *self._what), reason, exc_info=error)
            self._count, self._due = 0, now + self._interval


def utc_time(moment: float) -> str:
    """Return a moment as a log line names it, such as ``2026-01-31 08:15:00 UTC``.

    :param moment: seconds since the epoch
    """
    return dt.datetime.fromtimestamp(moment, dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


class QuietLogger:
    """Another library's logger that logs warnings and errors only within blocks, of which several may run at once.

    :param name: the logger's name
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._lock = threading.Lock()
        self._blocks = 0
        self._level_before = logging.NOTSET

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Log nothing below a warning within the block; after the last one the logger has its level again."""
        with self._lock:
            if self._blocks == 0:
                self._level_before = self._logger.level
                self._logger.setLevel(max(logging.WARNING, self._logger.getEffectiveLevel()))
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if self._blocks == 0:
                    self._logger.setLevel(self._level_before)
