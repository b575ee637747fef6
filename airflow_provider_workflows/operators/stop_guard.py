"""Ends the calls of a task in order once it is told to stop: nothing new begins, and what is under way ends.

Those of a batch are ended by ``batch/ownership.py``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import Stopped

if TYPE_CHECKING:
    from airflow_provider_workflows.api.effects import SendRequest
    from airflow_provider_workflows.batch.ownership import Ownership

#: A pause is slept in parts of this many seconds, so that a stop, or a supervisor's death, is seen soon.
_NAP_SECONDS = 0.25


class StopGuard:
    """What the client of a task with a single run sends its requests through (``api.client.Guard``).

    Airflow tells a task to stop by SIGTERM, whose handler calls ``on_kill``, and kills it 5 s later. Until then no
    request begins any more. The request that starts a run ends by itself, because only its response says whether
    there is a run; any other one is cut, because its response could take longer than that.

    :param ownership: says whether this try may still act
    :param sleep: sleeps for a number of seconds
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        ownership: Ownership,
        *,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ownership = ownership
        self._sleep = sleep
        self._clock = clock
        self._may_be_cut = False
        #: Called before a request that starts a run is sent; raises if none may be started.
        self.before_run: Callable[[], object] | None = None
        #: Whether a request that starts a run was sent.
        self.has_sent_run = False

    @property
    def may_act(self) -> bool:
        """Whether something new may begin."""
        return self._ownership.may_act

    def require(self) -> None:
        """Return if something new may begin.

        :raises Stopped: saying why it may not
        """
        self._ownership.require()

    @contextlib.contextmanager
    def sending(self, request: SendRequest) -> Iterator[None]:
        """Let a request be sent if something new may begin.

        :raises Stopped: if nothing new may begin, or once the request was cut
        :raises Exception: what ``before_run`` has raised
        """
        # Set first: a stop that comes in between is seen by what follows.
        self._may_be_cut = request.repeatable
        try:
            self.require()
            if not request.repeatable:
                if self.before_run is not None:
                    self.before_run()
                self.has_sent_run = True
            yield
        finally:
            self._may_be_cut = False

    def sleep(self, seconds: float) -> None:
        """Sleep for a number of seconds.

        :raises Stopped: as soon as nothing new may begin
        """
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            self.require()
            self._sleep(min(left, _NAP_SECONDS))
        self.require()

    def stop(self, reason: str) -> None:
        """Let nothing new begin; safe in a signal handler.

        :param reason: why, as a sentence without its full stop
        """
        self._ownership.stop(reason)

    def cut(self) -> None:
        """Cut the request that is under way, if it may be; for a signal handler, which runs in the midst of it.

        :raises Stopped: out of the request
        """
        if self._may_be_cut and not self.may_act:
            self._may_be_cut = False
            raise Stopped(
                "The task was told to stop while it waited for a response. A retry goes on from here."
            )
