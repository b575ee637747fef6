"""A plugin of Airflow that says in a header of each response how many SQL statements it took."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from sqlalchemy import event
from sqlalchemy.engine import Engine

HEADER = "x-database-queries"

#: The statements that a request has sent so far. A list, because a route's thread has a copy of the context.
_sent: ContextVar[list[str] | None] = ContextVar("sent", default=None)


@event.listens_for(Engine, "before_cursor_execute")
def _note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:  # noqa: ARG001  (SQLAlchemy's arguments)
    sent = _sent.get()
    if sent is not None:
        sent.append(statement)


class CountedQueries:
    """Counts the statements of each request; those of a body that is sent in pieces are left out.

    :param app: the API server
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Have the app respond to a request, and add the number."""
        sent: list[str] = []
        before = _sent.set(sent)

        async def send_with_number(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                number = str(len(sent)).encode()
                message = {**message, "headers": [*message.get("headers", ()), (HEADER.encode(), number)]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_number if scope["type"] == "http" else send)
        finally:
            _sent.reset(before)


class CountedQueriesPlugin(AirflowPlugin):
    """Has the API server count."""

    name = "counted_queries"
    fastapi_root_middlewares: list[Any] = [  # noqa: RUF012
        {"middleware": CountedQueries, "args": [], "kwargs": {}, "name": "Counted queries"}
    ]
