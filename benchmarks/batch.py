"""What a batch saves: one batch task beside mapped tasks, then the batch alone, at any size.

Run by ``make bench-batch`` or ``python -m benchmarks.batch``. Three parts, each with a new sandbox in a process of
its own: "mapped" has a whole Airflow run the same runs both ways; "submit" and "sizes" have no scheduler.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from benchmarks import batch_airflow, batch_alone, batch_table
from development.terminal import clean_up_when_terminated

_PARTS = ("mapped", "submit", "sizes")
_PACKAGES = ("apache-airflow", "aiohttp", "requests")


def main() -> int:
    """Measure, print the tables, and return 0."""
    arguments = _arguments()
    clean_up_when_terminated()
    begin = time.monotonic()
    parts = [arguments.only] if arguments.only else _PARTS
    results = batch_table.Results(
        runs=arguments.runs,
        mapped=batch_airflow.measure(arguments.runs, _progress) if "mapped" in parts else {},
        submit=batch_alone.submitting(arguments.repeat, _progress) if "submit" in parts else {},
        sizes=batch_alone.sizes(sorted(arguments.rows), _progress) if "sizes" in parts else (),
    )
    versions = [
        f"Python {platform.python_version()}",
        *(f"{one} {metadata.version(one)}" for one in _PACKAGES),
    ]
    _say(f"Measured in {(time.monotonic() - begin) / 60:.1f} minutes. {', '.join(versions)}.\n")
    _say("\n".join(batch_table.lines(results)))
    if arguments.json:
        _write(arguments.json, results)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batch", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--only", choices=_PARTS, help="measure one part only")
    parser.add_argument("--runs", type=int, default=1000, help='runs of "mapped" (%(default)s)')
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000], help='rows of "sizes" (10000 100000)'
    )
    parser.add_argument("--repeat", type=int, default=3, help='how often "submit" is measured (%(default)s)')
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all that was found")
    return parser.parse_args()


def _write(file: Path, results: batch_table.Results) -> None:
    reached = [{**asdict(figure), "reached": figure.reached} for figure in batch_table.figures(results)]
    file.write_text(json.dumps({"results": asdict(results), "figures": reached}, indent=1) + "\n")


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
