"""Runs for all rows of a file, as one batch."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

with DAG(
    "benchmark_batch",
    schedule=None,
    catchup=False,
    params={"items": "", "output": "", "definition": ""},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=2)},
):
    RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id="{{ params.definition }}",
        items="{{ params['items'] }}",
        output_path="{{ params.output }}",
    )
