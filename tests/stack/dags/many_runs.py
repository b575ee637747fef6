"""As many deferrable runs as there are cases, mapped over one task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_workflows.operators.run import RunWorkflowOperator

with DAG(
    "many_runs",
    schedule=None,
    catchup=False,
    max_active_tasks=1000,
    params={"case_ids": [], "definition": ""},
):

    @task
    def cases(params: dict[str, Any]) -> list[str]:
        """Return the cases to run the workflow on."""
        return list(params["case_ids"])

    RunWorkflowOperator.partial(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        wait_for_completion=True,
        deferrable=True,
        retries=5,
        retry_delay=timedelta(seconds=2),
    ).expand(case_id=cases())
