"""What servers have in common that the tests start: PostgreSQL, Redis, emulators of object stores."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.harness.process import Process
from tests.harness.running_airflow import AirflowFailed

HOST = "127.0.0.1"
START_SECONDS = 60.0
TAIL_LINES = 40


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Provide a folder for this user only, and remove it with all that it holds."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_response(name: str, process: Process, responds: Callable[[], bool], log: Path) -> None:
    """Wait until a server responds.

    :param name: what it is, for the message
    :param process: its process
    :param responds: returns whether it responds
    :param log: its log
    :raises AirflowFailed: when it has ended or takes too long, with the end of its log
    """
    end = time.monotonic() + START_SECONDS
    while not responds():
        problem = ""
        if process.exit_code is not None:
            problem = f"{name} ended with {process.exit_code}"
        elif time.monotonic() > end:
            problem = f"{name} did not respond within {START_SECONDS:g} seconds"
        if problem:
            raise AirflowFailed(f"{problem}{tail(log)}")
        time.sleep(0.1)


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, each on an indented line of its own."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "".join(f"\n    {line}" for line in text.splitlines()[-lines:])
