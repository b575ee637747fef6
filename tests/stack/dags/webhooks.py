"""Deferrable runs and a batch, by a connection that takes webhooks or by one that does not."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator

#: Soon enough that a test can wait for those whose webhook is lost, and after the end of those that are told.
MAX_POLL_INTERVAL_SECONDS = 50.0

with DAG(
    "webhooks_mapped",
    schedule=None,
    catchup=False,
    max_active_tasks=1000,
    params={"case_ids": [], "definition": "", "connection": ""},
):

    @task
    def cases(params: dict[str, Any]) -> list[str]:
        """Return the cases to run the workflow on."""
        return list(params["case_ids"])

    # A second try would hide that the first went wrong.
    RunWorkflowOperator.partial(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        workflows_conn_id="{{ params.connection }}",
        wait_for_completion=True,
        deferrable=True,
        max_poll_interval=MAX_POLL_INTERVAL_SECONDS,
        retries=0,
    ).expand(case_id=cases())

with DAG(
    "webhooks_batch",
    schedule=None,
    catchup=False,
    params={"cases": "", "output": "", "definition": "", "connection": ""},
):
    RunWorkflowBatchOperator(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        workflows_conn_id="{{ params.connection }}",
        items="{{ params.cases }}",
        output_path="{{ params.output }}",
        max_poll_interval=MAX_POLL_INTERVAL_SECONDS,
        retries=0,
    )
