"""A sandbox as an Airflow connection, in the forms that Airflow reads. Needs no Airflow."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from airflow_provider_workflows.sandbox.responses import JsonObject

CONNECTION_TYPE = "workflows"
ENVIRONMENT_VARIABLE = "AIRFLOW_CONN_WORKFLOWS_DEFAULT"


def airflow_connection(url: str, key: str, secret: str, extra: JsonObject) -> JsonObject:
    """Return the fields of an Airflow connection to ``url``."""
    return {"conn_type": CONNECTION_TYPE, "host": url, "login": key, "password": secret, "extra": extra}


def connection_uri(connection: JsonObject) -> str:
    """Return ``connection`` as a URI whose host Airflow reads as the full URL."""
    login, password, host = (quote(connection[name], safe="") for name in ("login", "password", "host"))
    # Airflow keeps JSON types only in __extra__; further fields of the query would be read as text.
    query = f"?{urlencode({'__extra__': json.dumps(connection['extra'])})}" if connection["extra"] else ""
    return f"{CONNECTION_TYPE}://{login}:{password}@{host}/{query}"
