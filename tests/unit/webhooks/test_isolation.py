"""What anybody can send costs little, and what goes wrong with one connection hurts no other; over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, key_id, sign
from airflow_provider_workflows.webhooks import handler, public_keys, uploads
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache
from tests.harness.key_endpoint import FAULTS, HANGING, KeyEndpoint
from tests.unit.webhooks.conftest import CONN_ID, Api, until

if TYPE_CHECKING:
    from typing_extensions import Self

FOREIGN = rsa.generate_private_key(65537, 2048)
BODY = b'{"workflowId": "0f6b1c2d-3e4a-4b5c-8d7e-9f0a1b2c3d4e"}'


def with_key_id(signature: str, kid: str) -> str:
    """Return a signature whose header names another key."""
    return f"{sign(b'', FOREIGN, kid).split('..')[0]}..{signature.split('..')[1]}"


class Slow:
    """A delivery whose body never ends."""

    def __init__(self, port: int, signature: str | None, conn_id: str = CONN_ID) -> None:
        header = "" if signature is None else f"JWS-SIGNATURE: {signature}\r\n"
        path = f"/workflows/webhooks/{conn_id}"
        self._port = port
        self._request = f"POST {path} HTTP/1.1\r\nHost: airflow\r\nContent-Length: 5000\r\n{header}\r\n{{"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(self._request.encode())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def status(self) -> int:
        """Return the status of the response, which comes before the body has ended."""
        return int((await asyncio.wait_for(self._reader.readline(), 5)).split()[1])


@pytest.fixture
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server, over a socket."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client


async def delivered(client: httpx.AsyncClient, signature: str, body: bytes, conn_id: str = CONN_ID) -> int:
    headers = {"JWS-SIGNATURE": signature}
    return (await client.post(f"/workflows/webhooks/{conn_id}", content=body, headers=headers)).status_code


@pytest.fixture
async def sick(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KeyEndpoint]:
    """The service of the connection ``sick``, whose key endpoint hangs."""
    async with KeyEndpoint(HANGING) as service:
        monkeypatch.setenv("AIRFLOW_CONN_SICK", json.dumps(service.connection))
        yield service


@pytest.mark.parametrize("header", [None, "x..y", "garbage", sign(BODY, FOREIGN, "no-uuid")])
async def test_a_header_that_the_service_cannot_have_made_is_refused_before_the_body_comes(
    api: Api, port: int, header: str | None
) -> None:
    async with Slow(port, header) as delivery:
        assert await delivery.status() == 401
    assert len(api.handler.uploads) == 0


async def test_an_invented_key_is_refused_before_the_body_comes(api: Api, port: int) -> None:
    async with Slow(port, sign(BODY, FOREIGN, str(uuid.uuid4()))) as delivery:
        assert await delivery.status() == 401


@pytest.mark.thorough
async def test_slow_bodies_without_a_signature_keep_nobody_out(
    api: Api, port: int, client: httpx.AsyncClient
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            await stack.enter_async_context(Slow(port, None))

        statuses = Counter([await delivered(client, api.sandbox.sign(b"{}"), b"{}") for _ in range(20)])

    assert statuses == {204: 20}


async def test_slow_bodies_with_the_id_of_the_services_key_keep_nobody_out_and_the_first_are_given_up(
    api: Api, port: int, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 10)
    captured = api.sandbox.sign(b"{}")
    assert await delivered(client, captured, b"{}") == 204
    async with contextlib.AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(Slow(port, captured)) for _ in range(30)]

        statuses = Counter([await delivered(client, captured, b"{}") for _ in range(20)])

        given_up = [await delivery.status() for delivery in slow[:20]]
        assert len(api.handler.uploads) <= 10
    assert statuses == {204: 20}
    assert given_up == [503] * 20


async def test_bodies_that_are_on_their_way_are_few_bytes(
    api: Api, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADED_BYTES", 200_000)
    await api.post(b"{}")
    captured = api.sandbox.sign(b"{}")
    head = f"POST /workflows/webhooks/{CONN_ID} HTTP/1.1\r\nHost: a\r\nContent-Length: 250000\r\n"
    writers = []
    for _ in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}JWS-SIGNATURE: {captured}\r\n\r\n".encode() + b" " * 100_000)
        await writer.drain()
        writers.append(writer)

    await until(lambda: 0 < api.handler.uploads._received <= 200_000)

    for writer in writers:
        writer.close()
    await until(lambda: len(api.handler.uploads) == 0)
    assert api.handler.uploads._received == 0


async def test_a_body_that_gives_itself_up_ends_with_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADED_BYTES", 10)
    pieces = iter([b"x" * 11, b"x"])

    async def receive() -> dict[str, object]:
        # What has come already is returned without a turn of the loop.
        return {"type": "http.request", "body": next(pieces), "more_body": True}

    with pytest.raises(uploads.BodyGivenUp):
        await uploads.Uploads().read(receive)


@pytest.mark.thorough
async def test_a_key_endpoint_that_hangs_shuts_no_other_connection_out(
    api: Api, client: httpx.AsyncClient, sick: KeyEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = api.sandbox.sign(b"{}")
    await api.post(b"{}")
    template = sign(BODY, FOREIGN, str(uuid.uuid4()))

    async def forge() -> int:
        return await delivered(client, with_key_id(template, str(uuid.uuid4())), BODY, "sick")

    forged = [asyncio.create_task(forge()) for _ in range(100)]
    await until(lambda: sick.requests)
    statuses = Counter([await delivered(client, genuine, b"{}") for _ in range(24)])
    waiting = sum(not one.done() for one in forged)

    assert statuses == {204: 24}
    assert waiting <= public_keys.UNKNOWN_KEY_BURST + 1
    assert set(await asyncio.gather(*forged)) <= {401, 503}
    assert len(sick.requests) <= public_keys.UNKNOWN_KEY_BURST


@pytest.mark.thorough
async def test_few_deliveries_wait_for_a_key_and_the_others_come_again(
    api: Api, client: httpx.AsyncClient, sick: KeyEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_keys, "MAX_WAITING_DELIVERIES", 5)
    genuine = sign(b"{}", sick.private_key, sick.key_id)

    first = [asyncio.create_task(delivered(client, genuine, b"{}", "sick")) for _ in range(5)]
    await until(lambda: sick.requests)
    others = [await delivered(client, genuine, b"{}", "sick") for _ in range(10)]

    assert others == [503] * 10
    assert not any(one.done() for one in first)
    assert set(await asyncio.gather(*first)) == {503}


@pytest.mark.thorough
async def test_while_a_key_endpoint_hangs_what_may_not_be_asked_for_comes_again(
    api: Api, client: httpx.AsyncClient, sick: KeyEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_keys, "SLOW_FETCH_SECONDS", 0.0)
    template = sign(BODY, FOREIGN, str(uuid.uuid4()))
    forged = [
        asyncio.create_task(delivered(client, with_key_id(template, str(uuid.uuid4())), BODY, "sick"))
        for _ in range(public_keys.UNKNOWN_KEY_BURST)
    ]
    await until(lambda: sick.requests)

    status = await delivered(client, sign(b"{}", sick.private_key, sick.key_id), b"{}", "sick")

    assert status == 503
    await asyncio.gather(*forged)


@pytest.mark.parametrize("fault", [*FAULTS, HANGING])
async def test_a_key_endpoint_that_is_repaired_lets_the_genuine_key_in(
    api: Api, client: httpx.AsyncClient, sick: KeyEndpoint, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(public_keys, "FAILED_FETCH_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(handler, "CALL_TIMEOUT_SECONDS", 0.2)
    sick.fault = fault
    genuine = sign(b"{}", sick.private_key, sick.key_id)

    during = [
        await delivered(client, genuine, b"{}", "sick") for _ in range(2 * public_keys.UNKNOWN_KEY_BURST)
    ]
    sick.fault = None
    after = await delivered(client, genuine, b"{}", "sick")

    assert during == [503] * len(during)
    assert after == 204


@pytest.mark.parametrize(
    "failure",
    [
        errors.UnexpectedResponse("A page."),
        errors.RequestRejected("400.", status=400),
        errors.PermissionDenied("403.", status=403),
        errors.RateLimited("429.", status=429, retry_after=3600.0),
        errors.ServiceUnreachable("It is away."),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_the_genuine_key_is_let_in_within_five_seconds_of_a_repair(
    failure: errors.WorkflowsError,
) -> None:
    now, broken, kid = 0.0, True, str(uuid.uuid4())
    pem = KeyEndpoint().pem
    cache = PublicKeyCache(lambda: now)

    async def fetch(asked: str) -> str:
        if broken:
            raise failure
        if asked != kid:
            raise errors.NotFound("There is no such key.", status=404)
        return pem

    # Beside the genuine one, which comes every two seconds, one is invented each second.
    for second in range(60):
        now = float(second)
        for asked in [str(uuid.uuid4()), *([kid] if second % 2 == 0 else [])]:
            with contextlib.suppress(SignatureInvalid, errors.WorkflowsError):
                await cache.key(asked, fetch)
    broken, repaired = False, now
    while cache.cached(kid) is None:
        now += 1.0
        with contextlib.suppress(SignatureInvalid, errors.WorkflowsError):
            await cache.key(kid, fetch)

    assert now - repaired <= 5.0


async def test_only_the_services_own_404_uses_up_a_permit(
    api: Api, client: httpx.AsyncClient, sick: KeyEndpoint
) -> None:
    sick.fault = None
    template = sign(BODY, FOREIGN, str(uuid.uuid4()))

    invented = [
        await delivered(client, with_key_id(template, str(uuid.uuid4())), BODY, "sick") for _ in range(10)
    ]

    assert invented == [401] * 10
    assert len(sick.requests) == public_keys.UNKNOWN_KEY_BURST
    assert key_id(template) not in sick.requests
