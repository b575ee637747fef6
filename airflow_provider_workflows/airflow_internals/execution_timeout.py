"""Airflow's interruption of a task at its ``execution_timeout``, held back while something is under way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

#: What is under way has this many seconds to end; then it is interrupted after all.
MAX_HELD_BACK_SECONDS = 10.0


@contextlib.contextmanager
def held_back(stop: Callable[[], None], *, max_seconds: float = MAX_HELD_BACK_SECONDS) -> Iterator[None]:
    """Let a block end by itself once ``execution_timeout`` has passed, and interrupt the task after it.

    Airflow's handler of SIGALRM raises ``AirflowTaskTimeout`` in the midst of whatever runs, so that the response
    to a call that starts a run would be lost. Where no timeout is set, nothing changes.

    :param stop: has the block end soon; it is called in a signal handler, at the time when Airflow would interrupt,
        and may raise, which ends the block
    :param max_seconds: how long the block may go on after that
    :raises AirflowTaskTimeout: at the end of the block, if the time has passed meanwhile; or in its midst, if it
        has not ended ``max_seconds`` later
    """
    interrupt = signal.getsignal(signal.SIGALRM)
    if not callable(interrupt) or threading.current_thread() is not threading.main_thread():
        yield
        return
    passed: list[tuple[int, FrameType | None]] = []

    def hold_back(number: int, frame: FrameType | None) -> None:
        if passed:
            interrupt(number, frame)
        passed.append((number, frame))
        signal.setitimer(signal.ITIMER_REAL, max_seconds)
        stop()

    signal.signal(signal.SIGALRM, hold_back)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, interrupt)
        if passed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupt(*passed[0])
