"""Which requests come from the pages themselves: another web site must not press a button in somebody's name."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

_JSON = "application/json"


async def require_same_origin(request: Request) -> None:
    """Let a request in that another web site cannot make in the name of who is signed in; a FastAPI dependency.

    A browser says where a request comes from, and asks first before another site may send JSON. A client with a
    token of its own in place of a cookie acts in its own name.

    :param request: what was asked
    :raises HTTPException: with 415 if the body is not JSON, with 403 if the request comes from elsewhere
    """
    headers = request.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The request must be JSON.")
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    elif origin is not None:
        own = {headers.get("host"), headers.get("x-forwarded-host")}
        is_own = urlsplit(origin).netloc in own
    else:
        is_own = headers.get("authorization", "").lower().startswith("bearer ")
    if not is_own:
        raise HTTPException(HTTPStatus.FORBIDDEN, "The request does not come from Airflow's own pages.")
