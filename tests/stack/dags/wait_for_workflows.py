"""As many workflows as its params say, each waited for by a task of its own in the triggerer."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

with DAG(
    "wait_for_workflows",
    schedule=None,
    catchup=False,
    max_active_tasks=1024,
    params={
        "definition": Param(type="string", description="id of the workflow definition"),
        "workflows": Param(1, type="integer", minimum=1, description="number of cases, each with one run"),
    },
):
    # One task for all, because it is the waiting that is tested.
    @task
    def start_workflows(params: dict[str, object]) -> list[str]:
        """Run the workflow for as many new cases; return the ids of the runs."""
        client = WorkflowsHook().get_conn()
        return [
            client.run_workflow(str(params["definition"]), client.create_case().case_id).id
            for _ in range(int(str(params["workflows"])))
        ]

    WorkflowStatusSensor.partial(
        task_id="wait", deferrable=True, poke_interval=2, timeout=600, retries=2
    ).expand(workflow_id=start_workflows())
