"""One measurement with its service, each in a new process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import candidates, service
from benchmarks.plan import Found, Plan

_TIMEOUT_SECONDS = 90.0
#: What would lead a candidate elsewhere, or let it trust somebody else.
_IN_THE_WAY = frozenset({"http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"})
_MODULE_FOLDER = Path(__file__).parents[1]


class MeasurementFailed(Exception):
    """A measurement came to no result."""


def measure(plan: Plan) -> Found:
    """Return what a measurement found.

    :raises MeasurementFailed: with the end of what the process printed
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        environment = _environment(Path(folder))
        serving = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.service", folder],
            cwd=_MODULE_FOLDER,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert serving.stdout is not None  # noqa: S101
            port = int(serving.stdout.readline())
            return _measured(plan, port, Path(folder), {**environment, **candidates.environment(port)})
        finally:
            serving.kill()
            serving.communicate()


def _measured(plan: Plan, port: int, folder: Path, environment: dict[str, str]) -> Found:
    counters = str(folder / service.COUNTERS)
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "benchmarks.measured", plan.to_json(), str(port), counters],
            cwd=_MODULE_FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementFailed(f"{plan}: no end after {_TIMEOUT_SECONDS:.0f} seconds") from error
    if done.returncode != 0:
        raise MeasurementFailed(f"{plan}: {done.stderr[-3000:]}")
    return Found.from_json(done.stdout.splitlines()[-1])


def _environment(folder: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name.lower() not in _IN_THE_WAY
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(folder / "airflow"),
        # The peers log each poll. In a triggerer that costs them more than here, where it goes nowhere.
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__SECRETS__BACKEND": "benchmarks.measured.CountingBackend",
        "SSL_CERT_FILE": str(folder / service.CERTIFICATE),
        "PYTHONHASHSEED": "0",
    }
