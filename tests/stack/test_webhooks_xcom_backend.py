"""Webhooks on a whole Airflow whose XComs are in object storage, so that its database has paths in their place."""

from __future__ import annotations

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
    POLLS_WITH_WEBHOOK,
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
        inbox = stack.sql("SELECT value FROM xcom WHERE key = :key", key=INBOX_KEY)
        rows = driver.rows(NOTIFIED)
        batch = driver.waited(BATCH, runs[BATCH], [row["workflow_id"] for row in rows])
        polls = sandbox.counts.requests["GET /workflows/{workflowId}"] - batch.polls.total()

    assert stored[WORKFLOW_ID_KEY].startswith("file://")
    assert not stored[AWAITED_RUNS_KEY].startswith("file://")
    assert InboxSegment.from_json(inbox[0][0]).completions
    assert [row["outcome"] for row in rows] == ["succeeded"] * ROWS
    assert batch.polls.total() <= POLLS_WITH_WEBHOOK * ROWS
    assert polls <= POLLS_WITH_WEBHOOK * RUNS
