"""Serves the files of ``static``, which render the pages in the browser, and words for who may not see them."""

from __future__ import annotations

import html
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from airflow_provider_workflows.airflow_internals.api_server import TaskAccess
from airflow_provider_workflows.ui.buttons import NOT_ALLOWED_TO_CLEAR
from airflow_provider_workflows.ui.responses import HEADERS, if_changed

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_OVERVIEW = "overview.html"
_TASK = "task.html"
_SIGNED_OUT = "You are not signed in to Airflow, or no longer. Sign in, and open this page again."
_NOT_ALLOWED = "You may not see this task: that takes Airflow's permission to read the DAG."
#: Airflow refuses with this word alone.
_AIRFLOWS_WORD = "Forbidden"


def add_static_files(app: FastAPI, access: TaskAccess) -> None:
    """Serve the files to those who are signed in, and a task's page to those who may see the task.

    :param app: the pages' app
    :param access: who may see what
    """
    # Read once: whatever is asked for, no other file can be read.
    files = {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }

    def serve(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return if_changed(request, files[name], _MEDIA_TYPES[Path(name).suffix])

    @app.get("/", dependencies=[Depends(access.user)])
    async def overview(request: Request) -> Response:
        return serve(request, _OVERVIEW)

    @app.get(f"/{_TASK}", dependencies=[Depends(access.reader)])
    async def task(request: Request) -> Response:
        return serve(request, _TASK)

    @app.get("/static/{name:path}", dependencies=[Depends(access.user)])
    async def static(request: Request, name: str) -> Response:
        return serve(request, name)

    app.exception_handler(HTTPException)(_refusal)


async def _refusal(request: Request, refusal: Any) -> Response:
    """Respond to a refusal in words: as a page where a page was asked for, else as JSON."""
    status = HTTPStatus(refusal.status_code)
    words = str(refusal.detail or status.phrase)
    if status is HTTPStatus.UNAUTHORIZED:
        words = _SIGNED_OUT
    elif status is HTTPStatus.FORBIDDEN and words == _AIRFLOWS_WORD:
        words = _NOT_ALLOWED if request.method in ("GET", "HEAD") else NOT_ALLOWED_TO_CLEAR
    path = request.url.path
    is_page = path.endswith(("/", ".html"))
    if not is_page:
        return JSONResponse({"detail": words}, status, HEADERS)
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{status.phrase}</title>"
        f"<main><h1>{status.phrase}</h1><p>{html.escape(words)}</p></main></html>"
    )
    return Response(text, status, HEADERS, media_type="text/html")
