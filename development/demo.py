"""``make demo``: the example DAG against a sandbox of the Workflows API, step by step, in a minute."""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airflow_provider_workflows.sandbox import Sandbox
from development import airflow_log
from development.airflow_log import Record
from development.local_airflow import AirflowFailed, LocalAirflow
from development.terminal import clean_up_when_terminated, coloured, say

CHECKOUT = Path(__file__).resolve().parent.parent
DAG_ID = "workflows_single_case"
RESULT_TASK = "print_result"
RESULT_PREFIX = "Result:"
LOG_LINES = 30
LINE_LENGTH = 240

_OUTCOME_COLOURS = {"success": "green", "failed": "red", "up_for_retry": "yellow"}
_TALKATIVE = (
    "py.warnings",
    "airflow.api_fastapi.execution_api.",
    "airflow.models.",
    "airflow.serialization.",
)
_OPERATORS = "airflow.task.operators.airflow_provider_workflows."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code: 0 only when the run succeeded and its result was printed
    """
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.replace("``", "`"))
    parser.add_argument("--verbose", action="store_true", help="show all that Airflow logs")
    parser.add_argument("--conf", type=json.loads, help="params of the run, as JSON")
    options = parser.parse_args(arguments)
    clean_up_when_terminated()
    try:
        succeeded = _demonstrate(options.conf, verbose=options.verbose)
    except KeyboardInterrupt:
        say("\nInterrupted; everything is stopped and removed.")
        return 130
    except (AirflowFailed, OSError) as error:
        say(coloured(f"\nFailed: {_without_paths(str(error))}", "red"))
        return 1
    return 0 if succeeded else 1


def _demonstrate(conf: dict[str, object] | None, *, verbose: bool) -> bool:
    started = time.monotonic()
    with Sandbox() as sandbox, LocalAirflow(CHECKOUT / "dags", sandbox.environment) as airflow:
        say(f"A sandbox of the Workflows API answers on {sandbox.url}.")
        version = importlib.metadata.version("apache-airflow")
        say(f"Preparing Airflow {version} with SQLite in a temporary folder (a few seconds) ...")
        migration = airflow.command("db", "migrate", environment=airflow_log.JSON_LOGS)
        if verbose:
            for line in migration.splitlines():
                say(_verbose(line))
        say(f"Running the DAG {DAG_ID} with `airflow dags test` (about 20 seconds) ...")
        steps = Steps(sandbox, verbose=verbose)
        test = airflow.run_dag(DAG_ID, conf, airflow_log.JSON_LOGS, on_line=steps.line)
        seconds = time.monotonic() - started
        say()
        if test.succeeded and steps.result:
            say(coloured("Result", "bold"))
            say(_indented(steps.result))
            say()
            counts = sandbox.counts
            say(
                coloured("Succeeded: ", "green")
                + f"{steps.finished} tasks, {counts.total_requests} requests to the sandbox "
                f"({counts.cases} case and {sum(counts.runs_per_case.values())} run created), "
                f"{seconds:.0f} seconds."
            )
            return True
        say(coloured("From Airflow's log", "bold"))
        say(_without_paths("\n".join(steps.last_lines)))
        say()
        problem = (
            f"{', '.join(steps.failed) or 'the run'} failed" if not test.succeeded else "there is no result"
        )
        say(coloured("Failed: ", "red") + f"{problem}, after {seconds:.0f} seconds.")
        return False


@dataclass
class _Task:
    name: str
    started: datetime
    outcome: str = "ended"
    printed: list[str] = field(default_factory=list)


class Steps:
    """Tells from Airflow's log what happens, as it happens.

    :param sandbox: the sandbox, whose calls are shown between
    :param verbose: whether to show the log as well
    """

    def __init__(self, sandbox: Sandbox, *, verbose: bool) -> None:
        self.finished = 0
        self.failed: list[str] = []
        self.result = ""
        self._sandbox = sandbox
        self._verbose = verbose
        self._task: _Task | None = None
        self._shown_calls = 0
        self._last: deque[str] = deque(maxlen=LOG_LINES)

    @property
    def last_lines(self) -> list[str]:
        """The end of the log, in a readable form."""
        return list(self._last)

    def line(self, line: str) -> None:
        """Take in the next line of Airflow's output."""
        if self._verbose:
            say(_verbose(line))
        record = airflow_log.read(line)
        self._show_calls()
        if record is None:
            self._last.append(f"  {line}")
            if self._task is not None:
                self._task.printed.append(line)
            return
        self._remember(record)
        self._show(record)

    def _show(self, record: Record) -> None:
        words = record.event.split()
        if record.event.startswith("[DAG TEST] starting task_id="):
            name = words[3].removeprefix("task_id=")
            self._task = _Task(name, record.time)
            say()
            say(coloured(name, "bold"))
        elif self._task is None:
            return
        elif record.event == "Task started" and self._task.outcome == "ended":
            # Before that, Airflow was busy with itself.
            self._task.started = record.time
        elif record.event == "Task instance state updated" and "new_state" in record.fields:
            self._task.outcome = str(record.fields["new_state"])
        elif record.event.startswith("[DAG TEST] end task"):
            self._end(self._task, record.time)
        elif record.logger.startswith(_OPERATORS):
            say(f"    {record.event}")
        elif record.errors:
            for error in record.errors:
                say(coloured(f"    {error.get('exc_type')}: {error.get('exc_value')}", "red"))

    def _end(self, task: _Task, ended: datetime) -> None:
        self._task = None
        self.finished += 1
        if task.outcome != "success":
            self.failed.append(task.name)
        if task.name == RESULT_TASK and task.outcome == "success":
            self.result = _result(task.printed)
        outcome = coloured(task.outcome, _OUTCOME_COLOURS.get(task.outcome, "yellow"))
        say(f"    {outcome} after {(ended - task.started).total_seconds():.1f} s")

    def _show_calls(self) -> None:
        calls = self._sandbox.requests_seen
        for call in calls[self._shown_calls :]:
            say(coloured(f"    {call.method} {call.path} -> {call.status or 'cut'}", "dim"))
        self._shown_calls = len(calls)

    def _remember(self, record: Record) -> None:
        """Keep what may tell why a run fails: not what Airflow notes about itself."""
        if record.logger.startswith(_TALKATIVE) or record.event.startswith(("::", "[DAG TEST] running task")):
            return
        line = f"{record.time:%H:%M:%S} {record.level:8} {record.event}"
        self._last.append(f"  {line[:LINE_LENGTH]}")
        self._last.extend(_indented(airflow_log.exception_text(error)) for error in record.errors)


def _result(printed: Sequence[str]) -> str:
    """Return what the last task printed as its result, as indented JSON where it is a value of Python."""
    for number, line in enumerate(printed):
        if line.startswith(RESULT_PREFIX):
            text = "\n".join([line.removeprefix(RESULT_PREFIX), *printed[number + 1 :]]).strip()
            try:
                return json.dumps(ast.literal_eval(text), indent=2, ensure_ascii=False)
            except (ValueError, SyntaxError, TypeError):
                return text
    return ""


def _verbose(line: str) -> str:
    record = airflow_log.read(line)
    text = line if record is None else airflow_log.readable(record.fields)
    return coloured("\n".join(f"  | {part}" for part in text.splitlines()), "dim")


def _without_paths(text: str) -> str:
    """Return ``text`` without the folders of this machine that matter to nobody."""
    folders = {sys.prefix, tempfile.gettempdir(), str(CHECKOUT), str(Path.home())}
    # The longest first, for one may lie within another.
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder + "/", "")
    return text


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
