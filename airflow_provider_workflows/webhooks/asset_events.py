"""Completions as asset events, so that DAGs can be scheduled on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_workflows.lineage.assets import completed_uri, definition_uri

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.webhooks.payload import Completion

#: A delivery that comes again after longer than this would be another event. The service tries for 25 seconds.
_SAME_WITHIN = timedelta(days=7)


def register(completions: Iterable[Completion], host: str, session: Session) -> None:
    """Add an event for each completion that has none, to those of its assets that some DAG names.

    The workflow's id is the event's partition key, so that a consumer gets one run for each completion: events
    without one are gathered, and one that comes while the scheduler gathers them can be left behind.

    :param completions: workflows that have ended
    :param host: base URL of the service
    :param session: of the metadata database; the caller commits
    """
    of_uri: dict[str, dict[str, Completion]] = {}
    for completion in completions:
        uris = [completed_uri(host)]
        if completion.workflow_definition_id is not None:
            uris.append(definition_uri(host, completion.workflow_definition_id))
        for uri in uris:
            of_uri.setdefault(uri, {})[completion.workflow_id] = completion
    _add_events(of_uri, session)


def _add_events(of_uri: Mapping[str, dict[str, Completion]], session: Session) -> None:
    from airflow.assets.manager import asset_manager  # noqa: PLC0415
    from airflow.models.asset import AssetEvent, AssetModel  # noqa: PLC0415
    from sqlalchemy import select  # noqa: PLC0415

    # The asset's row is locked, so that a doubled delivery at another API server waits and then finds the event.
    assets = session.scalars(
        select(AssetModel)
        .where(AssetModel.uri.in_(list(of_uri)), AssetModel.active.has())
        .order_by(AssetModel.id)
        .with_for_update(of=AssetModel)
    ).all()
    for asset in assets:
        completions = of_uri[asset.uri]
        known = set(
            session.scalars(
                select(AssetEvent.partition_key).where(
                    AssetEvent.asset_id == asset.id,
                    AssetEvent.timestamp > datetime.now(timezone.utc) - _SAME_WITHIN,
                    AssetEvent.partition_key.in_(list(completions)),
                )
            )
        )
        for workflow_id, completion in completions.items():
            if workflow_id not in known:
                asset_manager.register_asset_change(
                    asset=asset,
                    extra={
                        "workflow_id": workflow_id,
                        "case_id": completion.case_id,
                        "status": completion.status,
                    },
                    partition_key=workflow_id,
                    session=session,
                )
