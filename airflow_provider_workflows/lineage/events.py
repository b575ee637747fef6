"""Asset events of a task's work, through Airflow's outlet events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias

from airflow_provider_workflows.airflow_internals import assets
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.lineage.assets import definition_uri

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_provider_workflows.lineage.task import TaskLineage

#: The longest partition key that Airflow's database takes.
MAX_PARTITION_KEY_CHARACTERS = 250


def partition_key_of(value: object) -> str:
    """Return a partition key, checked as Airflow will once the task is done.

    :raises InvalidInput: if it is not text, or empty, as what a template that found nothing renders to; or if this
        Airflow has no partitions for the events of tasks
    """
    if not isinstance(value, str) or not value.strip() or value == "None":
        raise InvalidInput(
            f"partition_key must be text that is not empty, such as '2026-11-30', not {value!r}; leave it out "
            "for events without one"
        )
    if not assets.has_outlet_partitions():
        raise InvalidInput(
            "partition_key: this Airflow gives the asset events of a task no partition, which takes Airflow 3.3 or "
            "newer; leave it out for events without one"
        )
    if len(value) > MAX_PARTITION_KEY_CHARACTERS:
        raise InvalidInput(
            f"partition_key has {len(value)} characters, and Airflow takes {MAX_PARTITION_KEY_CHARACTERS}"
        )
    return value


def emit(
    operator: BaseOperator, context: Context, lineage: TaskLineage, partition_key: str | None = None
) -> None:
    """Have Airflow make events of the definition's asset and of the operator's outlets, should the task succeed.

    An event of the definition's asset is made only if some DAG names the asset.

    Airflow makes them in the transaction that makes the task a success, so that a task that is killed before makes
    none, and its retry makes them.

    :param operator: the operator that runs
    :param context: its context
    :param lineage: what the events carry as their ``extra``
    :param partition_key: the partition of the events; DAGs that are scheduled without partitions do not see them
    """
    events = context["outlet_events"]
    declared = [outlet for outlet in operator.outlets if not isinstance(outlet, AssetAlias)]
    aliases = [outlet for outlet in operator.outlets if isinstance(outlet, AssetAlias)]
    if lineage.workflow_definition_id is not None:
        asset = Asset(definition_uri(lineage.host, lineage.workflow_definition_id))
        for alias in aliases:
            events[alias].add(asset, extra=lineage.extra)
        # The definition and the host are not known before the task runs, so this asset cannot be declared.
        is_declared = any(getattr(outlet, "uri", None) == asset.uri for outlet in declared)
        if not is_declared and assets.add_outlet(operator, asset):
            declared.append(asset)
    for outlet in declared:
        event = events[outlet]
        event.extra = {**lineage.extra, **event.extra}
        if partition_key is not None:
            event.add_partitions(partition_key)
