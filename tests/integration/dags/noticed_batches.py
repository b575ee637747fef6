"""Batches to which something happens, so that their pages have a notice: no try follows."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

with DAG("noticed_batches", schedule=None, catchup=False, params={"folder": "", "definition": ""}):
    for name in ("deferred", "stopped", "lost", "killed"):
        RunWorkflowBatchOperator(
            task_id=name,
            workflow_definition_id="{{ params.definition }}",
            items=f"{{{{ params.folder }}}}/{name}.csv",
            output_path=f"{{{{ params.folder }}}}/{name}",
            max_concurrency=2,
            retries=0,
        )
