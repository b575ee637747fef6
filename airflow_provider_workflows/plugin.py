"""The plugin that Airflow loads: what it adds to the API server, and to no other process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_PREFIX = "/workflows"
_PAGES = "/ui"


def _webhooks() -> ASGIApp:
    from airflow_provider_workflows.webhooks.app import webhooks_app  # noqa: PLC0415

    return webhooks_app()


def _pages() -> ASGIApp:
    from airflow_provider_workflows.ui.app import pages_app  # noqa: PLC0415

    return pages_app()


class _LazyApp:
    """Two apps, each made at its first request: workers, schedulers and triggerers load plugins too.

    :param webhooks: returns the app of the webhooks, which also responds to all that is not below ``/ui``
    :param pages: returns the app of the pages, which is mounted at ``/ui``
    """

    def __init__(
        self, webhooks: Callable[[], ASGIApp] = _webhooks, pages: Callable[[], ASGIApp] = _pages
    ) -> None:
        self._make = {False: webhooks, True: pages}
        self._made: dict[bool, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root_path: str = scope.get("root_path", "")
        path: str = scope.get("path", "").removeprefix(root_path)
        is_page = path == _PAGES or path.startswith(f"{_PAGES}/")
        if is_page:
            # Buttons use Airflow's own API with the rights of who presses them.
            own_api = {"airflow_app": scope.get("app"), "airflow_root_path": root_path.removesuffix(_PREFIX)}
            scope = dict(scope, root_path=root_path + _PAGES, **own_api)
        if is_page not in self._made:
            self._made[is_page] = self._make[is_page]()
        await self._made[is_page](scope, receive, send)


class WorkflowsPlugin(AirflowPlugin):
    """Adds the webhook app at ``/workflows/webhooks/{connection id}``, and the pages below ``/workflows/ui/``."""

    name = "workflows"
    fastapi_apps: list[Any] = [  # noqa: RUF012  (as Airflow declares it)
        {"app": _LazyApp(), "url_prefix": _PREFIX, "name": "Workflows"}
    ]
    # Without a slash in front, so that they are found where Airflow has a path before its own.
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "Workflows",
            "href": "workflows/ui/",
            "destination": "nav",
            "category": "browse",
            "url_route": "workflows",
        },
        {
            "name": "Workflow",
            "href": "workflows/ui/task.html?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}"
            "&map_index={MAP_INDEX}",
            "destination": "task_instance",
            "url_route": "workflow",
        },
    ]

    @classmethod
    def on_load(cls, *_: object, **__: object) -> None:
        """Log once what this version of Airflow lacks, and which options of ``[workflows]`` cannot be right."""
        from airflow_provider_workflows.start_up import say_at_start_up  # noqa: PLC0415

        say_at_start_up()
