"""Which faults apply to the request, or to the webhook, that is there now: the fault schedule."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_workflows.sandbox.faults import Aspect, Fault, WebhookFault
from airflow_provider_workflows.sandbox.route import Route

AnyFault = TypeVar("AnyFault", Fault, WebhookFault)


@dataclass
class _Scheduled(Generic[AnyFault]):
    fault: AnyFault
    times_left: int | None


class FaultSchedule(Generic[AnyFault]):
    """The faults in force, oldest first; may be changed from any thread.

    :param seed: of the random numbers that ``share`` is decided by
    """

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        # No secret depends on these numbers, and a seed makes a test reproducible.
        self._random = random.Random(seed)  # noqa: S311
        self._scheduled: list[_Scheduled[AnyFault]] = []

    def __iter__(self) -> Iterator[AnyFault]:
        with self._lock:
            return iter([scheduled.fault for scheduled in self._scheduled])

    def add(self, fault: AnyFault) -> None:
        """Put ``fault`` behind those in force."""
        with self._lock:
            self._scheduled.append(_Scheduled(fault, fault.times))

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._scheduled.clear()

    def _draw(self, applies: Callable[[AnyFault, Sequence[AnyFault]], bool]) -> list[AnyFault]:
        """Return the faults that apply now, and count them off.

        :param applies: receives a fault and the faults drawn before it, and returns whether it may be drawn.
            A fault that may not is left for later.
        """
        drawn: list[AnyFault] = []
        if not self._scheduled:
            return drawn
        with self._lock:
            for scheduled in self._scheduled:
                fault = scheduled.fault
                if not applies(fault, drawn):
                    continue
                if fault.share is not None and self._random.random() >= fault.share:
                    continue
                if scheduled.times_left is not None:
                    scheduled.times_left -= 1
                drawn.append(fault)
            self._scheduled = [scheduled for scheduled in self._scheduled if scheduled.times_left != 0]
        return drawn


class Faults(FaultSchedule[Fault]):
    """The faults of requests in force."""

    def draw(self, route: Route) -> tuple[float, Fault | None]:
        """Return what goes wrong with the request of ``route`` that has arrived.

        :returns: the seconds by which it is delayed, and the first other fault that applies. The faults
            behind that one are left for later requests.
        """
        drawn = self._draw(
            lambda fault, before: (
                fault.matches(route)
                and (fault.seconds is not None or all(each.seconds is not None for each in before))
            )
        )
        delay = sum(fault.seconds for fault in drawn if fault.seconds is not None)
        return delay, next((fault for fault in drawn if fault.seconds is None), None)


class WebhookFaults(FaultSchedule[WebhookFault]):
    """The faults of webhooks in force."""

    def draw(self) -> dict[Aspect, WebhookFault]:
        """Return what goes wrong with the webhook of the workflow that is run now, by aspect."""
        drawn = self._draw(lambda fault, before: fault.aspect not in {each.aspect for each in before})
        return {fault.aspect: fault for fault in drawn}
