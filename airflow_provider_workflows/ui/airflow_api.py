"""Airflow's own REST API, within the same process and with the rights of the user whose request is responded to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import HTTPException, Request

#: What says who asks, and where the API is.
_PASSED_ON = (b"authorization", b"cookie", b"host", b"x-forwarded-proto", b"user-agent")


@dataclass(frozen=True)
class ApiResponse:
    """What Airflow's API has responded.

    :param status: of the response
    :param content: its JSON; None if it has none
    """

    status: int
    content: Any

    @property
    def is_success(self) -> bool:
        """Whether the call was carried out."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Why it was not, in the API's words."""
        detail = self.content.get("detail") if isinstance(self.content, Mapping) else None
        return detail if isinstance(detail, str) else f"Airflow's API responded with status {self.status}"


class AirflowApi:
    """Calls the stable REST API (``/api/v2``) as the user who has sent a request.

    So Airflow itself checks what the user may do, and its audit log names the user.

    :param request: the user's request
    :raises HTTPException: with 503 where the API is not in this process
    """

    def __init__(self, request: Request) -> None:
        scope = request.scope
        if scope.get("airflow_app") is None:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "This API server does not let the page clear tasks: clear it in Airflow.",
            )
        self._app = scope["airflow_app"]
        self._scope = scope

    async def call(
        self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> ApiResponse:
        """Return the response to a call.

        :param method: HTTP method
        :param path: the parts of the path below ``/api/v2``
        :param query: parameters of the query
        :param body: sent as JSON; None for no body
        """
        content = b"" if body is None else json.dumps(body).encode()
        prefix = f"{self._scope.get('airflow_root_path', '')}/api/v2/"
        headers = [(name, value) for name, value in self._scope["headers"] if name in _PASSED_ON]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        scope = {
            "type": "http",
            "asgi": self._scope.get("asgi", {"version": "3.0"}),
            "http_version": "1.1",
            "method": method,
            "scheme": self._scope["scheme"],
            "path": prefix + "/".join(path),
            "raw_path": (prefix + "/".join(quote(part, safe="") for part in path)).encode(),
            "root_path": "",
            "query_string": urlencode(query or {}).encode(),
            "headers": headers,
            "client": self._scope.get("client"),
            "server": self._scope.get("server"),
        }
        return await _exchange(self._app, scope, content)


async def _exchange(app: Any, scope: dict[str, Any], content: bytes) -> ApiResponse:
    is_sent = False
    is_over = asyncio.Event()
    status = int(HTTPStatus.INTERNAL_SERVER_ERROR)
    received: list[bytes] = []

    async def receive() -> dict[str, Any]:
        nonlocal is_sent
        if is_sent:
            # The client stays until it has the response.
            await is_over.wait()
            return {"type": "http.disconnect"}
        is_sent = True
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            received.append(message.get("body", b""))
            if not message.get("more_body", False):
                is_over.set()

    await app(scope, receive, send)
    try:
        return ApiResponse(status, json.loads(b"".join(received)))
    except ValueError:
        return ApiResponse(status, None)
