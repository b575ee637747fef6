"""Works on what the nightly batch has brought, each time that it has brought some.

The event names the table: ``extra`` has its ``uri``, the definition's id and the counts, and nothing of a person.
Of runs in quick succession Airflow may give several events to one run here, or none to any: ``triggering_events``
returns them all, and some of them twice, which does no harm to a count.
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
        for event in triggering_events(RESULTS, context):
            table = event.extra["uri"]
            results = (row["result"] or {} for row in read_output(table))
            decisions[table] = dict(Counter(str(result.get("decision")) for result in results))
            print(f"Definition {event.extra['workflow_definition_id']}: {decisions[table]}, {table}")
        return decisions

    count_decisions()
