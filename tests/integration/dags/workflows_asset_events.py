"""Tasks that make asset events, some of them killed once all is done, and DAGs that wait for the events."""

from __future__ import annotations

import json
import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_provider_workflows.lineage.assets import definition
from airflow_provider_workflows.lineage.triggering import triggering_events
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION

CONNECTION = json.loads(os.environ["AIRFLOW_CONN_WORKFLOWS_DEFAULT"])
HOST = f"{CONNECTION['host']}:{CONNECTION['port']}"
OFTEN = {"poll_interval": 0.5, "max_poll_interval": 0.5, "retries": 2, "retry_delay": timedelta(seconds=1)}


def kill_the_first_try(context: Any, result: Any) -> None:
    """All is done, and the process is gone before Airflow hears of it."""
    if context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


MODES: dict[str, dict[str, Any]] = {
    "worker": {"deferrable": False},
    "triggerer": {"deferrable": True},
    "killed": {"deferrable": True, "post_execute": kill_the_first_try},
    "failing": {"workflow_definition_id": FAILING_DEFINITION, "deferrable": True, "retries": 0},
}

for name, arguments in MODES.items():
    with DAG(f"events_of_{name}", schedule=None, catchup=False, params={"output": "", "cases": ""}):
        case = CreateCaseOperator(task_id="case", first_name="Ada")
        run = RunWorkflowOperator(
            **{
                "task_id": "run",
                "workflow_definition_id": DEFINITION,
                "case_id": case.output,
                "wait_for_completion": True,
                "outlets": [Asset(f"run_{name}")],
                **OFTEN,
                **arguments,
            }
        )
        if name != "failing":
            GetWorkflowResultOperator(
                task_id="result",
                workflow_id=run.output,
                output_path="{{ params.output }}/{{ dag.dag_id }}",
                outlets=[Asset(f"result_{name}")],
                retries=2,
                retry_delay=timedelta(seconds=1),
                post_execute=arguments.get("post_execute"),
            )
        RunWorkflowBatchOperator(
            **{
                "task_id": "batch",
                "workflow_definition_id": DEFINITION,
                "items": "{{ params.cases }}",
                "output_path": "{{ params.output }}/{{ dag.dag_id }}/batch",
                "outlets": [Asset(f"batch_{name}")],
                **OFTEN,
                **arguments,
            }
        )

RUNS = definition(DEFINITION, HOST)

with DAG("events_are_consumed", schedule=[RUNS], catchup=False):

    @task(inlets=[RUNS])
    def workflows(**context: Any) -> list[dict[str, Any]]:
        """Return what the events said."""
        return [event.extra for event in triggering_events(RUNS, context)]

    workflows()
