"""Clocks of the tests' own, so that a test of ten seconds takes none, or two; and waiting for a condition."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop without sockets or threads: when all wait for the time to come, it has come."""

    def __init__(self) -> None:
        self._moment = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._moment

    def advance(self, seconds: float) -> None:
        self._moment += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if timeout and not ready:
            self._loop.advance(timeout)
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop over real sockets and threads on which a second takes a fifth of a second."""

    SPEED = 5

    def __init__(self) -> None:
        self._began, self._began_epoch = time.monotonic(), time.time()
        super().__init__(_Hurrying())

    def time(self) -> float:
        return self._began + (time.monotonic() - self._began) * self.SPEED

    def epoch(self) -> float:
        """Return the seconds since the epoch that go with the loop's time."""
        return self._began_epoch + self.time() - self._began


class _Hurrying(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout and timeout / FastLoop.SPEED)


async def until(condition: Callable[[], object]) -> None:
    """Wait until what happens elsewhere has happened, for 30 seconds on the clock on the wall at most."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


class SleepingClock:
    """Monotonic seconds that go on when somebody sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, end)


class BlockingClock:
    """Monotonic seconds that go on when a thread sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
