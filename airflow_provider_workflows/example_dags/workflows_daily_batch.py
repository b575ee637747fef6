"""A batch whose results belong to a day, and a DAG that runs once they are there, with that day as its partition.

Airflow does not merge events with a partition key, so that each starts a run, and none is left behind. A run of the
report that a person has triggered has no event, and counts nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, Param, PartitionedAssetTimetable, StartOfDayMapper, task

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator

RESULTS = Asset("workflows_daily_results")

with DAG(
    "workflows_daily_batch",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    params={
        "cases": Param(str(Path(__file__).with_name("data") / "nightly_cases.csv"), type="string"),
        "output": Param(str(Path(tempfile.gettempdir(), "workflows_daily_batch")), type="string"),
    },
    doc_md=__doc__,
):
    RunWorkflowBatchOperator(
        task_id="run_batch",
        workflow_definition_id="3b2d8a4f-579f-4e2e-a51c-f859e532fe8c",
        items="{{ params.cases }}",
        output_path="{{ params.output }}/{{ run_id }}",
        columns={"customer_no": "key", "PESEL": "personal_number", "note": None},
        on_bad_row="skip",
        outlets=[RESULTS],
        partition_key="{{ dag_run.run_after.strftime('%Y-%m-%dT%H:%M:%S') }}",
        retries=3,
    )

with DAG(
    "workflows_daily_report",
    schedule=PartitionedAssetTimetable(assets=RESULTS, default_partition_mapper=StartOfDayMapper()),
    catchup=False,
    tags=["workflows"],
    doc_md=__doc__,
):

    @task
    def count_rows(dag_run: Any = None, triggering_asset_events: Any = None) -> dict[str, int]:
        """Return how many rows each table of the day has."""
        events = triggering_asset_events.get(RESULTS, [])
        tables = [event.extra["uri"] for event in events]
        rows = {table: sum(1 for _ in read_output(table)) for table in tables}
        print(f"Day {dag_run.partition_key}: {rows}")
        return rows

    count_rows()
