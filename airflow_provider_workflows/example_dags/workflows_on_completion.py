"""One run for each workflow that has ended, wherever it was started: a webhook of the service starts it.

The connection must switch ``webhooks`` on, and the service's dashboard must have the webhook address. Set
``WORKFLOWS_HOST`` to the connection's host if that is not the production one. Each row of a batch is such a
workflow as well, so that the DAG is paused until you want that. A run that a person has triggered has nothing to
fetch, and its tasks are skipped, as they are for a workflow that has failed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, IdentityMapper, Param, PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_workflows.api.settings import DEFAULT_HOST
from airflow_provider_workflows.lineage.assets import completed
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.results import read_result

COMPLETED = completed(os.environ.get("WORKFLOWS_HOST", DEFAULT_HOST))


def skip_without_result(context: Any) -> None:
    """Skip the task where there is no result to fetch."""
    if context["dag_run"].partition_key is None:
        raise AirflowSkipException("No webhook has started this run. Run a workflow: its end starts one.")
    for events in context["triggering_asset_events"].values():
        for event in events:
            if event.extra.get("status") != "COMPLETED":
                raise AirflowSkipException(f"The workflow has ended {event.extra.get('status')}.")


with DAG(
    "workflows_on_completion",
    # The workflow's id is the event's partition key, so that each workflow has a run of its own. Airflow below
    # 3.4, and 3.4 with [scheduler] batch_asset_events, merges events without a key, and leaves out one that arrives
    # while a run is queued for an earlier one. Airflow 3.1 has no partitions: this DAG needs 3.2.
    schedule=PartitionedAssetTimetable(assets=COMPLETED, default_partition_mapper=IdentityMapper()),
    catchup=False,
    is_paused_upon_creation=True,
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
        pre_execute=skip_without_result,
    )

    @task
    def print_decision(handle: Any) -> None:
        """Print what the workflow decided, and nothing of the person."""
        found = read_result(handle, select=["decision"])
        print(f"Workflow {handle['workflow_id']}: decision {found['decision']}")

    print_decision(result.output)
