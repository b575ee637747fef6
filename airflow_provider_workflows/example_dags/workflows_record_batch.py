"""A table of people through a workflow, a record for each row, on generation 3 of the API.

What ``workflows_nightly_batch`` does with cases: here the columns are fields of a record, and each run has the
parameters of the task and expires. The connection is one of its own, so that DAGs with cases go on beside it.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

# Both are ready in the sandbox: the definition takes two seconds and completes, the table takes any fields.
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
TABLE = "4a7c93e1-60d2-4f8b-9e15-b3d70c6a28f4"

with DAG(
    "workflows_record_batch",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    params={
        "definition": Param(DEFINITION, type="string", description="id of the workflow definition"),
        "table": Param(TABLE, type="string", description="id of the table"),
        "people": Param(
            str(Path(__file__).with_name("data") / "nightly_cases.csv"),
            type="string",
            description="CSV file of the people, where all workers can read it",
        ),
        "output": Param(
            str(Path(tempfile.gettempdir(), "workflows_record_batch")),
            type="string",
            description="folder for the results, which are personal data. With several machines: storage "
            "that workers and triggerers share, such as s3://conn_id@bucket/results",
        ),
    },
    doc_md=__doc__,
):
    batch = RunWorkflowBatchOperator(
        task_id="run_batch",
        # A connection whose extra has "api_generation": 3.
        workflows_conn_id="workflows_generation_3",
        workflow_definition_id="{{ params.definition }}",
        items="{{ params.people }}",
        output_path="{{ params.output }}/{{ run_id }}",
        columns={
            "customer_no": "key",
            "first_name": "record.firstName",
            "last_name": "record.lastName",
            "PESEL": "record.personalNumber",
            "email": "record.email",
            **dict.fromkeys(("phone_country_code", "phone_number", "case_id", "note")),
        },
        table_id="{{ params.table }}",
        parameters={"limit": 1.5, "strict": True},
        expires_at=timedelta(days=2),
        on_bad_row="skip",
        retries=3,
    )

    @task
    def count_passes(summary: Any) -> None:
        """Print how many passed, and how many records there are; nothing of a row is printed."""
        rows = [row for row in read_output(summary["output"]) if row["result"]]
        passes = sum(row["result"].get("decision") == "PASS" for row in rows)
        print(f"{passes} of {len({row['record_id'] for row in rows})} records have passed.")

    count_passes(batch.output)
