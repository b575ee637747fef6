"""A plugin of Airflow with an endpoint that does nothing: what any request costs in the API server's process."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.post("/webhooks/{conn_id}", status_code=204)
async def bare(conn_id: str) -> Response:  # noqa: ARG001  (a path as that of a delivery)
    """Respond, and do nothing else."""
    return Response(status_code=204)


@app.post("/reading/{conn_id}", status_code=204)
async def reading(conn_id: str, request: Request) -> Response:  # noqa: ARG001
    """Read the body, respond, and do nothing else."""
    await request.body()
    return Response(status_code=204)


class BareEndpoint(AirflowPlugin):
    """Adds the endpoint at ``/bare/webhooks/{connection id}``."""

    name = "bare_endpoint"
    fastapi_apps: list[Any] = [{"app": app, "url_prefix": "/bare", "name": "Bare endpoint"}]  # noqa: RUF012
