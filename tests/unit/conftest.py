"""What the tests share that need no running Airflow."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.io import attach
from airflow.sdk.io.store import _STORE_CACHE
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api import retry
from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.hooks import workflows
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.triggers import poll_queue
from tests.unit.batch_task import BatchTask, Service, cases
from tests.unit.tasks import TaskInstance, TaskStateStore

# Airflow keeps what signs and what checks tokens for the life of a process: without a secret that is set from the
# start, the first test that needs one of them would decide for all others.
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "x" * 64

#: Of a table, ``make test-fast`` takes this many rows (the first), unless its test is marked ``sampled``.
QUICK_ROWS = 1


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Have a test run on the event loop that its class or module names as ``LOOP``, or else on asyncio's own."""
    test = item.getparent(pytest.Class), item.getparent(pytest.Module)
    loops = [getattr(part.obj, "LOOP", None) for part in test if part is not None]
    return {"loop": next((loop for loop in loops if loop is not None), asyncio.new_event_loop)}


def spread(number: int, rows: int) -> set[int]:
    """Return the indices of a number of rows of a table, spread evenly over it from the first on."""
    return {index * rows // number for index in range(number)}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as thorough and slow what ``make test-fast`` and ``make test`` leave out, before tests are selected."""
    tables = defaultdict(list)
    for item in items:
        tables[item.nodeid.partition("[")[0]].append(item)
    for rows in tables.values():
        sampled = rows[0].get_closest_marker("sampled")
        number = sampled.args[0] if sampled else QUICK_ROWS
        costly = rows[0].get_closest_marker("costly")
        quick = spread(number, len(rows))
        kept = quick | spread(costly.args[0] if costly else len(rows), len(rows))
        for index, item in enumerate(rows):
            if index not in kept:
                item.add_marker("slow")
            # The whole API server takes seconds to import, in each process of the tests.
            if index not in quick or "api_server" in getattr(item, "fixturenames", ()):
                item.add_marker("thorough")


@pytest.fixture
def context() -> dict[str, Any]:
    """The context of one task instance; a retry has the same one."""
    return {
        "ti": TaskInstance(),
        "task_state_store": TaskStateStore(),
        "outlet_events": OutletEventAccessors(),
    }


@pytest.fixture
def connected(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that the connection ``workflows_default`` leads to."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    # Another sandbox may have had this port, and have given out tokens.
    workflows._tokens.cache_clear()
    workflows._shared_client.cache_clear()
    return sandbox


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the pauses between attempts and between polls short; their lengths are tests of their own."""
    monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.002))
    monkeypatch.setattr(poll_queue, "DUE_TIME_STEP_SECONDS", 0.02)


@pytest.fixture
def batch(connected: Sandbox, short_pauses: None, tmp_path: Path) -> BatchTask:
    """A batch task whose workflows complete at once."""
    return BatchTask(tmp_path / "nightly", connected.define(seconds=0.0, result={"decision": "PASS"}))


@pytest.fixture
def remote() -> Iterator[MemoryFileSystem]:
    """A remote file system of the test's own, at ``memory://``."""

    class RemoteFiles(MemoryFileSystem):
        cachable = False
        store: dict[str, Any] = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

    attach("memory", fs=(files := RemoteFiles()))
    yield files
    _STORE_CACHE.pop("memory")


@pytest.fixture
def service(batch: BatchTask, connected: Sandbox) -> Service:
    return Service(connected, batch.definition_id)


@pytest.fixture
def tried(batch: BatchTask, service: Service) -> Callable[..., BatchFailed]:
    """Have a first try of three rows whose outcome is as named, then let all be well."""

    def try_first(outcome: str, **arguments: Any) -> BatchFailed:
        getattr(service, outcome)()
        with pytest.raises(BatchFailed) as raised:
            batch.run(cases(3), max_outage=0.1, **arguments)
        assert batch.outcomes == [outcome] * 3
        service.well()
        return raised.value

    return try_first
