"""The plugin that Airflow loads: what it adds to the API server, and to no other process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class _LazyApp:
    """The webhook app, made at the first request: workers, schedulers and triggerers load plugins too."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            from airflow_provider_workflows.webhooks.app import webhooks_app  # noqa: PLC0415

            self._app = webhooks_app()
        await self._app(scope, receive, send)


class WorkflowsPlugin(AirflowPlugin):
    """Adds the webhook app at ``/workflows/webhooks/{connection id}``."""

    name = "workflows"
    fastapi_apps: list[Any] = [  # noqa: RUF012  (as Airflow declares it)
        {"app": _LazyApp(), "url_prefix": "/workflows", "name": "Workflows webhooks"}
    ]
