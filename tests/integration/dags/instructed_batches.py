"""Batches of which a person presses the buttons, one a deferred one."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

with DAG("instructed_batches", schedule=None, catchup=False, params={"folder": "", "definition": ""}):
    for name, retries in {"resubmitted": 0, "stopped": 3}.items():
        RunWorkflowBatchOperator(
            task_id=name,
            workflow_definition_id="{{ params.definition }}",
            items=f"{{{{ params.folder }}}}/{name}.jsonl",
            output_path=f"{{{{ params.folder }}}}/{name}",
            deferrable=name == "resubmitted",
            requests_per_second=20,
            poll_interval=0.5,
            max_poll_interval=1,
            retries=retries,
            retry_delay=timedelta(seconds=1),
        )
