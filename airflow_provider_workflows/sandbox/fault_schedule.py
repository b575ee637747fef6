"""Which of the things that were ordered to go wrong do so now."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Protocol, TypeVar

from pydantic import Field

Times = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]

AnyFault = TypeVar("AnyFault", bound="ScheduledFault")


class ScheduledFault(Protocol):
    """An fault that comes true each time, the next ``times`` times, or with the probability ``share``."""

    @property
    def times(self) -> int | None: ...  # noqa: D102

    @property
    def share(self) -> float | None: ...  # noqa: D102


def check_schedule(fault: ScheduledFault) -> None:
    """Make sure that an fault does not say both how often and how probably it comes true.

    :raises ValueError: when it does
    """
    if fault.times is not None and fault.share is not None:
        raise ValueError("give times or share, not both")


@dataclass
class _Pending(Generic[AnyFault]):
    fault: AnyFault
    times_left: int | None


class FaultSchedule(Generic[AnyFault]):
    """The fault in force, oldest first; may be changed from any thread.

    :param seed: of the random numbers that ``share`` is decided by
    """

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        # Nothing secret hangs on these numbers, and a seed makes a test repeatable.
        self._random = random.Random(seed)  # noqa: S311
        self._pending: list[_Pending[AnyFault]] = []

    def __iter__(self) -> Iterator[AnyFault]:
        with self._lock:
            return iter([pending.fault for pending in self._pending])

    def add(self, fault: AnyFault) -> None:
        """Put ``fault`` behind those in force."""
        with self._lock:
            self._pending.append(_Pending(fault, fault.times))

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._pending.clear()

    def draw(self, applies: Callable[[AnyFault, Sequence[AnyFault]], bool]) -> list[AnyFault]:
        """Return the fault that come true now.

        :param applies: told an fault and those drawn before it, whether it is asked at all; those that are
            not are left for later
        """
        drawn: list[AnyFault] = []
        if not self._pending:
            return drawn
        with self._lock:
            for pending in self._pending:
                fault = pending.fault
                if not applies(fault, drawn):
                    continue
                if fault.share is not None and self._random.random() >= fault.share:
                    continue
                if pending.times_left is not None:
                    pending.times_left -= 1
                drawn.append(fault)
            self._pending = [pending for pending in self._pending if pending.times_left != 0]
        return drawn
