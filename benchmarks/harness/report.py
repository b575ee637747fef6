"""What a benchmark prints: its progress, tables of medians with ratios, and the figures to reach."""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.harness.processes import earlier_checkout

#: What is measured may take at most this many times of what it took in the checkout that ``--before`` names.
MAX_RATIO_TO_BEFORE = 1.05
_NAME_WIDTH, _CELL_WIDTH = 46, 18


@dataclass(frozen=True)
class AtMost:
    """A figure that is to be reached.

    :param name: what it is about
    :param value: what was measured
    :param bound: what it may be at most
    :param unit: of both
    """

    name: str
    value: float
    bound: float
    unit: str = ""

    limit = "at most"

    @property
    def reached(self) -> bool:
        """Whether it is within its bound."""
        return self.value <= self.bound

    def __str__(self) -> str:
        mark = "reached" if self.reached else "MISSED"
        return (
            f"  {mark}  {self.name}: {self.value:,.4g}{self.unit}, {self.limit} {self.bound:,.4g}{self.unit}"
        )


class AtLeast(AtMost):
    """A figure that is to be reached: ``bound`` is the least that it may be."""

    limit = "at least"

    @property
    def reached(self) -> bool:
        """Whether it is high enough."""
        return self.value >= self.bound


def row(name: str, cells: Iterable[object]) -> str:
    """Return a line of a table."""
    return name.ljust(_NAME_WIDTH) + "".join(str(cell).rjust(_CELL_WIDTH) for cell in cells)


def heading(name: str, columns: Iterable[object]) -> list[str]:
    """Return the first two lines of a table."""
    line = row(name, columns)
    return [line, "-" * len(line)]


def ratios(values: Sequence[float], unit: float, form: str = ".2f") -> list[str]:
    """Return each value in times of ``unit``; empty where there is nothing to divide by."""
    return [format(value / unit, form) if unit else "" for value in values]


def median_of(measured: Iterable[object], name: str) -> float:
    """Return the median of an attribute of some repetitions."""
    return statistics.median(float(getattr(one, name)) for one in measured)


def argument_parser(
    module: str, description: str, *, before: str = "", repeat: int = 0
) -> argparse.ArgumentParser:
    """Return a parser with the options that all scenarios have.

    :param before: what ``--before`` measures; empty if the scenario does not have this option
    :param repeat: how often each measurement is made by default; 0 if the scenario has no option for that
    """
    first_line, _, _ = description.partition("\n")
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=first_line)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all that was measured")
    if before:
        parser.add_argument("--before", type=earlier_checkout, metavar="CHECKOUT", help=before)
    if repeat:
        parser.add_argument(
            "--repeat", type=int, default=repeat, help="how often each is measured (%(default)s)"
        )
    return parser


def is_installed(module: str) -> bool:
    """Return whether a peer's module can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def conclude(
    printed: Sequence[str],
    figures: Sequence[AtMost],
    results: object,
    *,
    begin: float,
    packages: Sequence[str],
    missing: Iterable[str] = (),
    file: Path | None,
) -> None:
    """Print the report, and write all that was measured to a file.

    :param printed: the tables, in lines
    :param figures: the figures to reach
    :param results: all that was measured, as JSON
    :param begin: when the first measurement began, on the monotonic clock
    :param packages: those whose versions the report names
    :param missing: candidates whose package is not installed
    :param file: to write to; None for none
    """
    versions = [f"Python {platform.python_version()}", *filter(None, map(_version, packages))]
    minutes = (time.monotonic() - begin) / 60
    lines = [
        f"Measured in {minutes:.1f} minutes; medians. {', '.join(versions)}.",
        *(
            f"{name} is left out: its provider is not installed (pip install -e .[bench])."
            for name in missing
        ),
        "",
        *printed,
        "Figures to reach",
        *map(str, figures),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if file is not None:
        listed = [
            {
                "name": one.name,
                "value": one.value,
                "bound": one.bound,
                "unit": one.unit,
                "reached": one.reached,
            }
            for one in figures
        ]
        file.write_text(json.dumps({"results": results, "figures": listed}, indent=1) + "\n")


def _version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return ""


def progress(text: str) -> None:
    """Say on standard error what is being measured."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
