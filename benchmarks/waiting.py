"""What waiting costs: our trigger, dbt Cloud's, Databricks', and a bare loop as the floor, side by side.

Run by ``make bench`` or ``python -m benchmarks.waiting``. Every measurement is a new process pinned to one
processor, with a new service on the other, over TLS on loopback. Each candidate's ``run()`` is what a triggerer
would run, on a plain asyncio loop; the peers' own log of each poll is kept off, which favours them.

The measurements take turns, so that what else the machine does meets all of them alike. Trust CPU per poll more
than rates: it is the processor's time, not the clock's.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from benchmarks import table
from benchmarks.candidates import APART, DATABRICKS, DBT, FLOOR, IDLE, OURS, is_installed
from benchmarks.plan import Found, Plan
from benchmarks.running import MeasurementFailed, measure

_COLUMNS = (FLOOR, OURS, APART, DBT, DATABRICKS)
_PACED_SECONDS = 5.0
_PACKAGES = (
    "apache-airflow",
    "aiohttp",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-databricks",
)


def plans(*, quick: bool) -> Iterator[Plan]:
    """Yield what is measured in each repetition; a quick run is for trying things out, not for figures."""
    for waiting in (1000,) if quick else (1000, 5000):
        for candidate in (FLOOR, OURS, DBT, DATABRICKS):
            yield Plan(candidate, waiting, window=2.0)
    if not quick:
        for candidate in (FLOOR, OURS, APART, DBT, DATABRICKS):
            yield Plan(candidate, 1000, _PACED_SECONDS, _PACED_SECONDS)


def plans_once(*, quick: bool) -> Iterator[Plan]:
    """Yield what one measurement is enough for: it hardly varies, or is of a thousand runs in itself."""
    for waiting in (1000,) if quick else (1000, 5000):
        yield Plan(IDLE, waiting)
    if not quick:
        yield Plan(OURS, 1000, -1.0, shortest=1.0, longest=12.0)


def main() -> int:
    """Measure, print the table, and return 0."""
    arguments = _arguments()
    missing = [name for name in _COLUMNS if not is_installed(name)]
    results: dict[tuple[str, int, str], list[Found]] = {}
    begin = time.monotonic()
    todo = [*plans_once(quick=arguments.quick)]
    for _ in range(1 if arguments.quick else arguments.repeat):
        todo += plans(quick=arguments.quick)
    todo = [plan for plan in todo if plan.candidate not in missing]
    for number, plan in enumerate(todo, 1):
        _progress(f"[{number}/{len(todo)}] {plan.candidate}: {plan.waiting:,} waiting, {plan.scenario}")
        try:
            found = measure(plan)
        except MeasurementFailed as error:
            _progress(f"    left out: {error}")
            continue
        _progress(
            f"    {found.cpu_ms_per_poll:.3f} ms per poll, after {time.monotonic() - begin:.0f} s in all"
        )
        results.setdefault((plan.scenario, plan.waiting, plan.candidate), []).append(found)
    _say(_heading(len(todo), time.monotonic() - begin))
    for name in missing:
        _say(f"{name} is left out: its provider is not installed (pip install -e .[bench]).")
    _say("")
    _say("\n".join(table.lines(results, _COLUMNS)))
    if arguments.json:
        _write(arguments.json, results)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.waiting", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round with 1,000 waiting: under a minute"
    )
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all that was found")
    return parser.parse_args()


def _heading(measurements: int, seconds: float) -> str:
    versions = [f"Python {platform.python_version()}", *filter(None, map(_version, _PACKAGES))]
    return f"{measurements} measurements in {seconds / 60:.1f} minutes; medians. {', '.join(versions)}."


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return ""


def _write(file: Path, results: dict[tuple[str, int, str], list[Found]]) -> None:
    entries = [
        {
            "scenario": scenario,
            "waiting": waiting,
            "candidate": candidate,
            "found": [asdict(one) for one in founds],
        }
        for (scenario, waiting, candidate), founds in results.items()
    ]
    reached = [{**asdict(figure), "reached": figure.reached} for figure in table.figures(results)]
    file.write_text(json.dumps({"results": entries, "figures": reached}, indent=1) + "\n")


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
