"""A batch task against the sandbox, with the little of Airflow that it uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.tasks import TaskInstance, TaskStateStore, event_of

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
            stored = {**(deferred.kwargs or {}), "event": self.events[-1]}
            return again.resume_execution(deferred.method_name, stored, self.context)

    def clear(self) -> None:
        """Do what a clear does: the task starts over, with as many retries as before."""
        self.ti.max_tries += 1
        self.ti.try_number += 1

    @property
    def state_folders(self) -> list[Path]:
        return sorted((self.folder / "_state").glob("*"))

    @property
    def output(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "results.jsonl").read_text().splitlines()]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.output]


def cases(number: int) -> list[Mapping[str, Any]]:
    return [{"first_name": f"Ada{row}"} for row in range(1, number + 1)]


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
