"""As many tasks as there are workflows, each deferred until its own has ended."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

with DAG(
    "benchmark_webhooks",
    schedule=None,
    catchup=False,
    max_active_tasks=2000,
    params={"workflow_ids": []},
):

    @task
    def workflows(params: Any = None) -> list[str]:
        """Return the workflows to wait for."""
        return list(params["workflow_ids"])

    # The trigger polls once at the beginning, and then not again while this is measured.
    WorkflowStatusSensor.partial(
        task_id="wait", deferrable=True, max_poll_interval=3600.0, timeout=7200.0, retries=0
    ).expand(workflow_id=workflows())
