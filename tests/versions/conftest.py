"""A real Airflow of whichever version is installed here, and a table of what it has done."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import LocalAirflow, RunningAirflow

DAGS = Path(__file__).with_name("dags")
NOTIFIED = "workflows_notified"

_results = pytest.StashKey[dict[str, str]]()
_started = pytest.StashKey[float]()


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="package")
def local_airflow(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    extra = {**sandbox.connection["extra"], "webhooks": True}
    environment = {
        **sandbox.environment,
        f"AIRFLOW_CONN_{NOTIFIED.upper()}": json.dumps({**sandbox.connection, "extra": extra}),
        # Only versions without a task state store of their own use it.
        "AIRFLOW__WORKFLOWS__STATE_FOLDER": str(tmp_path_factory.mktemp("states")),
    }
    with LocalAirflow(DAGS, environment) as local:
        yield local


@pytest.fixture(scope="package")
def running_airflow(local_airflow: LocalAirflow, sandbox: Sandbox) -> Iterator[RunningAirflow]:
    """API server, scheduler with LocalExecutor, DAG processor and triggerer."""
    with local_airflow.standalone() as running:
        sandbox.webhooks.send_to(f"{running.url}/workflows/webhooks/{NOTIFIED}")
        yield running


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_started] = time.monotonic()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: Any = yield
    flow = item.get_closest_marker("flow")
    if flow is not None and (report.when == "call" or report.outcome != "passed"):
        item.config.stash.setdefault(_results, {})[flow.args[0]] = report.outcome
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the row of this version, and keep it for ``make versions``."""
    # Of several folders at once this file may be read after the session has started.
    flows = config.stash.get(_results, None)
    if not flows:
        return
    result: dict[str, Any] = {
        "airflow": version("apache-airflow"),
        "python": platform.python_version(),
        "seconds": round(time.monotonic() - config.stash.get(_started, time.monotonic())),
        "flows": flows,
    }
    terminalreporter.section(f"Airflow {result['airflow']}, Python {result['python']}")
    for flow, outcome in flows.items():
        terminalreporter.write_line(f"{outcome:7} {flow}")
    if path := os.environ.get("VERSIONS_RESULT"):
        result["is_lowest"] = "airflow-lowest" in path
        Path(path).write_text(json.dumps(result), encoding="utf-8")
