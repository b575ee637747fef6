"""A batch whose page is measured."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

with DAG(
    "benchmark_page",
    schedule=None,
    catchup=False,
    params={"items": "", "output": "", "definition": ""},
):
    RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id="{{ params.definition }}",
        items="{{ params['items'] }}",
        output_path="{{ params.output }}",
        retries=0,
    )
