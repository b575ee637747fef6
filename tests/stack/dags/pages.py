"""Batches whose pages the tests watch, and what runs after them."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION

with DAG(
    "pages_batch",
    schedule=None,
    catchup=False,
    params={"cases": "", "output": "", "definition": DEFINITION},
):
    RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id="{{ params.definition }}",
        items="{{ params.cases }}",
        output_path="{{ params.output }}",
        max_concurrency=4,
        poll_interval=1,
        max_poll_interval=2,
        retries=0,
    ) >> EmptyOperator(task_id="after")

with DAG("pages_run", schedule=None, catchup=False, params={"definition": DEFINITION, "case": ""}):
    RunWorkflowOperator(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        case_id="{{ params.case }}",
        wait_for_completion=True,
        deferrable=True,
        retries=0,
    )
