"""What the demos have in common: telling from Airflow's log what happens, as it happens."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from development.terminal import clean_up_when_terminated, coloured, say
from tests.harness import airflow_log
from tests.harness.airflow_log import Record
from tests.harness.local_airflow import AirflowFailed, LocalAirflow

CHECKOUT = Path(__file__).resolve().parent.parent
LOG_LINES = 30
LINE_LENGTH = 240

_OUTCOME_COLOURS = {"success": "green", "failed": "red", "up_for_retry": "yellow"}
_TALKATIVE = (
    "py.warnings",
    "airflow.api_fastapi.execution_api.",
    "airflow.models.",
    "airflow.serialization.",
)
_OURS = ("airflow.task.operators.airflow_provider_workflows.", "airflow_provider_workflows.triggers.")


def exit_code_of(demonstrate: Callable[[], bool]) -> int:
    """Run a demo that tells whether it succeeded, and return the exit code of its program."""
    clean_up_when_terminated()
    try:
        succeeded = demonstrate()
    except KeyboardInterrupt:
        say("\nInterrupted; everything is stopped and removed.")
        return 130
    except (AirflowFailed, OSError) as error:
        say(coloured(f"\nFailed: {without_paths(str(error))}", "red"))
        return 1
    return 0 if succeeded else 1


def prepare(airflow: LocalAirflow, *, verbose: bool) -> None:
    """Create the metadata database of a demo's Airflow."""
    version = importlib.metadata.version("apache-airflow")
    say(f"Preparing Airflow {version} with SQLite in a temporary folder (a few seconds) ...")
    migration = airflow.command("db", "migrate", environment=airflow_log.JSON_LOGS)
    if verbose:
        for line in migration.splitlines():
            say(_verbose(line))


@dataclass
class _Task:
    name: str
    started: datetime
    outcome: str = "ended"


class Steps:
    """Tells from Airflow's log what happens, as it happens.

    :param verbose: whether to show the log as well
    """

    def __init__(self, *, verbose: bool) -> None:
        self.finished = 0
        self.failed: list[str] = []
        #: What each task printed, by its name.
        self.printed: dict[str, list[str]] = {}
        self._verbose = verbose
        self._task: _Task | None = None
        self._last: deque[str] = deque(maxlen=LOG_LINES)

    def line(self, line: str) -> None:
        """Take in the next line of Airflow's output."""
        if self._verbose:
            say(_verbose(line))
        record = airflow_log.read(line)
        if record is None:
            self._last.append(f"  {line}")
            if self._task is not None:
                self.printed[self._task.name].append(line)
            return
        self._remember(record)
        self._show(record)

    def begun(self, name: str) -> None:
        """Take note that a task has begun; ``name`` has the map index of a mapped one: ``run [0]``."""

    def ended(self, name: str) -> None:
        """Take note that a task has ended."""

    def say_why_it_failed(self, seconds: float, otherwise: str) -> None:
        """Print the end of the log, and which tasks failed; ``otherwise`` when none did."""
        say(coloured("From Airflow's log", "bold"))
        say(without_paths("\n".join(self._last)))
        say()
        problem = f"{', '.join(self.failed)} failed" if self.failed else otherwise
        say(coloured("Failed: ", "red") + f"{problem}, after {seconds:.0f} seconds.")

    def _show(self, record: Record) -> None:
        if record.event.startswith("[DAG TEST] starting task_id="):
            self._task = _Task(_name(record.event), record.time)
            self.printed[self._task.name] = []
            say()
            say(coloured(self._task.name, "bold"))
            self.begun(self._task.name)
        elif self._task is None:
            return
        elif record.event == "Task started" and self._task.outcome == "ended":
            # Before that, Airflow was busy with itself.
            self._task.started = record.time
        elif record.event == "Task instance state updated" and "new_state" in record.fields:
            self._task.outcome = str(record.fields["new_state"])
        elif record.event.startswith("[DAG TEST] end task"):
            self._end(self._task, record.time)
        elif record.logger.startswith(_OURS):
            say("    " + without_paths(record.event).replace("\n", "\n    "))
        elif record.errors:
            for error in record.errors:
                say(coloured(f"    {error.get('exc_type')}: {error.get('exc_value')}", "red"))

    def _end(self, task: _Task, ended: datetime) -> None:
        self.ended(task.name)
        self._task = None
        self.finished += 1
        if task.outcome != "success":
            self.failed.append(task.name)
        outcome = coloured(task.outcome, _OUTCOME_COLOURS.get(task.outcome, "yellow"))
        say(f"    {outcome} after {(ended - task.started).total_seconds():.1f} s")

    def _remember(self, record: Record) -> None:
        """Keep what may tell why a run fails: not what Airflow notes about itself."""
        if record.logger.startswith(_TALKATIVE) or record.event.startswith(("::", "[DAG TEST] running task")):
            return
        line = f"{record.time:%H:%M:%S} {record.level:8} {record.event}"
        self._last.append(f"  {line[:LINE_LENGTH]}")
        self._last.extend(indented(airflow_log.exception_text(error)) for error in record.errors)


def _name(event: str) -> str:
    """Return the task's id, and the map index of a mapped one, from the line that says that it starts."""
    fields = dict(word.split("=", 1) for word in event.split() if "=" in word)
    index = fields.get("map_index", "-1")
    return fields["task_id"] if index == "-1" else f"{fields['task_id']} [{index}]"


def _verbose(line: str) -> str:
    record = airflow_log.read(line)
    text = line if record is None else airflow_log.readable(record.fields)
    return coloured("\n".join(f"  | {part}" for part in text.splitlines()), "dim")


def without_paths(text: str) -> str:
    """Return ``text`` without the folders of this machine that matter to nobody."""
    folders = {sys.prefix, tempfile.gettempdir(), str(CHECKOUT), str(Path.home())}
    # The longest first, for one may lie within another.
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            # Only where a path begins: a temporary folder may have a folder of the same name in it.
            text = re.sub(rf"(?<![\w./-]){re.escape(folder)}/", "", text)
    return text


def indented(text: str) -> str:
    """Return ``text`` with each line indented."""
    return "\n".join(f"  {line}" for line in text.splitlines())
