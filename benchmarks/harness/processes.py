"""Run each measurement in a new process, which prints what it found as JSON in its last line."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What is measured of this checkout, and of the one that ``--before`` names.
OURS, BEFORE = "ours", "before"
#: Which of the processors that a process may use: one for what is measured, another for its service.
MEASURED_PLACE, SERVICE_PLACE = 0, 1
#: These would lead a candidate to another host, or let it trust another certificate.
_PROXY_VARIABLES = frozenset(
    {"http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"}
)


class MeasurementFailed(Exception):
    """A measurement came to no result."""


@dataclass(frozen=True)
class Checkout:
    """A checkout of this project, and the Python that it is installed in."""

    folder: Path
    python: Path


THIS_CHECKOUT = Checkout(Path(__file__).parents[2], Path(sys.executable))


def earlier_checkout(folder: str) -> Checkout:
    """Return the checkout that ``--before`` names; its environment is its ``.venv``.

    :raises argparse.ArgumentTypeError: if it has none
    """
    checkout = Path(folder).resolve()
    python = checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise argparse.ArgumentTypeError(f"{python} does not exist: run `make environment` in that checkout")
    return Checkout(checkout, python)


@contextlib.contextmanager
def working_folder() -> Iterator[Path]:
    """Provide a folder for one measurement."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        yield Path(folder)


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a measured process.

    :param folder: where its ``AIRFLOW_HOME`` is
    :param extra: further variables
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name.lower() not in _PROXY_VARIABLES
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(folder / "airflow"),
        # The peers log each poll. In a triggerer that costs them more than here, where it goes nowhere.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONHASHSEED": "0",
        **extra,
    }


def run_measured(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    *,
    checkout: Checkout = THIS_CHECKOUT,
    seconds: float = 1800.0,
) -> Any:
    """Run ``python ARGUMENTS`` and return its last line, read as JSON.

    :param variables: the whole environment
    :param seconds: after which the measurement is given up
    :raises MeasurementFailed: with the end of what the process printed
    """
    return json.loads(run(arguments, variables, checkout=checkout, seconds=seconds).splitlines()[-1])


def run(arguments: Sequence[str], variables: Mapping[str, str], *, checkout: Checkout, seconds: float) -> str:
    """Run ``python ARGUMENTS`` in a checkout and return what it printed.

    :raises MeasurementFailed: with the end of what the process printed
    """
    what = " ".join(arguments)[:200]
    try:
        done = subprocess.run(  # noqa: S603
            [str(checkout.python), *arguments],
            cwd=checkout.folder,
            env=dict(variables),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(f"{what}: not finished after {seconds:.0f} seconds") from error
    if done.returncode != 0:
        raise MeasurementFailed(f"{what}: {done.stderr[-3000:]}")
    return done.stdout


@contextlib.contextmanager
def service_process(arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Run ``python ARGUMENTS`` beside a measurement, and provide its first line, read as JSON."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, *arguments],
        cwd=THIS_CHECKOUT.folder,
        env=None if variables is None else dict(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101
            yield json.loads(process.stdout.readline())
        finally:
            try:
                process.communicate(timeout=30)  # it ends when its standard input does
            except subprocess.TimeoutExpired:
                process.kill()


def pin(place: int) -> None:
    """Keep this process to one of the processors that it may use, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[place % len(usable)]})


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts what the parent held at the start as well in ``getrusage``, and does not here.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
