"""What the measurements of the batch have in common: their input, and how a process of its own is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.batch_service import Service
from benchmarks.running import MeasurementFailed

_CHECKOUT = Path(__file__).parents[1]
_IN_THE_WAY = frozenset({"http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"})


def write_items(file: Path, rows: int) -> str:
    """Write so many invented rows, and return the file's name."""
    with file.open("w") as opened:
        for number in range(1, rows + 1):
            row = {
                "key": f"customer-{number:07}",
                "firstName": "Johanna",
                "lastName": f"Nowakowska-{number}",
                "personalNumber": f"{number:011}",
                "email": f"customer-{number}@example.org",
            }
            opened.write(json.dumps(row) + "\n")
    return str(file)


@contextmanager
def working_folder() -> Iterator[Path]:
    """Provide a folder for one measurement."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        yield Path(folder)


def run_measured(
    module: str, service: Service, folder: Path, arguments: Mapping[str, Any], *, seconds: float = 1800.0
) -> dict[str, Any]:
    """Run ``python -m benchmarks.MODULE ARGUMENTS`` and return what it found, which is its last line.

    :param service: what it reaches as the connection ``workflows_default``
    :param folder: where its ``AIRFLOW_HOME`` is
    :param seconds: when to give up
    :raises MeasurementFailed: with the end of what it printed
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name.lower() not in _IN_THE_WAY
    }
    environment = {
        **kept,
        **service.environment,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "PYTHONHASHSEED": "0",
    }
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", f"benchmarks.{module}", json.dumps(dict(arguments))],
            cwd=_CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(f"{module}: no end after {seconds:.0f} seconds") from error
    if done.returncode != 0:
        raise MeasurementFailed(f"{module}: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
