"""``make demo-batch``: 2,000 cases through two workflows, against a sandbox with faults, in a minute."""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION, Sandbox
from development.batch_progress import BatchProgress
from development.demo_log import Steps, exit_code_of, indented, prepare
from development.terminal import coloured, say
from tests.harness import airflow_log
from tests.harness.local_airflow import EXAMPLE_DAGS, LocalAirflow

DAG_ID = "workflows_nightly_batch"
BATCH_TASK = "run_batch"
TABLE_TASK = "print_pass_rates"
DEFINITIONS = (DEFINITION, FAILING_DEFINITION)

CALL_SECONDS = 0.05
UNAVAILABLE_SHARE = 0.02
LOST_SHARE = 0.005

#: How many rows there are for each returning user's, and for each bad one.
RETURNING_EACH = 50
BAD_EACH = 99
BAD_CELLS = (
    {"phone_country_code": ""},
    {"customer_no": "000001"},
    {"case_id": "02211012345", "note": "PESEL in the wrong column"},
)
FIRST_NAMES = ("Jürgen", "Żaneta", "Søren", "Małgorzata", "Françoise", "Łukasz", "Käthe", "Bożena")
LAST_NAMES = ("Großmüller", "Wiśniowska", "Jørgensby", "Łącka-Dębska", "Peñalver", "Brzęczek", "Nováková")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code: 0 only when the run succeeded, with each row in the output once and no case run twice
    """
    parser = argparse.ArgumentParser(prog="make demo-batch", description=__doc__.replace("``", "`"))
    parser.add_argument("--verbose", action="store_true", help="show all that Airflow logs")
    parser.add_argument("--cases", type=_number, default=2000, help="how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    return exit_code_of(lambda: _demonstrate(options.cases, verbose=options.verbose))


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it takes a case at least")
    return number


def _demonstrate(number: int, *, verbose: bool) -> bool:
    started = time.monotonic()
    with Sandbox() as sandbox, LocalAirflow(EXAMPLE_DAGS, sandbox.environment) as airflow:
        cases, output = airflow.home / "cases.csv", airflow.home / "output"
        returning = _returning_users(sandbox, number // RETURNING_EACH)
        bad = write_cases(cases, number, returning)
        _let_err(sandbox)
        say(f"A sandbox of the Workflows API listens on {sandbox.url}: each call takes {CALL_SECONDS:g} s,")
        say(
            f"{UNAVAILABLE_SHARE:.0%} are refused with 503, and {LOST_SHARE:.1%} of the runs start unanswered."
        )
        say("Each case is run twice: by a definition that completes, and by one that is made to fail.")
        say(f"{number:,} invented cases, {len(returning)} of them of returning users, and {bad} in bad rows.")
        prepare(airflow, verbose=verbose)
        say(f"Running the DAG {DAG_ID} with `airflow dags test` (about a minute) ...")
        with BatchProgress(sandbox, number - bad) as progress:
            steps = StepsAndProgress(progress, verbose=verbose)
            conf = {"cases": str(cases), "output": str(output)}
            test = airflow.run_dag(DAG_ID, conf, airflow_log.JSON_LOGS, on_line=steps.line, seconds=1800)
        seconds = time.monotonic() - started
        say()
        table = steps.printed.get(TABLE_TASK)
        if not (test.succeeded and table):
            steps.say_why_it_failed(seconds, "there is no table" if test.succeeded else "the run failed")
            return False
        say(coloured("Passes", "bold"))
        say(indented("\n".join(table)))
        say("  The second definition is made to fail, so that 0 % is right.")
        say()
        results = [_rows(file) for file in sorted(output.rglob("results.jsonl"))]
        say(coloured("Rows", "bold"))
        _say_outcomes([row for rows in results for row in rows])
        say()
        if problem := _problem(sandbox, results, number, returning):
            say(coloured("Failed: ", "red") + f"{problem}, after {seconds:.0f} seconds.")
            return False
        counts = sandbox.counts
        say(
            coloured("Succeeded: ", "green")
            + "each row is in the output once, and neither definition has run a case twice. "
            f"{counts.total_requests:,} requests over\n{counts.total_connections:,} connections, "
            f"{progress.runs_per_second:,.0f} cases a second while submitting, {seconds:.0f} seconds in all."
        )
        say("The tables of results were in Airflow's temporary folder, and are removed with it.")
        return True


class StepsAndProgress(Steps):
    """Shows how far the batch under way has come, below what Airflow's log says.

    :param progress: what shows it
    :param verbose: whether to show the log as well
    """

    def __init__(self, progress: BatchProgress, *, verbose: bool) -> None:
        super().__init__(verbose=verbose)
        self._progress = progress

    def begun(self, name: str) -> None:
        """Take note that a task has begun."""
        if name.startswith(BATCH_TASK):
            if name == f"{BATCH_TASK} [{DEFINITIONS.index(FAILING_DEFINITION)}]":
                say("    The runs of this definition are made to fail, all of them.")
            self._progress.begin()

    def ended(self, name: str) -> None:  # noqa: ARG002
        """Take note that a task has ended."""
        self._progress.end()


def _returning_users(sandbox: Sandbox, number: int) -> list[str]:
    """Return the ids of cases that are there before; the counts say nothing of how they came about."""
    with sandbox.client() as client:
        ids = [client.create_case().case_id for _ in range(number)]
    sandbox.counts.reset()
    return ids


def _let_err(sandbox: Sandbox) -> None:
    sandbox.define(DEFINITION, seconds=(2, 10), result={"decision": "PASS"})
    sandbox.define(FAILING_DEFINITION, seconds=(2, 10), status="FAILED")
    sandbox.fault("latency", seconds=CALL_SECONDS)
    sandbox.fault("server_error", status=503, share=UNAVAILABLE_SHARE)
    sandbox.fault("cut_after", path="/workflows/run", share=LOST_SHARE)


def write_cases(path: Path, number: int, returning: Sequence[str]) -> int:
    """Write a CSV file of invented cases, with the columns that the DAG expects, and return how many are bad.

    :param path: the file
    :param number: how many rows
    :param returning: ids of cases, one for each row whose number ``RETURNING_EACH`` divides
    """
    random_numbers = random.Random(0)  # noqa: S311  (nothing secret hangs on them)
    person = ("first_name", "last_name", "PESEL", "email", "phone_country_code", "phone_number")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("customer_no", *person, "case_id", "note"))
        writer.writeheader()
        for row in range(1, number + 1):
            cells = {"customer_no": f"{row:06}"}
            if row % RETURNING_EACH == 0:
                cells["case_id"] = returning[row // RETURNING_EACH - 1]
            else:
                names = (random_numbers.choice(FIRST_NAMES), random_numbers.choice(LAST_NAMES))
                pesel = f"{random_numbers.randrange(10**11):011}"
                phone = ("48", f"{random_numbers.randrange(10**8, 10**9)}")
                cells |= zip(person, (*names, pesel, f"customer.{row}@example.com", *phone), strict=True)
            if row % BAD_EACH == 0:
                cells |= BAD_CELLS[row // BAD_EACH % len(BAD_CELLS)]
            writer.writerow(cells)
    return number // BAD_EACH


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _say_outcomes(rows: Sequence[dict[str, Any]]) -> None:
    """Print how many rows have each outcome, with an example of what the output says of those without a result."""
    example = {row["outcome"]: row for row in reversed(rows)}
    for outcome, number in Counter(row["outcome"] for row in rows).most_common():
        row = example[outcome]
        error = (
            "" if row["error"] is None else f"  such as row {row['row']}: {row['error'].partition('. ')[0]}"
        )
        say(f"  {outcome:<13}  {number:>6,}{error}")


def _problem(
    sandbox: Sandbox, results: Sequence[Sequence[dict[str, Any]]], number: int, returning: Collection[str]
) -> str:
    """Return what is wrong with the output or with what the sandbox has seen; empty if nothing is."""
    if [[row["row"] for row in rows] for rows in results] != [[*range(1, number + 1)]] * len(DEFINITIONS):
        return "the output has not each row once"
    runs = Counter(sandbox.counts.runs_per_case)
    # A case that was there before has a run of each definition.
    runs.subtract(dict.fromkeys(runs.keys() & set(returning), len(DEFINITIONS) - 1))
    twice = sum(number > 1 for number in runs.values())
    return f"{twice} cases were run twice" if twice else ""


if __name__ == "__main__":
    sys.exit(main())
