"""One case through a workflow: the guide's flow, step by step. Runs as it is against the sandbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_workflows.api.personal import masked
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

# A definition that is ready in the sandbox: it takes two seconds and completes.
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"

with DAG(
    "workflows_single_case",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    params={
        "definition": Param(DEFINITION, type="string", description="id of the workflow definition"),
        "first_name": Param("Johanna", type="string"),
        "last_name": Param("Nowakowska", type="string"),
        "personal_number": Param("02211012345", type="string", description="leading zeros are kept"),
        "limit": Param(1.5, type="number", description="a parameter of the workflow"),
    },
    doc_md=__doc__,
):
    case = CreateCaseOperator(
        task_id="create_case",
        first_name="{{ params.first_name }}",
        last_name="{{ params.last_name }}",
        personal_number="{{ params.personal_number }}",
        phone={"country_code": "48", "number": "666666666"},
    )
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
    result = GetWorkflowResultOperator(task_id="get_result", workflow_id=run.output)

    @task
    def print_result(ti: Any = None) -> None:
        """Print what the workflow found out, without the personal data that the result repeats.

        As an argument the result would be shown, personal data and all, among the rendered templates.
        """
        print("Result:", masked(ti.xcom_pull(task_ids=result.task_id)))

    wait >> result >> print_result()
