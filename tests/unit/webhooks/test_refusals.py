"""Deliveries that are not taken: the responses, what is logged and counted, and what they cost."""

from __future__ import annotations

import asyncio
import json
import logging
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_workflows.api.webhook_signature import key_id, sign
from airflow_provider_workflows.webhooks import registry
from airflow_provider_workflows.webhooks.app import MAX_BODY_BYTES
from tests.unit.webhooks.conftest import CONN_ID, Api, Database

PERSONAL = "Kowalska-90010112345"
BODY = json.dumps({"workflowId": str(uuid.uuid4()), "name": PERSONAL}).encode()
FOREIGN = rsa.generate_private_key(65537, 2048)
CHUNK = b"x" * 65536


def essence(response: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    return response.status_code, response.content, dict(response.headers)


@pytest.mark.parametrize(
    "extra", [{}, {"webhooks": False}, {"webhooks": "nonsense"}, {"webhooks": True, "max_attempts": "none"}]
)
async def test_a_connection_without_webhooks_is_as_one_that_does_not_exist(
    api: Api, connect: Callable[..., None], extra: dict[str, Any]
) -> None:
    connect("silent", **extra)
    unknown = essence(await api.post(BODY, conn_id="unknown"))
    assert unknown[0] == 404
    assert essence(await api.post(BODY, conn_id="silent")) == unknown
    assert essence(await api.post(BODY, None, conn_id="silent")) == unknown
    assert essence(await api.client.post("/workflows/elsewhere")) == unknown


async def test_a_connection_of_another_type_is_as_one_that_does_not_exist(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = api.sandbox.connection | {"conn_type": "http", "extra": {"webhooks": True}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    assert essence(await api.post(BODY, conn_id="other")) == essence(await api.post(BODY, conn_id="unknown"))


@pytest.mark.parametrize(
    "conn_id", ["x" * 201, "%00", "a%20b", "%2e%2e", "a%2fb", "%C3%A9", "%ff", ";", "a'--"]
)
async def test_what_is_no_id_of_a_connection_is_not_read(api: Api, conn_id: str) -> None:
    assert (await api.post(BODY, conn_id=conn_id)).status_code == 404
    assert conn_id not in api.registry.connections


@pytest.mark.parametrize("path", ["/workflows/docs", "/workflows/redoc", "/workflows/openapi.json"])
async def test_the_app_does_not_describe_itself(api: Api, path: str) -> None:
    assert (await api.client.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_tell_nothing_of_connections(api: Api, method: str) -> None:
    taken, unknown = [
        essence(await api.client.request(method, f"/workflows/webhooks/{conn_id}"))
        for conn_id in (CONN_ID, "unknown")
    ]
    assert taken[0] == 405
    assert taken == unknown


async def test_connections_that_are_invented_are_forgotten(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.registry.connections, "max_not_found", 5)
    await api.post(BODY, None)
    for number in range(20):
        await api.post(BODY, None, conn_id=f"invented_{number}")
    assert len(api.registry.connections) == 5
    assert CONN_ID in api.registry.connections


async def test_a_connection_that_is_turned_off_or_on_is_noticed(
    api: Api, connect: Callable[..., None]
) -> None:
    responses = []
    for webhooks in (True, False, True):
        connect(webhooks=webhooks)
        api.clock.move_on(registry.CONNECTION_CACHE_SECONDS)
        responses.append((await api.post(b"{}")).status_code)
    assert responses == [204, 404, 204]


FORGERIES: dict[str, Callable[[Api], tuple[str | None, str]]] = {
    "unsigned": lambda api: (None, "is missing"),
    "empty": lambda api: ("", "not of the form"),
    "wrong key": lambda api: (
        sign(BODY, FOREIGN, key_id(api.sandbox.sign(BODY))),
        "does not fit the body",
    ),
    "another body": lambda api: (api.sandbox.sign(BODY + b" "), "does not fit the body"),
    "unknown key": lambda api: (sign(BODY, FOREIGN, str(uuid.uuid4())), "not known to the service"),
    "key id no UUID": lambda api: (sign(BODY, FOREIGN, "../../cases/x"), "key id is not a UUID"),
    "alg none": lambda api: (api.sandbox.webhooks.keys.forge("alg_none", BODY), "not of the form"),
    "HS256": lambda api: (api.sandbox.webhooks.keys.forge("hs256", BODY), "algorithm is not RS256"),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=list(FORGERIES))
async def test_a_forgery_is_refused_without_a_reason_and_logged_with_the_reason_and_counted(
    api: Api,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    forgery: Callable[[Api], tuple[str | None, str]],
) -> None:
    signature, reason = forgery(api)
    before = database.rows()
    with caplog.at_level(logging.DEBUG):
        response = await api.post(BODY, signature)
    assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})
    assert set(response.headers) == {"content-length", "content-type"}
    assert reason in caplog.text
    assert PERSONAL not in caplog.text
    assert api.counts == {"refused": 1}
    assert api.asked[1] == 0
    assert database.rows() == before


async def test_nothing_of_a_body_that_is_taken_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert await api.tell(api.run(), name=PERSONAL) == 204
        assert await api.tell(str(uuid.uuid4()), name=PERSONAL) == 204
        assert await api.tell(api.run(seconds=60.0), status=PERSONAL) == 204
        assert (await api.post(PERSONAL.encode())).status_code == 204
    assert PERSONAL not in caplog.text


async def test_a_flood_of_refusals_is_one_line_that_says_how_many(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(50):
        await api.post(BODY, None)
    assert len([record for record in caplog.records if "refused" in record.message]) == 1
    monkeypatch.setattr(api.handler._warn_refused, "_due", 0.0)
    await api.post(BODY, None)
    assert "50 webhooks were refused since" in caplog.records[-1].message


@pytest.mark.parametrize(
    "signature_of",
    [
        lambda api: None,
        lambda api: sign(BODY, FOREIGN, "https://evil.invalid/key"),
        lambda api: sign(BODY, FOREIGN, f"{uuid.uuid4()}/../../cases"),
        lambda api: sign(BODY, FOREIGN, f"{uuid.uuid4()}?pem=false"),
        lambda api: sign(BODY, FOREIGN, uuid.uuid4().hex),
    ],
    ids=["none", "URL", "path", "query", "no hyphens"],
)
async def test_a_key_id_that_is_no_uuid_reaches_no_url(
    api: Api, signature_of: Callable[[Api], str | None]
) -> None:
    assert (await api.post(BODY, signature_of(api))).status_code == 401
    assert api.sandbox.counts.total_requests == 0


@pytest.mark.thorough
async def test_a_flood_of_forgeries_costs_no_memory_no_rows_and_a_handful_of_requests(
    api: Api, database: Database
) -> None:
    before = database.rows()
    kid = key_id(api.sandbox.sign(BODY))

    async def flood(number: int) -> None:
        for one in range(number):
            body = BODY + b" " * (one % 500)
            # One in fifty is signed, since signing takes longer than refusing.
            signed = one % 50 == 0
            key = (kid, str(uuid.uuid4()))[one % 100 == 0]
            await api.deliver(body, sign(body, FOREIGN, key) if signed else None)
            await asyncio.sleep(0)

    tracemalloc.start()
    try:
        await flood(300)
        settled = tracemalloc.get_traced_memory()[0]
        await flood(1500)
        grown = tracemalloc.get_traced_memory()[0] - settled
    finally:
        tracemalloc.stop()
    # Had the bodies been kept, it would be half a megabyte.
    assert grown < 256 * 1024
    assert api.counts == {"refused": 1800}
    assert api.sandbox.counts.total_requests == api.asked[0] <= 5
    assert database.rows() == before


class Upload:
    """A body that is made as it is read."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.chunks):
            self.read += 1
            yield CHUNK


@pytest.mark.thorough
async def test_a_body_as_long_as_may_be_is_read(api: Api) -> None:
    assert (await api.post(b" " * MAX_BODY_BYTES)).status_code == 204
    assert (await api.post(b" " * (MAX_BODY_BYTES + 1))).status_code == 413


async def test_a_body_whose_length_is_said_to_be_too_long_is_not_read(api: Api) -> None:
    for length in (str(MAX_BODY_BYTES + 1), "9" * 5000):
        upload = Upload(1000)
        assert (await api.post(upload, "x..y", **{"Content-Length": length})).status_code == 413
        assert upload.read == 0
    assert api.counts == {"refused": 2}


@pytest.mark.parametrize("length", [None, "5", "0", "-1", "x", ""])
async def test_a_body_that_turns_out_too_long_is_read_no_further(api: Api, length: str | None) -> None:
    upload = Upload(1000)
    headers = {} if length is None else {"Content-Length": length}
    assert (await api.post(upload, api.sandbox.sign(CHUNK), **headers)).status_code == 413
    assert upload.read <= MAX_BODY_BYTES // len(CHUNK) + 1


async def test_what_is_too_long_is_logged_without_its_content(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    await api.post(PERSONAL.encode() * MAX_BODY_BYTES, None)
    assert f"longer than {MAX_BODY_BYTES} bytes" in caplog.text
    assert PERSONAL not in caplog.text
