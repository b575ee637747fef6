"""What one measurement is asked to do, and what it found: all that the processes tell each other."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: A run that does not end.
NEVER = 0
SATURATED, PACED, ENDS = "saturated", "paced", "ends"


@dataclass(frozen=True)
class Plan:
    """One measurement: who waits for how many runs, and for how long that is watched.

    :param candidate: the name of who waits
    :param waiting: for how many runs at once
    :param interval: seconds between two polls of a run; 0 for again at once
    :param window: seconds that are measured, after the first sweep
    :param shortest: seconds after which the first run ends; with ``longest`` at 0 none ever does
    :param longest: seconds after which the last run ends
    """

    candidate: str
    waiting: int
    interval: float = 0.0
    window: float = 5.0
    shortest: float = 0.0
    longest: float = 0.0

    @property
    def scenario(self) -> str:
        """What kind of measurement this is."""
        if self.longest:
            return ENDS
        return PACED if self.interval else SATURATED

    def to_json(self) -> str:
        """Return the plan as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that ``to_json`` gave."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Found:
    """What one measurement found.

    :param cpu_ms_per_poll: CPU time of the whole process in the window, by the polls that the service counted
    :param polls_per_second: in the window
    :param busy: part of the window in which the process had the CPU
    :param first_sweep: seconds until the service had seen each run once
    :param connections_first: connections that the service saw opened until then
    :param connections_per_poll: connections opened in the window, by its polls
    :param longest_stall: seconds for which the event loop was kept from a timer at most, from the start on
    :param kilobytes: resident memory gained since before the first wait, by the number of waits
    :param lookups: how often an Airflow connection was looked up
    :param late: for runs that ended: how long each took, and how much later its end was noticed, in seconds
    """

    cpu_ms_per_poll: float = 0.0
    polls_per_second: float = 0.0
    busy: float = 0.0
    first_sweep: float = 0.0
    connections_first: int = 0
    connections_per_poll: float = 0.0
    longest_stall: float = 0.0
    kilobytes: float = 0.0
    lookups: int = 0
    late: Sequence[tuple[float, float]] = ()

    def to_json(self) -> str:
        """Return what was found as JSON, in one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Found:
        """Return what ``to_json`` gave."""
        found: dict[str, Any] = json.loads(text)
        return cls(**{**found, "late": tuple((length, late) for length, late in found["late"])})


def pin(place: int) -> None:
    """Keep this process to one of the processors that it may use, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[place % len(usable)]})
