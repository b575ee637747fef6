"""A batch for each way in which a person or a machine ends a try, and one whose output several runs share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

#: Arguments of each batch, beside those that all have. None of those that wait here needs a process to resume it.
BATCHES: dict[str, dict[str, Any]] = {
    "cleared_while_deferred": {"deferrable": True, "workflows_conn_id": "waiting"},
    "cleared_while_waiting": {"workflows_conn_id": "waiting"},
    "cleared_while_submitting": {},
    "marked_while_submitting": {},
    "terminated_while_submitting": {},
    "orphaned_while_submitting": {},
    "timed_out_while_submitting": {"execution_timeout": timedelta(seconds=8), "retries": 0},
    "cleared_after_failure": {"retries": 0},
    "cleared_after_success": {},
    "started_over": {"on_clear": "start_over"},
}
COMMON: dict[str, Any] = {
    "workflows_conn_id": "slow",
    # The service takes half a second to start a run: four rows in a second.
    "max_concurrency": 2,
    "deferrable": False,
    "poll_interval": 0.5,
    "max_poll_interval": 1,
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
}

with DAG("stopped_batches", schedule=None, catchup=False, params={"folder": "", "definitions": {}}):
    for name, arguments in BATCHES.items():
        RunWorkflowBatchOperator(
            task_id=name,
            workflow_definition_id=f"{{{{ params.definitions['{name}'] }}}}",
            items=f"{{{{ params.folder }}}}/{name}.jsonl",
            output_path=f"{{{{ params.folder }}}}/{name}",
            **COMMON | arguments,
        )

with DAG("shared_output", schedule=None, catchup=False, params={"folder": "", "definition": ""}):
    RunWorkflowBatchOperator(
        task_id="run",
        workflow_definition_id="{{ params.definition }}",
        items=[{"first_name": "Ada"}],
        output_path="{{ params.folder }}",
        **COMMON | {"deferrable": True, "workflows_conn_id": "waiting"},
    )
