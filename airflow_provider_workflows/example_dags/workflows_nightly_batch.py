"""A table of cases through two workflows, and the rate of passes of each. Runs as it is against the sandbox."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param, task

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

# Two definitions that are ready in the sandbox: the runs of one pass, those of the other fail.
DEFINITIONS = ["3b2d8a4f-579f-4e2e-a51c-f859e532fe8c", "f1d0a6c2-7b34-4c0e-9d58-2a6e4b91c7d3"]

with DAG(
    "workflows_nightly_batch",
    schedule=None,  # "@daily" makes it nightly
    catchup=False,
    tags=["workflows"],
    params={
        "cases": Param(
            str(Path(__file__).with_name("data") / "nightly_cases.csv"),
            type="string",
            description="file of the cases, where all workers can read it: a path, or a URI such as s3://...",
        ),
        "output": Param(
            str(Path(tempfile.gettempdir(), "workflows_nightly_batch")),
            type="string",
            description="folder for the results, which are personal data. With several machines: storage "
            "that workers and triggerers share, such as s3://conn_id@bucket/results",
        ),
    },
    doc_md=__doc__,
):
    batch = RunWorkflowBatchOperator.partial(
        task_id="run_batch",
        items="{{ params.cases }}",
        output_path="{{ params.output }}/{{ run_id }}",
        columns={"customer_no": "key", "PESEL": "personal_number", "note": None},
        on_bad_row="skip",
        # The rate of a definition whose runs all fail is wanted as well. Without this, any row that fails fails the
        # task; with 0.05, the task succeeds as long as at most 5 % of the rows fail.
        max_failed_share=1.0,
        # DAGs that work on the results are scheduled on this asset: see workflows_downstream.
        outlets=[Asset("workflows_nightly_results")],
        retries=3,
    ).expand(workflow_definition_id=DEFINITIONS)

    @task
    def print_pass_rates(summaries: Any) -> None:
        """Print how many of each definition's runs passed; nothing of a row is printed."""
        print(
            f"{'definition':<36}  {'rows':>6}  {'skipped':>7}  {'succeeded':>9}  {'passes':>6}  {'rate':>6}"
        )
        for index, definition in enumerate(DEFINITIONS):
            summary = summaries[index]
            rows, outcomes = summary["rows"], summary["outcomes"]
            skipped, succeeded = (outcomes.get(name, 0) for name in ("skipped", "succeeded"))
            results = (row["result"] for row in read_output(summary["output"]) if row["result"])
            passes = sum(result.get("decision") == "PASS" for result in results)
            rate = passes / max(rows - skipped, 1)
            print(f"{definition:<36}  {rows:>6}  {skipped:>7}  {succeeded:>9}  {passes:>6}  {rate:>6.1%}")

    print_pass_rates(batch.output)
