"""What is done in a chaos run: each action, when it can be done, and how often it is."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]  # comes with Airflow

from development.chaos.occurrences import Occurrences
from development.chaos.system import (
    BATCH,
    GRACE_SECONDS,
    LONGEST_CALL_SECONDS,
    SINGLE_RUNS,
    START_OVER,
    System,
    TaskState,
)

#: The batch has this many calls under way at most (the operator's ``max_concurrency``).
CALLS_UNDER_WAY = 32
#: An orphan starts nothing more this many seconds after its supervisor's death.
ORPHAN_SECONDS = 10.0
STORAGE_FAILS_SECONDS = 30.0
SERVICE_DOWN_SECONDS = 60.0
RUNS_FAIL_SECONDS = 10.0
#: The share of the rows that an export corrects.
SHARE_OF_CORRECTIONS = 0.2


class NotNow(Exception):
    """The action cannot be done at this time; it is left for later."""


@dataclass(frozen=True)
class Action:
    """Something that happens.

    :param name: what it is, in the words of the table
    :param times: how often it is done in the long form
    :param times_in_short: how often in the short form
    :param do: does it, or raises ``NotNow``
    """

    name: str
    times: int
    times_in_short: int
    do: Callable[[Chaos], None]


class Chaos:
    """Does what happens.

    :param system: what it happens to
    :param chance: where everything is drawn from
    :param occurrences: where everything is noted
    """

    def __init__(self, system: System, chance: random.Random, occurrences: Occurrences) -> None:
        self.system = system
        self.chance = chance
        self.occurrences = occurrences

    def end_component(self, kind: str, number: int) -> None:
        """End a component by a signal, and start it again as an init system does.

        :param kind: what its name begins with
        :param number: the signal
        """
        stack = self.system.stack
        running = [
            name for name in stack.topology.components if name.startswith(kind) and stack.is_running(name)
        ]
        if not running:
            raise NotNow
        self._end(self.chance.choice(running), number)

    def end_worker_of_batch(self, number: int) -> None:
        """End the worker whose task submits the batch."""
        process = self._submitting_process()
        name = self.system.worker_of(process)
        if name is None:
            raise NotNow
        if number == signal.SIGKILL:
            self.occurrences.must_end(f"SIGKILL of {name}", process, CALLS_UNDER_WAY, 0.0)
        self._end(name, number)

    def _end(self, name: str, number: int) -> None:
        system, occurrences = self.system, self.occurrences
        pause = self.chance.uniform(0.5, 3.0)

        def kill() -> None:
            system.stack.kill(name)
            occurrences.killed(system)
            occurrences.later(pause, f"{name} starts again", lambda: self._start(name))

        if number == signal.SIGKILL:
            kill()
            return
        system.stack.terminate(name)
        self._kill_what_is_left(name, GRACE_SECONDS, kill, pause)

    def _kill_what_is_left(self, name: str, seconds: float, kill: Callable[[], None], pause: float) -> None:
        """Start a component again once it has ended, and kill it when it has not within a number of seconds."""
        stack, occurrences = self.system.stack, self.occurrences

        def check() -> None:
            if not stack.is_running(name) and not stack.members(name):
                occurrences.later(pause, f"{name} starts again", lambda: self._start(name))
            elif seconds <= 0:
                kill()
            else:
                self._kill_what_is_left(name, seconds - 1.0, kill, pause)

        occurrences.later(1.0, "", check)

    def _start(self, name: str) -> None:
        # A component that was told to end may have been killed meanwhile, and started for that.
        if not self.system.stack.is_running(name):
            self.system.stack.start(name, wait=False)

    def end_supervisor_of_batch(self, number: int) -> None:
        """End the supervisor of the batch's task: the task's own process becomes an orphan."""
        process = self._submitting_process()
        self.occurrences.must_end(
            f"{signal.Signals(number).name} to the supervisor", process, 0, ORPHAN_SECONDS
        )
        _send(process.parent(), number)
        if number == signal.SIGKILL:
            self.occurrences.killed(self.system)

    def end_process_of_batch(self, number: int) -> None:
        """End the batch's task process."""
        process = self._submitting_process()
        after = 0.0 if number == signal.SIGKILL else None
        self.occurrences.must_end(
            f"{signal.Signals(number).name} to the task process", process, CALLS_UNDER_WAY, after
        )
        _send(process, number)
        if number == signal.SIGKILL:
            process.wait(10)
            self.occurrences.killed(self.system)

    def end_process_of_single_run(self, of_supervisor: bool, number: int) -> None:
        """End the task process of a single run, or its supervisor."""
        task = self._single_run("running")
        process = self.system.process(task)
        victim = process if process is None or not of_supervisor else process.parent()
        if victim is None:
            raise NotNow
        _send(victim, number)
        if number == signal.SIGKILL:
            self.occurrences.killed(self.system)

    def clear_batch(self, state: str) -> None:
        """Clear the batch."""
        process = self._submitting_process() if state == "running" else None
        self._require_batch(state)
        if process is not None:
            self.occurrences.must_end("clear", process, CALLS_UNDER_WAY, None)
        self.system.clear(BATCH)

    def mark_batch_failed(self, state: str) -> None:
        """Mark the batch as failed, and clear it a while later."""
        process = self._submitting_process() if state == "running" else None
        self._require_batch(state)
        if process is not None:
            self.occurrences.must_end("mark failed", process, CALLS_UNDER_WAY, None)
        self.system.mark_failed(BATCH)
        self._clear_later(BATCH, -1)

    def clear_single_run(self, state: str) -> None:
        """Clear a single run."""
        self.system.clear(SINGLE_RUNS, self._single_run(state).map_index)

    def mark_single_run_failed(self, state: str) -> None:
        """Mark a single run as failed, and clear it a while later."""
        map_index = self._single_run(state).map_index
        self.system.mark_failed(SINGLE_RUNS, map_index)
        self._clear_later(SINGLE_RUNS, map_index)

    def _clear_later(self, name: str, map_index: int) -> None:
        def clear() -> None:
            if self.system.tasks(name)[max(map_index, 0)].state == "failed":
                self.system.clear(name, map_index)

        what = f"{name} is cleared, which was marked failed"
        self.occurrences.later(self.chance.uniform(4.0, 8.0), what, clear)

    def start_over(self) -> None:
        """Clear the batch that starts over when it is cleared."""
        if not self.system.has_succeeded(START_OVER):
            raise NotNow
        self.system.clear(START_OVER)
        self.occurrences.start_overs += 1

    def export_in_another_order(self, state: str) -> None:
        """Export the batch's table in another order; clear the batch if it has ended."""
        self._require_batch(state)
        self.system.tables[BATCH].export_in_another_order(self.chance)
        if state == "success":
            self.system.clear(BATCH)

    def correct_rows(self) -> None:
        """Export the batch's table with rows corrected, and clear the batch, which has ended."""
        self._require_batch("success")
        self.system.tables[BATCH].correct(self.chance, SHARE_OF_CORRECTIONS)
        self.system.clear(BATCH)

    def fail_runs(self) -> None:
        """Let all runs of the batch end in a failure status that are started within some seconds."""
        self._require_batch("running")
        service, definition_id = self.system.service, self.system.definitions[BATCH]
        service.define(definition_id, fails=True)
        self.occurrences.later(
            RUNS_FAIL_SECONDS, "Runs succeed again", lambda: void(service.define(definition_id))
        )

    def rotate_token(self) -> None:
        """Replace the organization token at the service, and a while later in the connection."""
        if not self.system.service.is_up:
            raise NotNow
        self.system.service.sandbox.rotate_organization_token()
        self.occurrences.later(
            self.chance.uniform(2.0, 6.0), "The new token is in the connection", self.system.store_token
        )

    def fail_storage(self, state: str) -> None:
        """Let storage fail for half a minute."""
        self._require_batch(state)
        if self.system.storage_flag.exists():
            raise NotNow
        self.system.storage_flag.touch()
        self.occurrences.later(STORAGE_FAILS_SECONDS, "Storage is back", self.system.storage_flag.unlink)

    def stop_service(self, state: str) -> None:
        """Let the service be down for a minute."""
        self._require_batch(state)
        service = self.system.service
        if not service.is_up:
            raise NotNow
        service.refuse()
        latest = time.monotonic() + LONGEST_CALL_SECONDS

        def stop() -> None:
            # A busy machine may take seconds for a response; one that is lost would leave its outcome unknown.
            under_way = self.system.subjects_under_way() - self.occurrences.under_way_at_kills
            if under_way and time.monotonic() < latest:
                self.occurrences.later(1.0, "", stop)
                return
            service.stop()
            self.occurrences.say("The service is down")

        self.occurrences.later(1.0, "", stop)

        def start() -> None:
            service.add_faults()
            service.start()

        self.occurrences.later(SERVICE_DOWN_SECONDS, "The service is up", start)

    def _require_batch(self, state: str) -> None:
        system = self.system
        is_there = {
            "running": lambda: system.is_submitting(BATCH),
            "deferred": lambda: system.task(BATCH).state == "deferred",
            "success": lambda: system.has_succeeded(BATCH),
        }
        if not is_there[state]():
            raise NotNow

    def _submitting_process(self) -> psutil.Process:
        self._require_batch("running")
        process = self.system.process(self.system.task(BATCH))
        if process is None:
            raise NotNow
        return process

    def _single_run(self, state: str) -> TaskState:
        tasks = [
            task for task in self.system.tasks(SINGLE_RUNS) if task.state == state and task.map_index >= 0
        ]
        if not tasks:
            raise NotNow
        return self.chance.choice(tasks)


def void(_: object) -> None:
    """Return nothing."""


def _send(process: psutil.Process | None, number: int) -> None:
    if process is None:
        raise NotNow
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        raise NotNow from None


_SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def _actions() -> Sequence[Action]:
    def action(
        name: str, times: int, times_in_short: int, do: Callable[..., None], *arguments: object
    ) -> Action:
        return Action(name, times, times_in_short, lambda chaos: do(chaos, *arguments))

    kill, terminate = _SIGNALS
    return (
        action("batch submits: SIGKILL to its supervisor", 3, 1, Chaos.end_supervisor_of_batch, kill),
        action("batch submits: SIGTERM to its supervisor", 2, 0, Chaos.end_supervisor_of_batch, terminate),
        action("batch submits: SIGKILL to its process", 2, 0, Chaos.end_process_of_batch, kill),
        action("batch submits: SIGTERM to its process", 2, 0, Chaos.end_process_of_batch, terminate),
        action("batch submits: SIGKILL to its worker", 2, 1, Chaos.end_worker_of_batch, kill),
        action("batch submits: SIGTERM to its worker", 1, 0, Chaos.end_worker_of_batch, terminate),
        action("batch submits: clear", 3, 1, Chaos.clear_batch, "running"),
        action("batch submits: mark failed, then clear", 3, 1, Chaos.mark_batch_failed, "running"),
        action("batch submits: export in another order", 1, 0, Chaos.export_in_another_order, "running"),
        action("batch submits: its runs fail for 10 s", 1, 0, Chaos.fail_runs),
        action("batch submits: storage fails for 30 s", 1, 0, Chaos.fail_storage, "running"),
        action("batch submits: service down for 60 s", 1, 0, Chaos.stop_service, "running"),
        action("batch waits: clear", 2, 1, Chaos.clear_batch, "deferred"),
        action("batch waits: mark failed, then clear", 1, 0, Chaos.mark_batch_failed, "deferred"),
        action("batch waits: storage fails for 30 s", 1, 0, Chaos.fail_storage, "deferred"),
        action("batch succeeded: clear", 1, 1, Chaos.clear_batch, "success"),
        action(
            "batch succeeded: export in another order, clear", 1, 1, Chaos.export_in_another_order, "success"
        ),
        action("batch succeeded: rows corrected, clear", 2, 1, Chaos.correct_rows),
        action("batch that starts over: clear", 1, 0, Chaos.start_over),
        action("single run: clear while it runs", 8, 1, Chaos.clear_single_run, "running"),
        action("single run: clear while it waits", 8, 1, Chaos.clear_single_run, "deferred"),
        action("single run: clear after its success", 8, 1, Chaos.clear_single_run, "success"),
        action(
            "single run: mark failed while it runs, then clear", 4, 0, Chaos.mark_single_run_failed, "running"
        ),
        action(
            "single run: mark failed while it waits, then clear",
            4,
            1,
            Chaos.mark_single_run_failed,
            "deferred",
        ),
        action("single run: SIGKILL to its supervisor", 4, 0, Chaos.end_process_of_single_run, True, kill),
        action(
            "single run: SIGTERM to its supervisor", 2, 0, Chaos.end_process_of_single_run, True, terminate
        ),
        action("single run: SIGKILL to its process", 4, 0, Chaos.end_process_of_single_run, False, kill),
        action("single run: SIGTERM to its process", 4, 0, Chaos.end_process_of_single_run, False, terminate),
        action("triggerer: SIGKILL", 2, 0, Chaos.end_component, "triggerer", kill),
        action("triggerer: SIGTERM", 2, 0, Chaos.end_component, "triggerer", terminate),
        action("scheduler: SIGKILL", 1, 0, Chaos.end_component, "scheduler", kill),
        action("scheduler: SIGTERM", 1, 0, Chaos.end_component, "scheduler", terminate),
        action("API server: SIGKILL", 1, 0, Chaos.end_component, "api-server", kill),
        action("API server: SIGTERM", 1, 0, Chaos.end_component, "api-server", terminate),
        action("worker: SIGTERM", 1, 0, Chaos.end_component, "worker", terminate),
        action("token replaced, then in the connection", 2, 0, Chaos.rotate_token),
    )


ACTIONS = _actions()
CORRECTION = next(action for action in ACTIONS if action.name == "batch succeeded: rows corrected, clear")
"""What gives a batch that has ended something to submit again."""
