"""What chaos happens to: single runs, a batch with keys, and a small batch that starts over when it is cleared."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import TABLE

#: Of the calls of a batch: slow enough that much can happen while it submits.
REQUESTS_PER_SECOND = float(os.environ.get("CHAOS_REQUESTS_PER_SECOND", "20"))
#: Bounds of the seconds between two polls of a run.
POLL_SECONDS = [float(bound) for bound in os.environ.get("CHAOS_POLL_SECONDS", "5 10").split()]
POLLS: dict[str, Any] = {"poll_interval": POLL_SECONDS[0], "max_poll_interval": POLL_SECONDS[1]}
#: Each kill of a process takes one, and the many kills are not to make a task fail.
TRIES: dict[str, Any] = {"retries": 200, "retry_delay": timedelta(seconds=1)}
DEFINITION: dict[str, Any] = {"workflow_definition_id": "{{ params.definition }}"}
#: Of the API.
GENERATION = int(os.environ.get("CHAOS_GENERATION", "1"))
SUBJECT = "case_id" if GENERATION == 1 else "record_id"
INLINE: dict[str, Any] = {"parameters": {"limit": 5}, "locale": "en", "expires_at": timedelta(days=1)}
GIVEN = INLINE if GENERATION == 3 else {}
IN_TABLE: dict[str, Any] = {"table_id": TABLE} if GENERATION == 3 else {}

with DAG(
    "chaos_single_runs",
    schedule=None,
    catchup=False,
    max_active_tasks=1000,
    params={"subject_ids": [], "definition": ""},
):

    @task(retries=200)
    def subjects(params: dict[str, Any]) -> list[str]:
        """Return the cases or records to run the workflow on."""
        return list(params["subject_ids"])

    RunWorkflowOperator.partial(
        task_id="run",
        wait_for_completion=True,
        deferrable=True,
        workflows_conn_id="chaos",
        **POLLS,
        **DEFINITION,
        **TRIES,
        **GIVEN,
    ).expand(**{SUBJECT: subjects()})  # type: ignore[call-arg]

BATCHES: dict[str, dict[str, Any]] = {"chaos_batch": {}, "chaos_start_over": {"on_clear": "start_over"}}

for dag_id, options in BATCHES.items():
    with DAG(
        dag_id,
        schedule=None,
        catchup=False,
        params={"cases": "", "output": "", "definition": ""},
    ):
        RunWorkflowBatchOperator(
            task_id="run",
            items="{{ params.cases }}",
            output_path="{{ params.output }}",
            requests_per_second=REQUESTS_PER_SECOND,
            # Rows that a kill has left unknown are not to fail a batch for ever.
            max_failed_share=0.5,
            workflows_conn_id="chaos",
            **POLLS,
            **DEFINITION,
            **TRIES,
            **GIVEN,
            **IN_TABLE,
            **options,
        )
