"""What a batch saves: one batch task beside mapped tasks, then the batch alone, at any size.

Run by ``make bench-batch`` or ``python -m benchmarks.batch``. Three parts, each with a new sandbox in a process of
its own: "mapped" has a whole Airflow execute the same runs both ways; "submit" and "sizes" have no scheduler.
``--before`` measures the batch of another checkout in turns with this one's.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Any

from benchmarks.harness import report
from benchmarks.harness.processes import BEFORE, OURS, THIS_CHECKOUT
from benchmarks.harness.report import AtMost
from benchmarks.parts import mapped, sizes, submission
from development.terminal import clean_up_when_terminated

_PARTS = ("mapped", "submit", "sizes")
_PACKAGES = ("apache-airflow", "aiohttp", "requests")


def main() -> int:
    """Measure, print the tables, and return 0."""
    parser = report.argument_parser(
        "benchmarks.batch", __doc__ or "", before="measure the batch of this one too", repeat=3
    )
    parser.add_argument("--only", choices=_PARTS, help="measure one part only")
    parser.add_argument("--runs", type=int, default=1000, help='runs of "mapped" (%(default)s)')
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000], help='rows of "sizes" (10000 100000)'
    )
    arguments = parser.parse_args()
    clean_up_when_terminated()
    begin = time.monotonic()
    parts = [arguments.only] if arguments.only else _PARTS
    checkouts = {OURS: THIS_CHECKOUT} | ({BEFORE: arguments.before} if arguments.before else {})
    printed: list[str] = []
    figures: list[AtMost] = []
    results: dict[str, Any] = {}
    if "mapped" in parts:
        sides = mapped.measure(arguments.runs)
        results["mapped"] = {name: asdict(side) for name, side in sides.items()}
        printed += [*mapped.lines(f"{arguments.runs:,} runs", sides), ""]
        figures += mapped.figures(arguments.runs, sides)
        if arguments.before:
            sides = mapped.measure_earlier(arguments.runs, arguments.before)
            results["mapped, before"] = {name: asdict(side) for name, side in sides.items()}
            printed += [*mapped.lines("BEFORE", sides), ""]
    if "submit" in parts:
        submitted = submission.measure(arguments.repeat, checkouts)
        results["submit"] = {name: list(map(asdict, each)) for name, each in submitted.items()}
        printed += [*submission.lines(submitted), ""]
        figures += submission.figures(submitted)
    if "sizes" in parts:
        measured = sizes.measure(arguments.rows, checkouts)
        results["sizes"] = list(map(asdict, measured))
        printed += [*sizes.lines(measured), ""]
        figures += sizes.figures(measured)
    report.conclude(printed, figures, results, begin=begin, packages=_PACKAGES, file=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
