"""One case through a workflow: the guide's flow, step by step. Runs as it is against the sandbox.

Personal data stays out of Airflow's database: the person is read from a file when the task is rendered, and the
result goes into a file, of which only a handle travels.
"""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.results import read_result
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

# A definition that is ready in the sandbox: it takes two seconds and completes.
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"


def read_person(path: str) -> Any:
    """Return what a file says of a person."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


with DAG(
    "workflows_single_case",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    params={
        "definition": Param(DEFINITION, type="string", description="id of the workflow definition"),
        "person": Param(
            str(Path(__file__).with_name("data") / "person.json"),
            type="string",
            description="JSON file of the person, where all workers can read it",
        ),
        "output": Param(
            str(Path(tempfile.gettempdir(), "workflows_results")),
            type="string",
            description="folder for the result, which is personal data, where all workers can reach it",
        ),
        "limit": Param(1.5, type="number", description="a parameter of the workflow"),
    },
    user_defined_macros={"read_person": read_person},
    doc_md=__doc__,
):
    case = CreateCaseOperator(task_id="create_case", case="{{ read_person(params.person) }}")
    parameters = CreateParametersOperator(
        task_id="create_parameters",
        workflow_definition_id="{{ params.definition }}",
        parameters={"limit": "{{ params.limit }}", "strict": True},
    )
    run = RunWorkflowOperator(
        task_id="run_workflow",
        workflow_definition_id="{{ params.definition }}",
        case_id=case.output,
        parameters_id=parameters.output,
    )
    wait = WorkflowStatusSensor(
        task_id="wait_for_workflow",
        workflow_id=run.output,
        poke_interval=2,
        timeout=600,
        deferrable=True,
        retries=2,
        retry_delay=timedelta(seconds=10),
    )
    result = GetWorkflowResultOperator(
        task_id="get_result", workflow_id=run.output, output_path="{{ params.output }}"
    )

    @task
    def print_result(handle: Any) -> None:
        """Print what the workflow found out, and nothing of the person, whose data the result repeats."""
        print("Result:", read_result(handle, select=["caseId", "decision"]))

    wait >> result >> print_result(result.output)
