"""One record through a workflow: what ``workflows_single_case`` does, on generation 3 of the API.

A record of a table takes the case's place, the parameters go along as the run is started, and the run expires if it
has not ended by then. The connection is one of its own, so that DAGs with cases go on beside it.
"""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.table_record import CreateRecordOperator
from airflow_provider_workflows.results import read_result

# Both are ready in the sandbox: the definition takes two seconds and completes, the table takes any fields.
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
TABLE = "4a7c93e1-60d2-4f8b-9e15-b3d70c6a28f4"


def read_record(path: str) -> dict[str, Any]:
    """Return what a file says of a person, under the names of the table's fields."""
    person = json.loads(Path(path).read_text(encoding="utf-8"))
    return {
        "firstName": person["first_name"],
        "lastName": person["last_name"],
        "personalNumber": person["personal_number"],
    }


with DAG(
    "workflows_record",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    # A connection whose extra has "api_generation": 3.
    default_args={"workflows_conn_id": "workflows_generation_3"},
    params={
        "definition": Param(DEFINITION, type="string", description="id of the workflow definition"),
        "table": Param(TABLE, type="string", description="id of the table"),
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
    user_defined_macros={"read_record": read_record},
    doc_md=__doc__,
):
    record = CreateRecordOperator(
        task_id="create_record", table_id="{{ params.table }}", fields="{{ read_record(params.person) }}"
    )
    run = RunWorkflowOperator(
        task_id="run_workflow",
        workflow_definition_id="{{ params.definition }}",
        record_id=record.output,
        parameters={"limit": "{{ params.limit }}", "strict": True},
        locale="en",
        expires_at=timedelta(days=2),
        wait_for_completion=True,
        deferrable=True,
        retries=2,
        retry_delay=timedelta(seconds=10),
    )
    result = GetWorkflowResultOperator(
        task_id="get_result", workflow_id=run.output, output_path="{{ params.output }}"
    )

    @task
    def print_result(handle: Any) -> None:
        """Print what the workflow found out, and nothing of the person."""
        print("Result:", read_result(handle, select=["recordId", "decision"]))

    print_result(result.output)
