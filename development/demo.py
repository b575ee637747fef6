"""``make demo``: the example DAG against a sandbox of the Workflows API, step by step, in a minute."""

from __future__ import annotations

import argparse
import ast
import json
import sys
import time
from collections.abc import Sequence

from airflow_provider_workflows.sandbox import Sandbox
from development.demo_log import Steps, exit_code_of, indented, prepare
from development.terminal import coloured, say
from tests.harness import airflow_log
from tests.harness.local_airflow import EXAMPLE_DAGS, LocalAirflow

DAG_ID = "workflows_single_case"
RESULT_TASK = "print_result"
RESULT_PREFIX = "Result:"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code: 0 only when the run succeeded and its result was printed
    """
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.replace("``", "`"))
    parser.add_argument("--verbose", action="store_true", help="show all that Airflow logs")
    parser.add_argument("--conf", type=json.loads, help="params of the run, as JSON")
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _demonstrate(options.conf, verbose=options.verbose))


def _demonstrate(conf: dict[str, object] | None, *, verbose: bool) -> bool:
    started = time.monotonic()
    with Sandbox() as sandbox, LocalAirflow(EXAMPLE_DAGS, sandbox.environment) as airflow:
        say(f"A sandbox of the Workflows API listens on {sandbox.url}.")
        prepare(airflow, verbose=verbose)
        say(f"Running the DAG {DAG_ID} with `airflow dags test` (about 20 seconds) ...")
        steps = StepsAndCalls(sandbox, verbose=verbose)
        test = airflow.run_dag(DAG_ID, conf, airflow_log.JSON_LOGS, on_line=steps.line)
        seconds = time.monotonic() - started
        say()
        result = _result(steps.printed.get(RESULT_TASK, ()))
        if not (test.succeeded and result):
            steps.say_why_it_failed(seconds, "there is no result" if test.succeeded else "the run failed")
            return False
        say(coloured("Result", "bold"))
        say(indented(result))
        say()
        counts = sandbox.counts
        say(
            coloured("Succeeded: ", "green")
            + f"{steps.finished} tasks, {counts.total_requests} requests to the sandbox "
            f"({counts.cases} case and {sum(counts.runs_per_case.values())} run created), "
            f"{seconds:.0f} seconds."
        )
        say("The file of the result was in Airflow's temporary folder, and is removed with it.")
        return True


class StepsAndCalls(Steps):
    """Shows the calls of the API between what Airflow's log says.

    :param sandbox: the sandbox that is called
    :param verbose: whether to show the log as well
    """

    def __init__(self, sandbox: Sandbox, *, verbose: bool) -> None:
        super().__init__(verbose=verbose)
        self._sandbox = sandbox
        self._shown_calls = 0

    def line(self, line: str) -> None:
        """Take in the next line of Airflow's output."""
        calls = self._sandbox.requests_seen
        for call in calls[self._shown_calls :]:
            say(coloured(f"    {call.method} {call.path} -> {call.status or 'cut'}", "dim"))
        self._shown_calls = len(calls)
        super().line(line)


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


if __name__ == "__main__":
    sys.exit(main())
