"""Log lines that a flood of deliveries must not repeat a thousand times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

#: Such a line is logged this often at most, in seconds.
LOG_INTERVAL_SECONDS = 10.0


class ThrottledWarning:
    """A warning that is logged now and then, with how often there was a reason for it.

    :param log: where to
    :param line: with ``%d`` for the number since the last such line, and ``%s`` for the latest reason
    """

    def __init__(self, log: logging.Logger, line: str) -> None:
        self._log = log
        self._line = line
        self._number = 0
        self._due = 0.0

    def __call__(self, reason: object = "", *, error: Exception | None = None) -> None:
        """Count one more, and log it if a line is due.

        :param reason: what to say of it
        :param error: whose traceback is logged as well
        """
        self._number += 1
        now = time.monotonic()
        if now >= self._due:
            self._log.warning(self._line, self._number, reason, exc_info=error)
            self._number, self._due = 0, now + LOG_INTERVAL_SECONDS
