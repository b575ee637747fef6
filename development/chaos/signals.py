"""Signals to components of the stack, to tasks and to their supervisors."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil  # type: ignore[import-untyped]  # comes with Airflow

from development.chaos.actor import CALLS_UNDER_WAY, Actor, NotNow
from development.chaos.system import GRACE_SECONDS

#: An orphan starts nothing more this many seconds after its supervisor's death.
ORPHAN_SECONDS = 10.0


class Signals(Actor):
    """Ends processes."""

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
        process = self.submitting_process()
        name = self.system.worker_of(process)
        if name is None:
            raise NotNow
        if number == signal.SIGKILL:
            self.occurrences.must_end(f"SIGKILL of {name}", process, CALLS_UNDER_WAY, 0.0)
        self._end(name, number)

    def end_supervisor_of_batch(self, number: int) -> None:
        """End the supervisor of the batch's task: the task's own process becomes an orphan."""
        process = self.submitting_process()
        self.occurrences.must_end(
            f"{signal.Signals(number).name} to the supervisor", process, 0, ORPHAN_SECONDS
        )
        _send(process.parent(), number)
        if number == signal.SIGKILL:
            self.occurrences.killed(self.system)

    def end_process_of_batch(self, number: int) -> None:
        """End the batch's task process."""
        process = self.submitting_process()
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
        task = self.single_run("running")
        process = self.system.process(task)
        victim = process if process is None or not of_supervisor else process.parent()
        if victim is None:
            raise NotNow
        _send(victim, number)
        if number == signal.SIGKILL:
            self.occurrences.killed(self.system)

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


def _send(process: psutil.Process | None, number: int) -> None:
    if process is None:
        raise NotNow
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        raise NotNow from None
