"""Which of several tries of a task may begin, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from airflow_provider_workflows.api.errors import Stopped
from airflow_provider_workflows.batch import ownership
from airflow_provider_workflows.batch.claim import Claim
from airflow_provider_workflows.batch.ownership import LEASE_SECONDS, UNCONFIRMED_SECONDS, Ownership
from airflow_provider_workflows.batch.process import this_process


class Claims:
    """The latest claim of a task's tries."""

    def __init__(self) -> None:
        self.latest: Claim | None = None

    def read(self) -> Claim | None:
        return self.latest

    def write(self, record: Claim, /) -> None:
        self.latest = record


class Killed(BaseException):
    """The process of a try has ended at once."""


class Clock:
    """Seconds that pass as soon as somebody sleeps.

    :param meanwhile: happens at the first sleep
    """

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self._meanwhile = [meanwhile]

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self._meanwhile:
            self._meanwhile.pop()()


def try_with(claims: Claims, number: int, clock: Clock) -> Ownership:
    return Ownership(claims, try_number=number, clock=clock, sleep=clock.sleep)


@pytest.fixture(scope="module")
def dead_process() -> str:
    machine = this_process().rpartition(":")[0]
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return f"{machine}:{process.pid}"


class TestClaim:
    def test_waits_out_the_lease_after_a_try_that_was_killed_while_it_waited_itself(
        self, dead_process: str
    ) -> None:
        claims, clock = Claims(), Clock()
        try_with(claims, 1, Clock()).claim()

        def kill() -> None:
            raise Killed

        # The first try may be at work on another machine.
        with pytest.raises(Killed):
            try_with(claims, 2, Clock(kill)).claim()
        assert claims.latest is not None
        claims.latest = dataclasses.replace(claims.latest, process=dead_process)

        try_with(claims, 3, clock).claim()

        assert clock.now >= LEASE_SECONDS

    def test_waits_for_nothing_after_a_dead_try_that_had_waited(self, dead_process: str) -> None:
        claims, clock = Claims(), Clock()
        try_with(claims, 1, Clock()).claim()
        try_with(claims, 2, Clock()).claim()
        assert claims.latest is not None
        claims.latest = dataclasses.replace(claims.latest, process=dead_process)

        try_with(claims, 3, clock).claim()

        assert clock.now == 0.0

    def test_of_a_try_that_was_stopped_while_it_waited_is_released_and_the_next_waits_for_the_first(
        self,
    ) -> None:
        claims, clock = Claims(), Clock()
        self._stopped_after(claims, "another machine:1")
        assert claims.latest is not None
        assert claims.latest.is_released

        try_with(claims, 3, clock).claim()

        assert clock.now >= LEASE_SECONDS
        assert claims.latest.has_begun

    def test_waits_for_nothing_once_the_process_has_ended_for_which_a_stopped_try_had_waited(self) -> None:
        claims, clock = Claims(), Clock()
        with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
            self._stopped_after(claims, f"{this_process().rpartition(':')[0]}:{process.pid}")

        try_with(claims, 3, clock).claim()

        assert clock.now == 0.0

    @staticmethod
    def _stopped_after(claims: Claims, process: str) -> None:
        """Have a second try be stopped while it waits for a first one, which is at work in a process."""
        claims.latest = Claim("first", 1, process, has_begun=True)
        second = try_with(claims, 2, Clock(meanwhile=lambda: second.stop("The task was told to stop")))
        with pytest.raises(Stopped):
            second.claim()
        second.release()

    def test_of_a_try_that_was_stopped_before_leaves_the_one_that_is_there(self) -> None:
        claims = Claims()
        try_with(claims, 1, Clock()).claim()
        first, second = claims.latest, try_with(claims, 2, Clock())
        second.stop("The task was told to stop")

        with pytest.raises(Stopped):
            second.claim()
        second.release()

        assert claims.latest == first

    def test_is_refused_where_a_later_try_has_made_one_meanwhile(self) -> None:
        claims, third = Claims(), Claim("third", 3, this_process())
        try_with(claims, 1, Clock()).claim()
        second = try_with(claims, 2, Clock(meanwhile=lambda: claims.write(third)))

        with pytest.raises(Stopped, match="Another try of this task has taken over"):
            second.claim()

        assert claims.latest == third
        assert not second.may_write


class UnreadableClaims(Claims):
    """Claims that Airflow keeps, while nobody can ask it for them.

    :param hangs: whether a question gets no response at all; it is refused otherwise
    """

    def __init__(self, *, hangs: bool) -> None:
        super().__init__()
        self.hangs = hangs
        self.is_away = threading.Event()
        self.is_back = threading.Event()

    def read(self) -> Claim | None:
        if self.is_away.is_set() and not self.is_back.is_set():
            if not self.hangs:
                raise ConnectionError
            self.is_back.wait(30)
        return super().read()


class TestAirflowThatCannotBeAsked:
    @pytest.mark.thorough
    @pytest.mark.parametrize("hangs", [False, True], ids=["refuses", "hangs"])
    async def test_lets_no_row_begin_until_it_can(self, monkeypatch: pytest.MonkeyPatch, hangs: bool) -> None:
        monkeypatch.setattr(ownership, "CLAIM_CHECK_SECONDS", 0.02)
        claims, clock = UnreadableClaims(hangs=hangs), Clock()
        this_try = try_with(claims, 1, clock)
        this_try.claim()
        async with this_try.watched():
            await this_try.turn()
            claims.is_away.set()
            await asyncio.sleep(0.1)
            clock.now += UNCONFIRMED_SECONDS + 1

            row = asyncio.create_task(this_try.turn())
            await asyncio.sleep(0.5)
            has_begun_early = row.done()
            claims.is_back.set()
            await asyncio.wait_for(row, 10)

        assert not has_begun_early
        assert this_try.may_act
