"""A batch task against the sandbox, with the little of Airflow that it uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.io import attach
from airflow.sdk.io.store import _STORE_CACHE
from airflow.sdk.module_loading import import_string
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_workflows.api import AsyncWorkflowsClient, retry
from airflow_provider_workflows.api.errors import BatchFailed
from airflow_provider_workflows.batch.journal import Journal
from airflow_provider_workflows.hooks import workflows
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.conftest import TaskInstance, TaskStateStore

from .submitting import Rows

CASE_CALL = "POST /cases"
PARAMETERS_CALL = "POST /parameters"
RUN_CALL = "POST /workflows/run"
STATUS_CALL = "GET /workflows/{workflowId}"
RESULT_PATH = "/workflows/{workflowId}/result"
STATUS_PATH = "/workflows/{workflowId}"
RESULT_CALL = "GET /workflows/{workflowId}/result"
AUTHORIZE_CALL = "POST /auth/authorize"


class BatchTaskInstance(TaskInstance):
    """Tells what a task's record is found by."""

    dag_id = "nightly"
    run_id = "scheduled__2026-01-31"
    task_id = "batch"
    map_index = -1


class BatchTask:
    """A task whose tries each are a new operator, as Airflow makes them.

    :param folder: of the output
    :param definition_id: of the workflow
    """

    def __init__(self, folder: Path, definition_id: str) -> None:
        self.folder = folder
        self.definition_id = definition_id
        self.ti = BatchTaskInstance()
        self.store = TaskStateStore()
        self.outlet_events = OutletEventAccessors()
        self.deferred: list[TaskDeferred] = []
        self.events: list[dict[str, Any]] = []

    @property
    def context(self) -> Any:
        return {"ti": self.ti, "task_state_store": self.store, "outlet_events": self.outlet_events}

    def operator(self, items: Any, **arguments: Any) -> RunWorkflowBatchOperator:
        given = {
            "task_id": "batch",
            "workflow_definition_id": self.definition_id,
            "output_path": str(self.folder),
            "poll_interval": 0.02,
            "max_poll_interval": 0.02,
        }
        return RunWorkflowBatchOperator(items=items, **given | arguments)

    def run(self, items: Any, **arguments: Any) -> dict[str, Any]:
        """Run one try to its end, in the worker and the triggerer."""
        try:
            return self.operator(items, **arguments).execute(self.context)
        except TaskDeferred as deferred:
            self.deferred.append(deferred)
            self.events.append(event_of(deferred))
            again = self.operator(items, **arguments)
            return again.resume_execution(deferred.method_name, {"event": self.events[-1]}, self.context)

    def clear(self) -> None:
        """Do what a clear does: the task starts over, with as many retries as before."""
        self.ti.max_tries += 1

    @property
    def state_folders(self) -> list[Path]:
        return sorted((self.folder / "_state").glob("*"))

    @property
    def output(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "results.jsonl").read_text().splitlines()]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.output]


def event_of(deferred: TaskDeferred) -> dict[str, Any]:
    """Run the trigger as a triggerer does, from what is stored of it, and return what is stored of its event."""
    trigger = stored_trigger(deferred)

    async def first_event() -> Any:
        return await anext(trigger.run())

    event: dict[str, Any] = json.loads(json.dumps(asyncio.run(first_event()).payload))
    return event


def stored_trigger(deferred: TaskDeferred) -> Any:
    path, fields = deferred.trigger.serialize()
    return import_string(path)(**json.loads(json.dumps(fields)))


def cases(number: int) -> list[Mapping[str, Any]]:
    return [{"first_name": f"Ada{row}"} for row in range(1, number + 1)]


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
    """Keep the pauses between attempts short; their length is a test of its own."""
    monkeypatch.setattr(retry, "BACKOFF", retry.Backoff(0.002))


@pytest.fixture
def batch(connected: Sandbox, short_pauses: None, tmp_path: Path) -> BatchTask:
    """A batch task whose workflows complete at once."""
    return BatchTask(tmp_path / "nightly", connected.define(seconds=0.0, result={"decision": "PASS"}))


@pytest.fixture
async def client(sandbox: Sandbox) -> Any:
    """A client that makes one try for a call, authorized, with the sandbox's counts at zero."""
    async with sandbox.async_client(max_attempts=1) as made:
        await made.authorize()
        sandbox.counts.reset()
        yield made


@pytest.fixture
async def journal(tmp_path: Path) -> Any:
    opened = Journal(ObjectStoragePath(str(tmp_path)))
    yield opened
    opened.close()


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


class Service:
    """What makes the rows of a first try end so, and lets all go well again."""

    def __init__(self, sandbox: Sandbox, definition_id: str) -> None:
        self.sandbox = sandbox
        self.definition_id = definition_id

    def failed(self) -> None:
        self.sandbox.define(self.definition_id, seconds=0.0, status="FAILED")

    def not_submitted(self) -> None:
        self.sandbox.define(self.definition_id, seconds=0.0, needs_parameters=True)

    def unknown(self) -> None:
        self.sandbox.fault("cut_after", path="/workflows/run")

    def running(self) -> None:
        self.sandbox.fault("server_error", status=503, path=STATUS_PATH)

    def result_missing(self) -> None:
        self.sandbox.fault("forbidden", path=RESULT_PATH)

    def well(self) -> None:
        self.sandbox.clear_faults()
        self.sandbox.define(self.definition_id, seconds=0.0)
        self.sandbox.counts.reset()


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


@pytest.fixture
def rows(client: AsyncWorkflowsClient, sandbox: Sandbox, tmp_path: Path, short_pauses: None) -> Rows:
    return Rows(client, tmp_path, sandbox.define(seconds=0.0))


@pytest.fixture
async def begun_rows(rows: Rows, sandbox: Sandbox) -> Rows:
    """A batch whose first row is submitted, so that nothing is a first row any more."""
    await rows.submit(cases(1))
    sandbox.counts.reset()
    return rows
