"""What all actions need: what they happen to, and whether the time for one of them has come."""

from __future__ import annotations

import random

import psutil  # type: ignore[import-untyped]  # comes with Airflow

from development.chaos.occurrences import Occurrences
from development.chaos.system import BATCH, SINGLE_RUNS, System, TaskState

#: The batch has this many calls under way at most (the operator's ``max_concurrency``).
CALLS_UNDER_WAY = 32


class NotNow(Exception):
    """The action cannot be done at this time; it is left for later."""


class Actor:
    """Does what happens.

    :param system: what it happens to
    :param chance: where everything is drawn from
    :param occurrences: where everything is noted
    """

    def __init__(self, system: System, chance: random.Random, occurrences: Occurrences) -> None:
        self.system = system
        self.chance = chance
        self.occurrences = occurrences

    def require_batch(self, state: str) -> None:
        """Return if the batch is in a state.

        :param state: ``running`` for one that submits, ``deferred`` or ``success``
        :raises NotNow: if it is not
        """
        system = self.system
        is_there = {
            "running": lambda: system.is_submitting(BATCH),
            "deferred": lambda: system.task(BATCH).state == "deferred",
            "success": lambda: system.has_succeeded(BATCH),
        }
        if not is_there[state]():
            raise NotNow

    def submitting_process(self) -> psutil.Process:
        """Return the process of the batch's task.

        :raises NotNow: if the batch does not submit
        """
        self.require_batch("running")
        process = self.system.process(self.system.task(BATCH))
        if process is None:
            raise NotNow
        return process

    def single_run(self, state: str) -> TaskState:
        """Return one of the tasks with a single run that are in a state of Airflow's.

        :raises NotNow: if no task is
        """
        tasks = [
            task for task in self.system.tasks(SINGLE_RUNS) if task.state == state and task.map_index >= 0
        ]
        if not tasks:
            raise NotNow
        return self.chance.choice(tasks)
