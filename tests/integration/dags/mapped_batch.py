"""A table of cases in shards of fifty rows, a batch task for each, and one index of what all wrote."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.shards import merge, shard

with DAG(
    "mapped_batch",
    schedule=None,
    catchup=False,
    params={"cases": "", "output": "", "definition": ""},
):
    shards = shard("{{ params.cases }}", 50)
    run = RunWorkflowBatchOperator.partial(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        output_path="{{ params.output }}",
    ).expand(items=shards)
    merge(run.output, "{{ params.output }}", shards=shards)
