"""The sandbox in a process of its own: it shares neither an interpreter nor memory with what is measured.

Started by ``python -m benchmarks.harness.sandbox``; it prints how to reach it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_workflows.sandbox import Sandbox
from benchmarks.harness.processes import SERVICE_PLACE, pin, service_process

CASE_PATH, RUN_PATH = "/cases", "/workflows/run"
CASE_CALL, RUN_CALL = f"POST {CASE_PATH}", f"POST {RUN_PATH}"
STATUS_CALL = "GET /workflows/{workflowId}"
RESULT_CALL = "GET /workflows/{workflowId}/result"


@dataclass(frozen=True)
class SandboxProcess:
    """How to reach a sandbox in another process, and how to direct it.

    :param ca_file: what its certificate is checked with; None without TLS
    :param environment: Airflow's connection to it
    """

    url: str
    ca_file: str | None
    environment: dict[str, str]

    def define(self, seconds: float | tuple[float, float], **fields: Any) -> str:
        """Return the id of a new workflow definition.

        :param seconds: what a run takes, or bounds between which that is drawn
        :param fields: further fields of the sandbox's ``Definition``
        """
        definition_id: str = self._call("POST", "definitions", {"seconds": seconds, **fields})["id"]
        return definition_id

    def delay(self, path: str, seconds: float) -> None:
        """Have the service take ``seconds`` for each call of a path."""
        self._call("POST", "faults", {"name": "latency", "path": path, "seconds": seconds})

    def counts(self) -> dict[str, Any]:
        """Return what the service has counted, and begin at zero."""
        counts: dict[str, Any] = self._call("GET", "counts")
        self._call("DELETE", "counts")
        return counts

    def _call(self, method: str, path: str, body: object = None) -> Any:
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/_sandbox/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with opener.open(request, timeout=60) as response:
            return json.loads(response.read())


@contextlib.contextmanager
def sandbox_process(*, tls: bool = False, pinned: bool = False) -> Iterator[SandboxProcess]:
    """Provide a new sandbox.

    :param tls: https, as the service itself has
    :param pinned: keep it to a processor of its own
    """
    options = ["--tls"] * tls + ["--pinned"] * pinned
    with service_process(["-m", "benchmarks.harness.sandbox", *options]) as fields:
        yield SandboxProcess(**fields)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--pinned", action="store_true")
    options = parser.parse_args()
    if options.pinned:
        pin(SERVICE_PLACE)
    # A token that ends in the middle would be another difference between runs.
    with Sandbox(tls=options.tls, token_seconds=86_400.0) as sandbox:
        fields = SandboxProcess(sandbox.url, sandbox.ca_file, dict(sandbox.environment))
        sys.stdout.write(f"{json.dumps(asdict(fields))}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _main()
    os._exit(0)  # a hundred thousand cases need no goodbye
