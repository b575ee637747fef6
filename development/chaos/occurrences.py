"""What has happened in a chaos run, and what is still to come of it: its record, for the checks and the table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # comes with Airflow

from development.terminal import say
from tests.harness.running_airflow import NoResponse

if TYPE_CHECKING:
    from development.chaos.system import System

#: What could not be done because the API server was away is tried again after this many seconds.
AGAIN_SECONDS = 1.0


@dataclass
class Stop:
    """A process of the batch that has to end, and may start no run any more.

    :param what: what was done to it
    :param process: the process
    :param since: when that was, in seconds since the epoch
    :param last_run_at: from when on it may start no run; None for when its log says that it was told to stop
    :param under_way: number of calls that may be under way then
    :param gone: when it was gone, in seconds since the epoch; None as long as it is there
    """

    what: str
    process: psutil.Process
    since: float
    last_run_at: float | None
    under_way: int
    gone: float | None = None


@dataclass
class Occurrences:
    """What has happened.

    :param started: when the run began, in monotonic seconds
    :param counts: how often each action was done
    :param stops: the processes that had to end
    :param under_way_at_kills: ids of cases and records whose call was under way at a SIGKILL
    :param kills: number of SIGKILLs
    :param start_overs: how often a batch was told to start over
    :param ended_alone: components that ended though nobody had touched them
    """

    started: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    stops: list[Stop] = field(default_factory=list)
    under_way_at_kills: set[str] = field(default_factory=set)
    kills: int = 0
    start_overs: int = 0
    ended_alone: list[str] = field(default_factory=list)
    _due: list[tuple[float, str, Callable[[], None]]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        say(f"{time.monotonic() - self.started:7.1f} s  {text}")

    def later(self, seconds: float, what: str, do: Callable[[], None]) -> None:
        """Do something after a number of seconds, and again when the API server is away.

        :param what: what it is, for the reader; empty for what nobody need read
        """
        self._due.append((time.monotonic() + seconds, what, do))

    @property
    def is_pending(self) -> bool:
        """Whether something is still to be done."""
        return bool(self._due)

    def do_what_is_due(self) -> None:
        """Do what is due, and note which processes are gone."""
        now = time.monotonic()
        due = [one for one in self._due if one[0] <= now]
        self._due = [one for one in self._due if one[0] > now]
        for _, what, do in due:
            self._do(what, do)
        for stop in self.stops:
            if stop.gone is None and not stop.process.is_running():
                stop.gone = time.time()

    def _do(self, what: str, do: Callable[[], None]) -> None:
        try:
            do()
        except NoResponse:
            self.later(AGAIN_SECONDS, what, do)
            return
        if what:
            self.say(what)

    def killed(self, system: System) -> None:
        """Note a SIGKILL, and the calls that were under way."""
        self.kills += 1
        self.under_way_at_kills |= system.subjects_under_way()

    def must_end(self, what: str, process: psutil.Process, under_way: int, after: float | None) -> None:
        """Note that a process has to end.

        :param what: what was done to it
        :param process: the process
        :param under_way: number of calls that may be under way
        :param after: after how many seconds it may start no run; None for when it is told to stop
        """
        now = time.time()
        self.stops.append(Stop(what, process, now, None if after is None else now + after, under_way))
