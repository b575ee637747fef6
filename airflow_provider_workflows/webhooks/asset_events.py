"""Completions as asset events, so that DAGs can be scheduled on them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.assets import add_events
from airflow_provider_workflows.lineage.assets import completed_uri, definition_uri

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.webhooks.payload import Completion

#: A delivery that comes again after longer than this makes another event. The service tries for 25 seconds.
MAX_REPEATED_DELIVERY_AGE = timedelta(days=7)


def add_completion_events(completions: Iterable[Completion], host: str, session: Session) -> None:
    """Add an event of each completion to those of its assets that some DAG names; a completion has one event.

    The workflow's id is the event's partition key, so that a consumer gets one run for each completion: events
    without a key are gathered, and one that comes while the scheduler gathers them can be left behind.

    :param completions: runs that have ended
    :param host: base URL of the service
    :param session: of the metadata database; the caller commits
    """
    extras: dict[str, dict[str, dict[str, Any]]] = {}
    for completion in completions:
        uris = [completed_uri(host)]
        if completion.workflow_definition_id is not None:
            uris.append(definition_uri(host, completion.workflow_definition_id))
        for uri in uris:
            extras.setdefault(uri, {})[completion.workflow_id] = {
                "workflow_id": completion.workflow_id,
                "case_id": completion.case_id,
                "status": completion.status,
                **completion.evidence_fields,
            }
    add_events(extras, since=datetime.now(timezone.utc) - MAX_REPEATED_DELIVERY_AGE, session=session)
