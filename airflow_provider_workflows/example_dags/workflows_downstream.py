"""Work on the results of the nightly batch, each time that there are new ones.

The event names the table: ``extra`` has its ``uri``, the definition's id and the counts, and no personal data.
If batches end in quick succession, Airflow may give several events to one run of this DAG, or leave one out:
``triggering_events`` returns them all, and some of them twice, which does not change these counts. From Airflow 3.4
on each event has a run of its own, unless ``[scheduler] batch_asset_events`` is set. A run that a person has
triggered has no events, and counts nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.lineage.triggering import triggering_events

RESULTS = Asset("workflows_nightly_results")

with DAG("workflows_downstream", schedule=[RESULTS], catchup=False, tags=["workflows"], doc_md=__doc__):

    @task(inlets=[RESULTS])
    def count_decisions(**context: Any) -> dict[str, dict[str, int]]:
        """Return how many rows of each table came to which decision."""
        decisions = {}
        events = triggering_events(RESULTS, context)
        print(f"Events of {RESULTS.name} that this run deals with: {len(events)}.")
        for event in events:
            table = event.extra["uri"]
            results = (row["result"] or {} for row in read_output(table))
            decisions[table] = dict(Counter(str(result.get("decision")) for result in results))
            print(f"Definition {event.extra['workflow_definition_id']}: {decisions[table]}, {table}")
        return decisions

    count_decisions()
