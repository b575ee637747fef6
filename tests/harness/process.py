"""A command in a session of its own, so that all that it started can be found and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # comes with Airflow

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

INTERRUPT_SECONDS = 30.0


def process_of_task(task_instance_id: str) -> psutil.Process | None:
    """Return the process that runs a task instance, or None if it has none; its parent is the task's supervisor.

    :param task_instance_id: id of the task instance
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Airflow gives the process this title.
            if process.cmdline()[:1] == [f"airflow worker -- {task_instance_id}"]:
                return process
    return None


class Process:
    """A command that runs until it ends or is stopped, as a context manager that stops it.

    The session also keeps Ctrl-C of a terminal from the command: its starter decides when it ends.

    :param arguments: the command
    :param environment: all of its environment variables
    :param output: the file that receives its output and errors; without it they can be read as ``lines()``
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: Path | None = None
    ) -> None:
        with contextlib.ExitStack() as files:
            target: int | IO[bytes] = subprocess.PIPE
            if output is not None:
                target = files.enter_context(output.open("ab"))
            self._process = subprocess.Popen(
                arguments,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def lines(self) -> Iterator[str]:
        """Yield each line that it prints, as it comes, without its end."""
        if self._process.stdout is None:
            raise RuntimeError("the output goes to a file")
        for line in self._process.stdout:
            yield line.decode(errors="replace").rstrip("\r\n")

    def wait(self) -> int:
        """Return its exit code when it has ended."""
        return self._process.wait()

    def send_signal(self, number: int) -> None:
        """Send it a signal, and not to what it started."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it as Ctrl-C does, then kill what is left of its session; may be called twice."""
        try:
            if self._process.poll() is None:
                # Not SIGTERM: `airflow standalone` dies of it and leaves its children behind.
                self.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(INTERRUPT_SECONDS)
        finally:
            self.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def kill(self) -> None:
        """Kill it and all that is left of its session, at once."""
        # Again and again, for one may have been starting another one meanwhile.
        for _ in range(100):
            members = self.members()
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            if not members:
                break
            time.sleep(0.05)
        self._process.wait()

    def members(self) -> list[int]:
        """Return the ids of all processes of its session that run."""
        # Not the process group: Airflow puts some of its processes into groups of their own.
        session = self._process.pid
        members = []
        for candidate in psutil.process_iter(["status"]):
            with contextlib.suppress(OSError):
                if os.getsid(candidate.pid) == session and candidate.info["status"] != psutil.STATUS_ZOMBIE:
                    members.append(candidate.pid)
        return members
