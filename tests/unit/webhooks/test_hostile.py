"""Whatever comes gets the right response, and nothing is logged as an error."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.webhooks.conftest import CONN_ID, Api, Database

pytestmark = pytest.mark.thorough

BOUNDS = settings(
    max_examples=150,
    deadline=None,
    database=None,
    # One webhook app for all examples: what one leaves behind must not hurt the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
IDS = st.uuids().map(str) | st.text(max_size=40) | st.none() | st.integers() | st.floats()
NAMES = st.sampled_from(["workflowId", "id", "workflowDefinitionId", "data", "status"]) | st.text(max_size=5)
JSON = st.recursive(
    IDS | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
BODIES = st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode())
HEADER = st.dictionaries(
    st.sampled_from(["alg", "kid", "b64", "crit", "jwk", "jku", "typ"]), JSON, max_size=5
)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def no_errors(caplog: pytest.LogCaptureFixture) -> bool:
    return not [each for each in caplog.records if each.exc_info or each.levelno >= logging.ERROR]


@BOUNDS
@given(body=BODIES)
async def test_whatever_body_the_service_signs_is_taken(
    api: Api, database: Database, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    assert (await api.post(body)).status_code == 204
    assert no_errors(caplog)


@BOUNDS
@given(body=JSON.filter(lambda value: isinstance(value, dict)))
async def test_whatever_else_a_body_holds_the_workflow_that_it_names_is_asked_about(
    api: Api, caplog: pytest.LogCaptureFixture, body: dict[str, Any]
) -> None:
    workflow_id = str(uuid.uuid4())
    before = len(api.sandbox.requests_seen)
    assert (await api.post(json.dumps({**body, "workflowId": workflow_id}).encode())).status_code == 204
    asked = [seen.path for seen in api.sandbox.requests_seen[before:]]
    assert next(path for path in asked if path.startswith("/workflows/")) == f"/workflows/{workflow_id}"
    assert no_errors(caplog)


@BOUNDS
@given(body=BODIES, signature=st.binary(max_size=300) | st.from_regex(rb"[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+"))
async def test_whatever_comes_as_a_signature_is_refused(
    api: Api, caplog: pytest.LogCaptureFixture, body: bytes, signature: bytes
) -> None:
    response = await api.client.post(
        f"/workflows/webhooks/{CONN_ID}", content=body, headers=[(b"JWS-SIGNATURE", signature)]
    )
    assert response.status_code == 401
    assert api.sandbox.counts.total_requests == 0
    assert no_errors(caplog)


@BOUNDS
@given(body=BODIES, changes=HEADER, made=st.binary(min_size=1, max_size=256))
async def test_whatever_header_a_forger_writes_is_refused(
    api: Api, caplog: pytest.LogCaptureFixture, body: bytes, changes: dict[str, Any], made: bytes
) -> None:
    header = {"alg": "RS256", "kid": str(uuid.uuid4())} | changes
    signature = f"{encoded(json.dumps(header).encode())}..{encoded(made)}"
    assert (await api.post(body, signature)).status_code == 401
    assert api.sandbox.counts.total_requests == api.asked[0] <= 5
    assert no_errors(caplog)


@BOUNDS
@given(
    path=st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=30),
    headers=st.lists(
        st.tuples(st.sampled_from([b"content-length", b"x"]), st.binary(max_size=20)), max_size=3
    ),
)
async def test_whatever_path_is_called_is_not_found(
    api: Api, caplog: pytest.LogCaptureFixture, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/workflows/webhooks/{path}",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await api.app(scope, receive, send)
    assert sent[0]["status"] in (404, 307)
    assert no_errors(caplog)
