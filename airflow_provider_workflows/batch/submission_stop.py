"""Whether a person has asked that nothing more be submitted, while a task submits."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from airflow_provider_workflows.api.errors import SubmissionStopped

#: A pause before a call is slept in parts of this many seconds, so that a stop is seen soon.
_NAP_SECONDS = 1.0


class SubmissionStop:
    """What a person has asked for by the button that stops the submission; what runs is waited for all the same.

    :param read: returns the name of the person who has asked, from Airflow's store; None while nobody has
    :param log: the task's log
    """

    def __init__(self, read: Callable[[], str | None] | None = None, *, log: Any = None) -> None:
        self._read = read
        self._log = log
        self._is_submitting = False
        self._has_logged = False
        #: Name of the person who has asked while rows were submitted; None while nobody has.
        self.asked_by: str | None = None

    def check(self) -> None:
        """Read whether somebody has asked; called in a thread every few seconds.

        :raises Exception: if Airflow's store cannot be read
        """
        if self._read is None or self._has_logged:
            return
        asked_by = self._read()
        if asked_by is None:
            return
        self._has_logged = True
        if self._is_submitting:
            self.asked_by = asked_by
            self._warn(
                "%s has asked to stop the submission: no new row begins, and calls under way end.", asked_by
            )
        else:
            self._warn(
                "%s has asked to stop the submission. No row is being submitted, so the task goes on.",
                asked_by,
            )

    def was_followed(self) -> None:
        """Take note that what is asked for was followed before this process has begun."""
        if not self._is_submitting:
            self._has_logged = True

    @contextlib.contextmanager
    def submitting(self) -> Iterator[None]:
        """Have a stop hold within the block."""
        self._is_submitting = True
        try:
            yield
        finally:
            self._is_submitting = False

    def require(self) -> None:
        """Return if something may be submitted.

        :raises SubmissionStopped: if somebody has asked to stop
        """
        if self.asked_by is not None:
            raise SubmissionStopped(
                f"{self.asked_by} has stopped the submission. The next clear goes on with it."
            )

    async def sleep(self, seconds: float, nap: Callable[[float], Awaitable[object]]) -> None:
        """Sleep for a number of seconds before a call that submits something.

        :param seconds: how long
        :param nap: sleeps for a number of seconds
        :raises SubmissionStopped: soon after somebody has asked to stop
        """
        left = seconds
        while left > 0:
            self.require()
            await nap(min(left, _NAP_SECONDS))
            left -= _NAP_SECONDS
        self.require()

    def _warn(self, line: str, asked_by: str) -> None:
        if self._log is not None:
            self._log.warning(line, asked_by)
