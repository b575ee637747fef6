"""Scheduled on every completion once its file is where DAGs are; paused, so that it only names the asset."""

from __future__ import annotations

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, IdentityMapper, PartitionedAssetTimetable

from airflow_provider_workflows.lineage.assets import completed

with DAG(
    "benchmark_on_completion",
    schedule=PartitionedAssetTimetable(
        assets=completed(os.environ["WORKFLOWS_HOST"]), default_partition_mapper=IdentityMapper()
    ),
    catchup=False,
    is_paused_upon_creation=True,
):
    EmptyOperator(task_id="nothing")
