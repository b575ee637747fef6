"""A chaos run: everything that there is to do, in a seeded random order, then time to settle, then the checks."""

from __future__ import annotations

import random
import time
import urllib.error
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from development.chaos.actions import ACTIONS, CORRECTION, Action, Chaos
from development.chaos.actor import NotNow
from development.chaos.checks import Check, Outcome
from development.chaos.occurrences import Occurrences
from development.chaos.system import BATCH, SINGLE_RUNS, START_OVER, Size, System
from tests.harness.running_airflow import NoResponse

TICK_SECONDS = 0.25
#: A person clears a task that has failed this many times at most, and then takes it for unknown.
MAX_CLEARS_OF_FAILED = 5
#: A batch that has failed is cleared this many seconds later, if nothing else has cleared it.
CLEAR_FAILED_SECONDS = 10.0


@dataclass(frozen=True)
class Form:
    """A form of the chaos run.

    :param size: how much there is of everything
    :param pauses: bounds of the seconds between two actions
    :param acts_within: seconds after which no further action is begun
    :param settles_within: seconds that everything then has to come to its end
    :param is_short: whether each action is done as often as in the short form
    """

    size: Size
    pauses: tuple[float, float]
    acts_within: float
    settles_within: float
    is_short: bool = False


LONG = Form(
    Size(500, 3000, 100, requests_per_second=50.0, run_seconds=(20.0, 60.0), poll_seconds=(5.0, 10.0)),
    pauses=(2.0, 12.0),
    acts_within=45 * 60.0,
    settles_within=20 * 60.0,
)
SHORT = Form(
    Size(16, 300, 20, requests_per_second=40.0, run_seconds=(4.0, 8.0), poll_seconds=(2.0, 4.0)),
    pauses=(0.5, 2.0),
    acts_within=240.0,
    settles_within=120.0,
    is_short=True,
)


@dataclass(frozen=True)
class Report:
    """What came of a chaos run.

    :param seed: what everything was drawn from
    :param generation: of the API
    :param size: how much there was of everything
    :param seconds: how long it took
    :param done: how often each action was done
    :param left: the actions that were not done in time, and what did not come to its end
    :param checks: what must hold, and what was found
    :param ended_alone: components that ended though nobody had touched them
    :param logs: the folder with the logs of all tasks, which stays if something does not hold; else None
    """

    seed: int
    generation: int
    size: Size
    seconds: float
    done: Counter[str]
    left: Sequence[str]
    checks: Sequence[Check]
    ended_alone: Sequence[str]
    logs: Path | None

    @property
    def holds(self) -> bool:
        """Whether all that must hold does."""
        return all(check.holds for check in self.checks)


def run(form: Form, seed: int, generation: int = 1) -> Report:
    """Carry out a chaos run.

    :param form: which one
    :param seed: of everything that is drawn
    :param generation: of the API
    :raises StackUnavailable: if this machine has no PostgreSQL or Redis
    :raises AirflowFailed: when the stack does not start
    """
    chance = random.Random(seed)  # noqa: S311  (no secret depends on it)
    began = time.monotonic()
    with System(form.size, seed, generation) as system:
        system.begin()
        ahead = _Sequence(form, chance)
        occurrences = Occurrences()
        chaos = Chaos(system, chance, occurrences)
        keeper = _Keeper(chaos)
        _act(form, chaos, ahead, keeper)
        unsettled = _settle(form, chaos, keeper)
        checks = Outcome(system, occurrences).checks()
        return Report(
            seed,
            generation,
            form.size,
            time.monotonic() - began,
            occurrences.counts,
            [*ahead.names(), *unsettled],
            checks,
            occurrences.ended_alone,
            None if all(check.holds for check in checks) else system.logs.keep(),
        )


class _Sequence:
    """The actions that are still to be done, in an order that is drawn."""

    def __init__(self, form: Form, chance: random.Random) -> None:
        self._actions = [
            action
            for action in ACTIONS
            for _ in range(action.times_in_short if form.is_short else action.times)
        ]
        chance.shuffle(self._actions)

    def __bool__(self) -> bool:
        return bool(self._actions)

    def do_next(self, chaos: Chaos) -> Action | None:
        """Do the first action that can be done now, and return it."""
        tried: set[str] = set()
        for action in self._actions:
            if action.name in tried:
                continue
            tried.add(action.name)
            try:
                action.do(chaos)
            except (NotNow, NoResponse, urllib.error.HTTPError):
                continue
            self._actions.remove(action)
            return action
        return None

    def names(self) -> list[str]:
        """Return the names of what is still to be done."""
        return [
            f"{name} ({times} times)" for name, times in Counter(one.name for one in self._actions).items()
        ]


def _act(form: Form, chaos: Chaos, ahead: _Sequence, keeper: _Keeper) -> None:
    occurrences = chaos.occurrences
    end = time.monotonic() + form.acts_within
    next_at = time.monotonic()
    while ahead and time.monotonic() < end:
        time.sleep(TICK_SECONDS)
        keeper.tick()
        if time.monotonic() < next_at:
            continue
        action = ahead.do_next(chaos)
        if action is None and chaos.system.has_succeeded(BATCH) and not occurrences.is_pending:
            # What is left needs a batch that submits.
            try:
                CORRECTION.do(chaos)
            except (NotNow, NoResponse, urllib.error.HTTPError):
                continue
            action = CORRECTION
        if action is not None:
            occurrences.counts[action.name] += 1
            occurrences.say(action.name)
            next_at = time.monotonic() + chaos.chance.uniform(*form.pauses)


def _settle(form: Form, chaos: Chaos, keeper: _Keeper) -> list[str]:
    """Let everything come to its end, and return what does not in time."""
    end = time.monotonic() + form.settles_within
    while True:
        time.sleep(TICK_SECONDS)
        keeper.tick(everything=True)
        open_tasks = keeper.open_tasks()
        if not open_tasks and not chaos.occurrences.is_pending:
            return []
        if time.monotonic() > end:
            return [f"{task} has not ended" for task in open_tasks]


class _Keeper:
    """Does what init systems and people do of themselves: start what has ended, and clear what has failed."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._clears: Counter[tuple[str, int]] = Counter()
        self._failed_since: dict[tuple[str, int], float] = {}

    def tick(self, *, everything: bool = False) -> None:
        """Do what is due.

        :param everything: whether to clear single runs and failed rows too, so that everything comes to its end
        """
        occurrences, stack = self._chaos.occurrences, self._chaos.system.stack
        occurrences.do_what_is_due()
        for name in stack.ended_alone():
            occurrences.ended_alone.append(name)
            occurrences.say(f"{name} has ended by itself, and starts again")
            stack.kill(name)
            stack.start(name, wait=False)
        for name in (BATCH, START_OVER, *([SINGLE_RUNS] if everything else [])):
            self._clear_failed(name)
        if (
            everything
            and not occurrences.is_pending
            and self._chaos.system.has_succeeded(BATCH)
            and self._has_failed_rows()
        ):
            self._clear(BATCH, -1, "clear because rows had failed")

    def open_tasks(self) -> list[str]:
        """Return the tasks that have not ended, or are still to be cleared."""
        return [
            f"{name} {task.map_index} ({task.state})"
            for name in (BATCH, START_OVER, SINGLE_RUNS)
            for task in self._chaos.system.tasks(name)
            if task.state not in ("success", "failed") or (name, task.map_index) in self._failed_since
        ]

    def _clear_failed(self, name: str) -> None:
        now = time.monotonic()
        for task in self._chaos.system.tasks(name):
            task_key = (name, task.map_index)
            if task.state != "failed" or self._clears[task_key] >= MAX_CLEARS_OF_FAILED:
                self._failed_since.pop(task_key, None)
            elif now - self._failed_since.setdefault(task_key, now) > CLEAR_FAILED_SECONDS:
                self._clear(name, task.map_index, "clear after it had failed")

    def _clear(self, name: str, map_index: int, what: str) -> None:
        try:
            self._chaos.system.clear(name, map_index)
        except (NoResponse, urllib.error.HTTPError):
            return
        self._clears[name, map_index] += 1
        self._failed_since.pop((name, map_index), None)
        self._chaos.occurrences.counts[f"{name}: {what}"] += 1
        self._chaos.occurrences.say(f"{name}: {what}")

    def _has_failed_rows(self) -> bool:
        return self._clears[BATCH, -1] < MAX_CLEARS_OF_FAILED and any(
            row["outcome"] not in ("succeeded", "unknown") for row in self._chaos.system.output_rows(BATCH)
        )
