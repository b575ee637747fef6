"""The sandbox in a process of its own: it shares neither an interpreter nor memory with what is measured.

Started by ``python -m benchmarks.batch_service``; it prints how to reach it, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.sandbox import Sandbox
from benchmarks.plan import pin
from benchmarks.service import SERVICE_PLACE

if TYPE_CHECKING:
    from typing_extensions import Self

CASE, RUN = "/cases", "/workflows/run"
CASE_CALL, RUN_CALL = f"POST {CASE}", f"POST {RUN}"
STATUS_CALL = "GET /workflows/{workflowId}"
RESULT_CALL = "GET /workflows/{workflowId}/result"
_CHECKOUT = Path(__file__).parents[1]


class Service:
    """A new sandbox, as a context manager that ends it.

    :param tls: https, as the service itself has
    :param apart: keep it to a processor of its own
    """

    def __init__(self, *, tls: bool = False, apart: bool = False) -> None:
        self._options = ["--tls"] * tls + ["--apart"] * apart

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.batch_service", *self._options],
            cwd=_CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert self._process.stdout is not None  # noqa: S101
            told = json.loads(self._process.stdout.readline())
        except BaseException:
            self._process.kill()
            raise
        self.url: str = told["url"]
        self.ca_file: str | None = told["ca_file"]
        self.environment: dict[str, str] = told["environment"]
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def define(self, seconds: float) -> str:
        """Return the id of a new workflow definition whose runs take so long."""
        definition_id: str = self._call("POST", "definitions", {"seconds": seconds})["id"]
        return definition_id

    def delay(self, path: str, seconds: float) -> None:
        """Have the service take so long for each call of a path."""
        self._call("POST", "faults", {"name": "latency", "path": path, "seconds": seconds})

    def counts(self) -> dict[str, Any]:
        """Return what the service has counted, and begin at zero."""
        counts: dict[str, Any] = self._call("GET", "counts")
        self._call("DELETE", "counts")
        return counts

    def _call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/_sandbox/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with self._opener.open(request, timeout=60) as response:
            return json.loads(response.read())


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    if options.apart:
        pin(SERVICE_PLACE)
    # A token that ends in the middle would be another difference between runs.
    with Sandbox(tls=options.tls, token_seconds=86_400.0) as sandbox:
        told = {"url": sandbox.url, "ca_file": sandbox.ca_file, "environment": sandbox.environment}
        sys.stdout.write(f"{json.dumps(told)}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _main()
    os._exit(0)  # a hundred thousand cases need no goodbye
