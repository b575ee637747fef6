"""One run for each workflow that has completed, wherever it was started: a webhook of the service starts it.

The connection must switch ``webhooks`` on, and the service's dashboard must have the webhook address. Set
``WORKFLOWS_HOST`` to the connection's host if that is not the production one.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, IdentityMapper, Param, PartitionedAssetTimetable, task

from airflow_provider_workflows.api.settings import DEFAULT_HOST
from airflow_provider_workflows.lineage.assets import completed
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.results import read_result

COMPLETED = completed(os.environ.get("WORKFLOWS_HOST", DEFAULT_HOST))

with DAG(
    "workflows_on_completion",
    # The workflow's id is the event's partition key, so that each completion has a run of its own. Airflow merges
    # events without a key, and leaves out one that arrives while a run is queued for an earlier one.
    schedule=PartitionedAssetTimetable(assets=COMPLETED, default_partition_mapper=IdentityMapper()),
    catchup=False,
    tags=["workflows"],
    params={
        "output": Param(
            str(Path(tempfile.gettempdir(), "workflows_on_completion")),
            type="string",
            description="folder for the results, which are personal data, where all workers can reach it",
        ),
    },
    doc_md=__doc__,
):
    result = GetWorkflowResultOperator(
        task_id="get_result",
        workflow_id="{{ dag_run.partition_key }}",
        output_path="{{ params.output }}",
    )

    @task
    def print_decision(handle: Any) -> None:
        """Print what the workflow decided, and nothing of the person."""
        found = read_result(handle, select=["decision"])
        print(f"Workflow {handle['workflow_id']}: decision {found['decision']}")

    print_decision(result.output)
