"""Who may see a page that this package adds to Airflow's API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_workflows.airflow_internals.feature import Feature, require_parameters


def _find_connection_access() -> Callable[..., Any]:
    from airflow.api_fastapi.core_api.security import requires_access_connection  # noqa: PLC0415

    require_parameters(requires_access_connection, "method")
    required: Callable[..., Any] = requires_access_connection
    return required


CONNECTION_ACCESS = Feature(
    "airflow.api_fastapi.core_api.security.requires_access_connection(method)",
    purpose="tell who may read connections, and with them what became of their webhooks",
    without="The page with the number of deliveries is not there",
    find=_find_connection_access,
)


def require_reader_of_connections() -> Callable[..., Any] | None:
    """Return a FastAPI dependency that lets only those in who are signed in and may read Airflow's connections.

    None where Airflow has nothing of the kind: the page must not be served then.
    """
    requires_access_connection = CONNECTION_ACCESS.get()
    return None if requires_access_connection is None else requires_access_connection(method="GET")
