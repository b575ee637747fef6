"""Runs for all rows of a file, as three mapped tasks, which is how it is done without a batch."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator

with DAG(
    "benchmark_mapped",
    schedule=None,
    catchup=False,
    # The executor is the limit.
    max_active_tasks=1000,
    params={"items": "", "output": "", "definition": ""},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=2)},
):

    @task
    def rows(params: Any = None) -> list[dict[str, str]]:
        """Return the same rows as the batch reads."""
        with Path(params["items"]).open() as file:
            found: list[dict[str, str]] = [json.loads(line) for line in file]
        for row in found:
            del row["key"]
        return found

    case = CreateCaseOperator.partial(task_id="case").expand(case=rows())
    run = RunWorkflowOperator.partial(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        wait_for_completion=True,
        deferrable=True,
    ).expand(case_id=case.output)
    GetWorkflowResultOperator.partial(task_id="result").expand(workflow_id=run.output)
