"""TaskFlow: functions say what to run. A batch of some customers, and one more run for those who have passed.

``@task.workflows_batch`` and ``@task.run_workflow`` call the function on the worker, in each try. What it returns
goes to the service, and into no XCom, log or template. Between the tasks travel ids and counts.
"""

from __future__ import annotations

import csv
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_workflows.batch.output import read_output

# A definition that is ready in the sandbox: it takes two seconds and completes.
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
CUSTOMERS = 6
CHECKED_AGAIN = 2

with DAG(
    "workflows_taskflow",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    params={
        "definition": Param(DEFINITION, type="string", description="id of the workflow definition"),
        "cases": Param(
            str(Path(__file__).with_name("data") / "nightly_cases.csv"),
            type="string",
            description="CSV file of the customers, where all workers can read it",
        ),
        "output": Param(
            str(Path(tempfile.gettempdir(), "workflows_taskflow")),
            type="string",
            description="folder for the results, which are personal data. With several machines: storage "
            "that workers and triggerers share, such as s3://conn_id@bucket/results",
        ),
    },
    doc_md=__doc__,
):

    @task.workflows_batch(
        workflow_definition_id="{{ params.definition }}",
        output_path="{{ params.output }}/{{ run_id }}",
        retries=3,
    )
    def check_customers(params: Any = None) -> list[dict[str, Any]]:
        """Return a row for each of the first customers; the same in each try, and with a key."""
        with Path(params["cases"]).open(encoding="utf-8", newline="") as file:
            customers = [row for row in csv.DictReader(file) if row["first_name"] and row["PESEL"]]
        return [
            {
                "key": row["customer_no"],
                "first_name": row["first_name"],
                "last_name": row["last_name"],
                "personal_number": row["PESEL"],
            }
            for row in islice(customers, CUSTOMERS)
        ]

    @task
    def cases_that_passed(summary: Any) -> list[str]:
        """Return the ids of the first cases that have passed: a case is reused, not created again."""
        passed = (
            row["case_id"]
            for row in read_output(summary["output"])
            if row["result"] and row["result"].get("decision") == "PASS"
        )
        return list(islice(passed, CHECKED_AGAIN))

    # A mapped task has a run for each value. For more than a few dozen, a batch is one task in place of many.
    @task.run_workflow(
        workflow_definition_id="{{ params.definition }}",
        wait_for_completion=True,
        deferrable=True,
        retries=3,
    )
    def check_again(case_id: str) -> dict[str, Any]:
        """Return the case, and the parameters of its run."""
        return {"case_id": case_id, "parameters": {"limit": 2.5, "strict": True}}

    @task
    def print_workflows(workflow_ids: Any) -> None:
        """Print the ids of the runs."""
        print("Checked again:", ", ".join(workflow_ids))

    print_workflows(check_again.expand(case_id=cases_that_passed(check_customers())))
