"""The page ``/workflows/deliveries``: what became of the deliveries of each connection."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fastapi import Depends
from fastapi.responses import HTMLResponse

from airflow_provider_workflows.airflow_internals.api_server import require_reader_of_connections
from airflow_provider_workflows.log_throttle import utc_time
from airflow_provider_workflows.webhooks.delivery_outcome import DeliveryOutcome

if TYPE_CHECKING:
    from fastapi import FastAPI

#: How many deliveries each connection has had, by what became of them: ``HandlerRegistry.counts`` returns it.
Counts = Mapping[str, Mapping[DeliveryOutcome, int]]

_MEANINGS = {
    DeliveryOutcome.TAKEN: "a workflow that has ended: its tasks are resumed, its events added",
    DeliveryOutcome.REPEATED: "a workflow that was known to have ended",
    DeliveryOutcome.NOT_ENDED: "a workflow that had not ended",
    DeliveryOutcome.UNKNOWN_WORKFLOW: "only workflows that the service does not know",
    DeliveryOutcome.NAMES_NO_WORKFLOW: "signed by the service, but without a workflow's id: the log has its shape",
    DeliveryOutcome.REFUSED: "without a signature of the service, or too long: the log has the reason",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'self'",
}


def add_counts_page(app: FastAPI, counts: Callable[[], Counts], since: float) -> None:
    """Add the page, for those who are signed in and may read connections; none where Airflow cannot tell who may.

    :param counts: returns how many deliveries each connection has had
    :param since: from when on they were counted, in seconds since the epoch
    """
    requirement = require_reader_of_connections()
    if requirement is None:
        return

    @app.get("/deliveries", dependencies=[Depends(requirement)])
    async def deliveries() -> HTMLResponse:
        return HTMLResponse(_page(counts(), since), headers=_HEADERS)


def _page(counts: Counts, since: float) -> str:
    head = "".join(f"<th>{outcome.value}</th>" for outcome in _MEANINGS)
    rows = "".join(
        f"<tr><td>{html.escape(conn_id)}</td>"
        + "".join(f"<td>{by_outcome.get(outcome, 0)}</td>" for outcome in _MEANINGS)
        + "</tr>"
        for conn_id, by_outcome in sorted(counts.items())
    )
    meanings = "".join(f"<dt>{outcome.value}</dt><dd>{text}</dd>" for outcome, text in _MEANINGS.items())
    return (
        "<!doctype html><html lang=en><title>Webhook deliveries</title><h1>Webhook deliveries</h1>"
        f"<p>What this process of the API server has had since {utc_time(since)}, by connection. "
        "Other processes have counts of their own.</p>"
        f"<table border=1><tr><th>connection</th>{head}</tr>{rows}</table><dl>{meanings}</dl></html>"
    )
