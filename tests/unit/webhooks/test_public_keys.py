"""The service's keys: how often they are asked for, how long they are trusted, and how many are remembered."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, sign
from airflow_provider_workflows.webhooks import public_keys, registry
from airflow_provider_workflows.webhooks.public_keys import (
    FAILED_FETCH_PAUSE_SECONDS,
    KEY_CACHE_SECONDS,
    MAX_CACHED_KEYS,
    MAX_CACHED_REFUSALS,
    REDELIVERY_SECONDS,
    UNKNOWN_KEY_BURST,
    UNKNOWN_KEY_CACHE_SECONDS,
    UNKNOWN_KEY_REFILL_SECONDS,
    PublicKeyCache,
)
from tests.unit.webhooks.conftest import KEY_PATH, Api, Database

BODY = b'{"workflowId": "0f6b1c2d-3e4a-4b5c-8d7e-9f0a1b2c3d4e"}'
PRIVATE = rsa.generate_private_key(65537, 2048)
PUBLIC = PRIVATE.public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Service:
    """Knows some keys, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: Counter[str] = Counter()
        self.keys: dict[str, str] = {}
        self.error: Exception | None = None
        self.store = PublicKeyCache(lambda: self.now)

    async def fetch(self, key_id: str) -> str:
        self.asked[key_id] += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if key_id not in self.keys:
            raise errors.NotFound("There is no such key.", status=404)
        return self.keys[key_id]

    def new_key(self) -> str:
        key_id = str(uuid.uuid4())
        self.keys[key_id] = PEM
        return key_id

    async def key(self, key_id: str) -> Any:
        return await self.store.key(key_id, self.fetch)

    async def refuses(self, key_id: str) -> bool:
        try:
            await self.key(key_id)
        except SignatureInvalid:
            return True
        return False


@pytest.fixture
def service() -> Service:
    return Service()


async def test_a_key_is_asked_for_once_however_many_need_it(service: Service) -> None:
    key_id = service.new_key()
    found = await asyncio.gather(*(service.key(key_id) for _ in range(100)))
    assert found == [PUBLIC] * 100
    assert service.asked == {key_id: 1}


async def test_a_key_is_asked_for_again_when_it_is_old(service: Service) -> None:
    key_id = service.new_key()
    await service.key(key_id)
    service.now += KEY_CACHE_SECONDS - 1
    await service.key(key_id)
    assert service.asked[key_id] == 1
    service.now += 1
    await asyncio.gather(*(service.key(key_id) for _ in range(100)))
    assert service.asked[key_id] == 2


async def test_a_key_that_was_withdrawn_is_refused_once_it_is_old(service: Service) -> None:
    key_id = service.new_key()
    await service.key(key_id)
    service.keys.clear()
    service.now += KEY_CACHE_SECONDS
    assert await service.refuses(key_id)
    assert await service.refuses(key_id)
    assert service.asked[key_id] == 2


async def test_a_key_that_is_unknown_is_asked_for_again_after_a_while(service: Service) -> None:
    key_id = str(uuid.uuid4())
    assert await service.refuses(key_id)
    service.keys[key_id] = PEM
    service.now += UNKNOWN_KEY_CACHE_SECONDS - 1
    assert await service.refuses(key_id)
    assert service.asked[key_id] == 1
    service.now += 1
    assert not await service.refuses(key_id)


async def test_keys_that_are_invented_are_asked_for_slowly(service: Service) -> None:
    await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(1000)))
    assert service.asked.total() == UNKNOWN_KEY_BURST
    for _ in range(10):
        service.now += UNKNOWN_KEY_REFILL_SECONDS
        await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(100)))
    assert service.asked.total() == UNKNOWN_KEY_BURST + 10
    service.now += 1_000_000
    await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(100)))
    assert service.asked.total() == 2 * UNKNOWN_KEY_BURST + 10


async def test_a_flood_does_not_keep_a_known_key_from_being_used_or_renewed(service: Service) -> None:
    key_id = service.new_key()
    await service.key(key_id)
    service.now += KEY_CACHE_SECONDS
    await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(100)))
    assert await service.key(key_id) == PUBLIC


class RefusesInvented(Service):
    """Says something else than 404 of ids that it does not know, as a proxy or another version may."""

    async def fetch(self, key_id: str) -> str:
        if key_id in self.keys:
            return await super().fetch(key_id)
        await asyncio.sleep(0)
        raise errors.RequestRejected("An id of this form is not taken.", status=400)


@pytest.mark.parametrize("is_under_way", [True, False])
async def test_what_comes_in_place_of_invented_keys_does_not_keep_a_cached_key_from_being_renewed(
    is_under_way: bool,
) -> None:
    service = RefusesInvented()
    key_id = service.new_key()
    await service.key(key_id)
    service.now += KEY_CACHE_SECONDS

    flood = [asyncio.create_task(service.key(str(uuid.uuid4()))) for _ in range(UNKNOWN_KEY_BURST)]
    await (asyncio.sleep(0) if is_under_way else asyncio.wait(flood))

    assert await service.key(key_id) == PUBLIC
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.RequestRejected}


async def test_a_new_key_is_taken_after_a_flood(service: Service) -> None:
    await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(100)))
    key_id = service.new_key()
    assert await service.refuses(key_id)
    service.now += UNKNOWN_KEY_REFILL_SECONDS
    assert not await service.refuses(key_id)


@pytest.mark.parametrize("is_known", [True, False])
async def test_few_keys_are_cached(service: Service, is_known: bool) -> None:
    for _ in range(MAX_CACHED_KEYS * 2):
        service.now += UNKNOWN_KEY_REFILL_SECONDS
        await service.refuses(service.new_key() if is_known else str(uuid.uuid4()))
    kept = service.store._keys if is_known else service.store._unknown
    assert len(kept) == MAX_CACHED_KEYS


async def test_the_key_that_was_used_least_recently_is_forgotten_first(service: Service) -> None:
    used = service.new_key()
    await service.key(used)
    for _ in range(MAX_CACHED_KEYS * 2):
        service.now += 1
        # As many as may be, whatever the time between them.
        service.store._new_ids._left = 1
        await service.key(service.new_key())
        await service.key(used)
    assert service.asked[used] == 1


async def test_a_service_that_cannot_be_asked_makes_no_key_unknown(service: Service) -> None:
    key_id = service.new_key()
    service.error = errors.ServiceUnreachable("It is away.")
    with pytest.raises(errors.ServiceUnreachable):
        await service.key(key_id)
    service.error = None
    service.now += FAILED_FETCH_PAUSE_SECONDS
    assert await service.key(key_id) == PUBLIC


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_service_that_cannot_be_asked_is_asked_now_and_then(service: Service, is_known: bool) -> None:
    key_id = service.new_key()
    if is_known:
        await service.key(key_id)
        service.now += KEY_CACHE_SECONDS
    service.error = errors.ServiceUnreachable("It is away.")
    before = service.asked.total()
    for _ in range(1000):
        with pytest.raises(errors.ServiceUnreachable):
            await service.key(key_id)
    assert service.asked.total() == before + 1


async def tries_needed(service: Service, key_id: str, flood: Callable[[], Any]) -> int:
    """Deliver with a key every five seconds, as the service does, while each second something else is first."""
    tries, begun = 0, service.now
    while True:
        await flood()
        if (service.now - begun) % 5 == 0:
            tries += 1
            if not await service.refuses(key_id):
                return tries
        service.now += 1
        assert service.now - begun < 120


#: Invented ones each second, and for how long they have come before.
FLOODS = {"slow": (1, 6 * 3600), "fast": (100, 120)}


@pytest.mark.thorough
@pytest.mark.parametrize(("a_second", "seconds"), FLOODS.values(), ids=list(FLOODS))
async def test_a_new_key_is_accepted_within_a_deliverys_tries_under_a_flood_of_invented_ones(
    service: Service, a_second: int, seconds: int
) -> None:
    async def flood() -> None:
        await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(a_second)))

    for _ in range(seconds):
        await flood()
        service.now += 1
    assert service.asked.total() <= UNKNOWN_KEY_BURST + seconds / UNKNOWN_KEY_REFILL_SECONDS
    for _ in range(5):
        assert await tries_needed(service, service.new_key(), flood) <= 3
        service.now += UNKNOWN_KEY_REFILL_SECONDS


async def test_a_new_key_is_accepted_at_once_while_others_that_are_unknown_come_for_ever(
    service: Service,
) -> None:
    foreign = [str(uuid.uuid4()) for _ in range(5)]

    async def flood() -> None:
        await asyncio.gather(*(service.refuses(key_id) for key_id in foreign))

    for _ in range(3600):
        await flood()
        service.now += 1
    assert service.asked.total() <= 5 * 20
    assert await tries_needed(service, service.new_key(), flood) == 1


@pytest.mark.parametrize("seconds", [1, 30, 3600])
async def test_a_new_key_is_accepted_in_the_first_try_after_an_outage(service: Service, seconds: int) -> None:
    key_id = service.new_key()
    service.error = errors.ServiceUnreachable("It is away.")
    for _ in range(seconds):
        with pytest.raises(errors.ServiceUnreachable):
            await service.key(key_id)
        service.now += 1
    service.error = None
    service.now += FAILED_FETCH_PAUSE_SECONDS
    assert await service.key(key_id) == PUBLIC


async def test_a_key_that_the_service_makes_known_late_is_accepted_within_a_deliverys_tries(
    service: Service,
) -> None:
    key_id = str(uuid.uuid4())
    assert await service.refuses(key_id)
    service.keys[key_id] = PEM
    service.now += 20
    assert await service.key(key_id) == PUBLIC


async def test_a_key_that_is_of_no_use_is_asked_for_now_and_then(service: Service) -> None:
    key_id = service.new_key()
    await service.key(key_id)
    service.now += KEY_CACHE_SECONDS
    service.keys[key_id] = "<html>Please log in.</html>"
    for _ in range(1000):
        with pytest.raises(errors.UnexpectedResponse):
            await service.key(key_id)
    assert service.asked[key_id] == 2
    service.keys[key_id] = PEM
    service.now += FAILED_FETCH_PAUSE_SECONDS
    assert await service.key(key_id) == PUBLIC


async def test_keys_that_are_invented_and_come_again_are_asked_for_slowly_too(service: Service) -> None:
    invented = [str(uuid.uuid4()) for _ in range(100)]
    for _ in range(10):
        await asyncio.gather(*(service.refuses(key_id) for key_id in invented))
        service.now += REDELIVERY_SECONDS
    assert service.asked.total() <= UNKNOWN_KEY_BURST + 2


@pytest.mark.thorough
async def test_few_refusals_are_remembered(service: Service) -> None:
    for _ in range(0, MAX_CACHED_REFUSALS + 1000, 500):
        await asyncio.gather(*(service.refuses(str(uuid.uuid4())) for _ in range(500)))
    assert len(service.store._refused) <= MAX_CACHED_REFUSALS


@pytest.mark.thorough
async def test_a_thousand_invented_keys_cost_a_handful_of_requests(api: Api, database: Database) -> None:
    before = database.rows()
    # The id of the key is read first, so that one signature does for all.
    header, signature = sign(BODY, PRIVATE, str(uuid.uuid4())).split("..")
    fields = json.loads(base64.urlsafe_b64decode(header + "=="))
    signatures = []
    for _ in range(1000):
        invented = json.dumps(fields | {"kid": str(uuid.uuid4())}).encode()
        signatures.append(f"{base64.urlsafe_b64encode(invented).decode().rstrip('=')}..{signature}")
    responses = [
        await asyncio.gather(*(api.deliver(BODY, one) for one in signatures[n : n + 100]))
        for n in range(0, 1000, 100)
    ]
    assert {status for some in responses for status in some} == {401}
    assert api.sandbox.counts.total_requests == sum(api.asked) == UNKNOWN_KEY_BURST
    assert api.asked[1] == 0
    assert database.rows() == before


async def test_a_hundred_deliveries_cost_one_key_request(api: Api) -> None:
    responses = await asyncio.gather(*(api.post(b"{}") for _ in range(100)))
    assert {response.status_code for response in responses} == {204}
    assert api.asked == (1, 0)


async def test_keys_outlast_a_change_of_the_connection(api: Api, connect: Callable[..., None]) -> None:
    for extra in (
        {"webhooks": True},
        {"webhooks": True, "max_attempts": 2},
        {"webhooks": False},
        {"webhooks": True},
    ):
        connect(**extra)
        api.clock.move_on(registry.CONNECTION_CACHE_SECONDS)
        await api.post(b"{}")
    assert api.asked == (1, 0)


async def test_keys_come_from_the_connections_host_without_a_token(api: Api) -> None:
    await api.post(b"{}")
    (seen,) = api.sandbox.requests_seen
    assert seen.path.startswith("/auth/webhooks/key/")
    assert "authorization" not in seen.headers


async def test_a_rotated_key_is_taken_and_one_withdrawn_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = api.sandbox.sign(b"{}")
    assert (await api.post(b"{}", old)).status_code == 204
    store = api.handler.keys
    now = store._clock()
    monkeypatch.setattr(store, "_clock", lambda: now)
    api.sandbox.webhooks.rotate_key(keep_old=False)
    assert (await api.post(b"{}")).status_code == 204
    assert (await api.post(b"{}", old)).status_code == 204
    monkeypatch.setattr(store, "_clock", lambda: now + KEY_CACHE_SECONDS)
    assert (await api.post(b"{}", old)).status_code == 401
    assert (await api.post(b"{}")).status_code == 204


async def test_a_withdrawn_key_is_refused_as_soon_as_the_connection_says(
    api: Api, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(webhooks=True, webhook_key_seconds=30)
    old = api.sandbox.sign(b"{}")
    assert (await api.post(b"{}", old)).status_code == 204
    store = api.handler.keys
    now = store._clock()
    monkeypatch.setattr(store, "_clock", lambda: now + 30)
    api.sandbox.webhooks.rotate_key(keep_old=False)
    assert (await api.post(b"{}", old)).status_code == 401
    assert (await api.post(b"{}")).status_code == 204


@pytest.mark.parametrize("seconds", [0, -1, 3601, "an hour"])
async def test_a_connection_cannot_have_withdrawn_keys_accepted_for_longer(
    api: Api, connect: Callable[..., None], seconds: object
) -> None:
    connect(webhooks=True, webhook_key_seconds=seconds)
    assert (await api.post(b"{}")).status_code == 404


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"name": "server_error", "status": 500}, 503),
        ({"name": "server_error", "status": 503, "form": "html"}, 503),
        ({"name": "rate_limited", "retry_after": 3600}, 503),
        ({"name": "forbidden"}, 503),
        ({"name": "redirect"}, 503),
        ({"name": "cut_before"}, 503),
        ({"name": "cut_during"}, 503),
        ({"name": "html_ok"}, 503),
    ],
    ids=lambda value: value.get("form", value["name"]) if isinstance(value, dict) else str(value),
)
async def test_where_the_key_cannot_be_had_the_delivery_is_not_taken_and_the_next_is(
    api: Api, monkeypatch: pytest.MonkeyPatch, fault: dict[str, object], status: int
) -> None:
    monkeypatch.setattr(public_keys, "FAILED_FETCH_PAUSE_SECONDS", 0.0)
    api.sandbox.fault(**fault, path=KEY_PATH, times=1)
    assert (await api.post(b"{}")).status_code == status
    assert (await api.post(b"{}")).status_code == 204
