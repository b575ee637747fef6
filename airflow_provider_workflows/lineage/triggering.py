"""The asset events that a DAG run is to deal with, including those that Airflow leaves behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.assets import listed_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Asset

#: Events of tasks that end at the same time may be written in another order than they are dated, in seconds.
_APART = timedelta(seconds=10)


def triggering_events(asset: Asset, context: Mapping[str, Any]) -> list[Any]:
    """Return the events without a partition key that a run of a DAG with ``schedule=[asset]`` is to deal with.

    An event that comes while a run is due for an earlier one, but not yet created, is not among the run's
    ``triggering_asset_events``, nor does it start another: it would wait for the event after it. It was there when
    the run began, so it is returned here as well. A later run may be given it once more: what is done with an event
    is to be the same when it is done twice, as writing a file is.

    Airflow 3.3 cannot list events while a run that one of them has caused waits for its start. Should that last,
    this run gets its ``triggering_asset_events`` alone, and the log says so; a later one gets the others.

    :param asset: the asset, which is to be among the task's ``inlets``, too
    :param context: of the task
    :return: events with ``extra``, ``timestamp`` and the ids of what made them, oldest first; none in a run that no
        event of the asset has started
    """
    try:
        started_by = context["triggering_asset_events"][asset]
    except KeyError:
        started_by = []
    if not started_by:
        # In a run that a person has triggered, Airflow 3.3 has an empty list for each asset of the DAG's schedule.
        return []
    first = min(event.timestamp for event in started_by)
    listed = context["inlet_events"][asset].after((first - _APART).isoformat())
    if (started := context["dag_run"].start_date) is not None:
        # What has come later than that has started a run of its own.
        listed = listed.before(started.isoformat())
    events = listed_events(asset, listed)
    if events is None:
        return list(started_by)
    return [event for event in events if getattr(event, "partition_key", None) is None]
