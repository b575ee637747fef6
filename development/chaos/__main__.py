"""``make chaos``: the whole stack with everything happening to it that people, machines and services do.

Exits with 1 unless nothing was paid twice, no result is under another key, and each row is accounted for.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
from collections.abc import Sequence

from airflow_provider_workflows.api.generations import DEFAULT_GENERATION, GENERATIONS
from development.chaos.report import lines
from development.chaos.run import LONG, SHORT, Form, run
from development.terminal import clean_up_when_terminated, coloured, say
from tests.harness.running_airflow import AirflowFailed
from tests.harness.stack.errors import StackUnavailable


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a chaos run and print its table.

    :param arguments: of the command line; None for those of this process
    :returns: the exit code: 0 if all holds that must
    """
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Run the whole stack, and let everything happen to it."
    )
    parser.add_argument("--seed", type=int, help="what everything is drawn from (default: a new one)")
    parser.add_argument(
        "--short",
        action="store_true",
        help="fewer runs, rows and kinds of actions, in 3 minutes in place of an hour",
    )
    parser.add_argument(
        "--single-runs", type=int, help=f"number of single runs (default: {LONG.size.single_runs})"
    )
    parser.add_argument("--rows", type=int, help=f"rows of the batch (default: {LONG.size.rows:,})")
    parser.add_argument(
        "--minutes", type=float, help=f"begin no action after that time (default: {LONG.acts_within / 60:g})"
    )
    parser.add_argument(
        "--generation",
        type=int,
        choices=tuple(GENERATIONS),
        default=DEFAULT_GENERATION,
        help="of the API: 1 with cases, 2 with records too, 3 with records and parameters (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    clean_up_when_terminated()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    say(f"Seed {seed}.")
    say("Starting PostgreSQL, Redis and Airflow, which takes half a minute to two minutes ...")
    try:
        report = run(_form(options), seed, options.generation)
    except KeyboardInterrupt:
        say("\nEverything is stopped and removed.")
        return 130
    except (StackUnavailable, AirflowFailed, OSError) as error:
        say(coloured(f"\nFailed: {error}", "red"))
        return 1
    say()
    for line in lines(report):
        say(line)
    return 0 if report.holds else 1


def _form(options: argparse.Namespace) -> Form:
    form = SHORT if options.short else LONG
    size = dataclasses.replace(
        form.size,
        single_runs=form.size.single_runs if options.single_runs is None else options.single_runs,
        rows=form.size.rows if options.rows is None else options.rows,
    )
    acts_within = form.acts_within if options.minutes is None else options.minutes * 60
    return dataclasses.replace(form, size=size, acts_within=acts_within)


if __name__ == "__main__":
    sys.exit(main())
