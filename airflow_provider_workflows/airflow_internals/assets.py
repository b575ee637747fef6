"""Asset events that no operator declares as outlets: from webhooks, and of assets found out while a task runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import BaseOperator

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Asset
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)


class _Assets(NamedTuple):
    register: Any
    model: Any
    event: Any


def _find_assets() -> _Assets:
    from airflow.assets.manager import asset_manager  # noqa: PLC0415  (only on the API server)
    from airflow.models.asset import AssetEvent, AssetModel  # noqa: PLC0415

    require_parameters(asset_manager.register_asset_change, "asset", "extra", "session")
    require_attributes(AssetModel, "id", "uri", "active")
    require_attributes(AssetEvent, "asset_id", "timestamp", "extra")
    return _Assets(asset_manager.register_asset_change, AssetModel, AssetEvent)


ASSET_EVENTS = Feature(
    "airflow.assets.manager.asset_manager.register_asset_change(asset, extra, session), "
    "airflow.models.asset: AssetModel, AssetEvent",
    purpose="add an asset event for a completion",
    without="DAGs that are scheduled on completions do not run; tasks are resumed all the same",
    find=_find_assets,
)


def _find_partitions() -> bool:
    from airflow.models.asset import AssetEvent  # noqa: PLC0415  (only on the API server)

    _ = AssetEvent.partition_key
    return True


PARTITIONED_EVENTS = Feature(
    "airflow.models.asset.AssetEvent.partition_key, and register_asset_change(partition_key)",
    purpose="add the event of each completion to a partition of its own",
    without="Events of completions have no partition key, and Airflow may gather some into one run: schedule a DAG "
    "on the asset itself, `schedule=[completed(...)]`, and read all of its events",
    find=_find_partitions,
    since="3.2.0",
)


def _find_add_partitions() -> bool:
    from airflow.sdk.execution_time.context import OutletEventAccessor  # noqa: PLC0415  (not while parsing)

    _ = OutletEventAccessor.add_partitions
    return True


OUTLET_PARTITIONS = Feature(
    "airflow.sdk.execution_time.context.OutletEventAccessor.add_partitions(key)",
    purpose="give the asset events of a batch a partition",
    without="A batch with `partition_key` fails before anything is sent",
    find=_find_add_partitions,
    since="3.3.0",
)


def has_outlet_partitions() -> bool:
    """Return whether a task can give its asset events a partition."""
    return OUTLET_PARTITIONS.is_available()


def add_events(
    extras: Mapping[str, Mapping[str, Mapping[str, Any]]], *, since: datetime, session: Session
) -> None:
    """Add partitioned events to assets that some DAG names; nothing is added where Airflow cannot.

    If the asset has had an event with a partition key since ``since``, no second one is added. Where Airflow has no
    partitions, the events have none, and are told apart by the ``workflow_id`` of their ``extra``.

    :param extras: the ``extra`` of each event, by the asset's URI and by the partition key
    :param since: how far back an event counts as the same
    :param session: of the metadata database; the caller commits
    """
    from sqlalchemy import select  # noqa: PLC0415

    names = ASSET_EVENTS.get()
    if names is None:
        return
    register, model, event = names
    # The asset's row is locked, so that a doubled delivery at another API server waits and then finds the event.
    assets = session.scalars(
        select(model)
        .where(model.uri.in_(list(extras)), model.active.has())
        .order_by(model.id)
        .with_for_update(of=model)
    ).all()
    for asset in assets:
        by_key = extras[asset.uri]
        partitioned = PARTITIONED_EVENTS.is_available()
        which = event.partition_key if partitioned else event.extra
        recent = select(which).where(event.asset_id == asset.id, event.timestamp > since)
        if partitioned:
            existing = set(session.scalars(recent.where(event.partition_key.in_(list(by_key)))))
        else:
            existing = {(one or {}).get("workflow_id") for one in session.scalars(recent)}
        for key, extra in by_key.items():
            if key not in existing:
                partition = {"partition_key": key} if partitioned else {}
                register(asset=asset, extra=dict(extra), session=session, **partition)


def _find_outlets() -> bool:
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415  (not while parsing)

    require_parameters(BaseOperator.__init__, "outlets")
    # What reads the outlets once the task is done.
    require_attributes(task_runner, "_build_asset_profiles")
    return True


OUTLETS = Feature(
    "operator.outlets, read by airflow.sdk.execution_time.task_runner once the task is done",
    purpose="add the asset of a workflow definition to a task's outlets while it runs",
    without="Tasks make events of their declared outlets only",
    find=_find_outlets,
)


def add_outlet(operator: BaseOperator, asset: Asset) -> bool:
    """Have Airflow make an event of an asset that the task did not declare, should it succeed.

    :return: whether Airflow can; otherwise nothing has changed
    """
    if not OUTLETS.is_available():
        return False
    # An alias would not do: Airflow then creates the asset, and fails the second of two tasks that do so at once.
    operator.outlets = [*operator.outlets, asset]
    return True


def _find_inlet_events() -> tuple[type[Exception], ...]:
    from airflow_provider_workflows.airflow_internals.exceptions import AirflowRuntimeError  # noqa: PLC0415

    return (AirflowRuntimeError,)


INLET_EVENTS = Feature(
    'context["inlet_events"][asset].after(...).before(...), which raises AirflowRuntimeError',
    purpose="tell why the events of an asset could not be listed",
    without="A task that lists them fails when Airflow cannot, and a retry lists them again",
    find=_find_inlet_events,
)


def listed_events(asset: Asset, events: Iterable[Any]) -> list[Any] | None:
    """Return the events of an asset, or None where Airflow could not list them, which is logged.

    Airflow 3.3 cannot while a run that one of them has caused waits for its start.

    :param asset: the asset
    :param events: what ``context["inlet_events"]`` has for it, and what asks Airflow when it is read
    """
    refused = INLET_EVENTS.get() or ()
    try:
        return list(events)
    except refused as error:
        log.warning(
            "The events of %s could not be listed (%s). This run goes on with its own events, and a later run gets "
            "the others.",
            asset.uri,
            error,
        )
        return None
