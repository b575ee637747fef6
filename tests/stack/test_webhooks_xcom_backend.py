"""Webhooks on a whole Airflow whose XComs are in object storage, so that its database has paths in their place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_workflows.batch.inbox import InboxSegment
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.xcom_keys import AWAITED_RUNS_KEY, INBOX_KEY, WORKFLOW_ID_KEY

from .conftest import StartStack
from .test_webhooks import (
    BATCH,
    MAPPED,
    NOTIFIED,
    ON_COMPLETION,
    ROWS,
    WAIT_SECONDS,
    Driver,
    environment,
)

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]

RUNS = 10


def test_tasks_and_batches_are_notified_where_xcoms_are_in_object_storage(
    start_stack: StartStack, tmp_path: Path
) -> None:
    backend = {
        "AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{tmp_path}/xcom",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
    }
    with (
        Sandbox() as sandbox,
        start_stack(sandbox, environment(sandbox) | backend, executor="LocalExecutor") as stack,
    ):
        airflow, driver = stack.running, Driver(stack, sandbox, tmp_path)
        # Each run of this DAG is one more poll.
        airflow.until(driver.is_scheduled_on_completions, 60, "the example to be scheduled on completions")
        airflow.call("PATCH", f"/dags/{ON_COMPLETION}", {"is_paused": True})
        sandbox.webhooks.send_to(f"{airflow.url}/workflows/webhooks/{NOTIFIED}")

        runs = {BATCH: driver.batch(NOTIFIED), MAPPED: driver.mapped(NOTIFIED, RUNS)[0]}
        for dag_id, run_id in runs.items():
            airflow.wait(dag_id, run_id, WAIT_SECONDS)

        stored = dict(
            stack.sql("SELECT key, min(value #>> '{}') FROM xcom WHERE task_id = 'run' GROUP BY key")
        )
        inbox = stack.sql("SELECT value FROM xcom WHERE key LIKE :key", key=f"{INBOX_KEY}%")
        rows = driver.rows(NOTIFIED)
        logs = [
            airflow.task_log(MAPPED, runs[MAPPED], "run", map_index=task.map_index)
            for task in airflow.task_instances(MAPPED, runs[MAPPED])
            if task.task_id == "run"
        ]
        polls = sandbox.counts.requests["GET /workflows/{workflowId}"]
        print(f"\n{polls} polls, responses {Counter(map(str, sandbox.counts.delivery_responses.values()))}")

    assert stored[WORKFLOW_ID_KEY].startswith("file://")
    assert not stored[AWAITED_RUNS_KEY].startswith("file://")
    assert [row["outcome"] for row in rows] == ["succeeded"] * ROWS
    completions = [each for (value,) in inbox for each in InboxSegment.from_json(value).completions]
    assert completions
    # How many depends on the machine: the batch may end by its polls before the last webhooks come.
    assert {workflow_id for _, workflow_id, _ in completions} <= {row["workflow_id"] for row in rows}
    # A trigger says so when it is ended from outside.
    assert sum("the task was resumed by a webhook" in log for log in logs) >= 0.9 * RUNS
