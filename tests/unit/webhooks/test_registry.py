"""The handlers: one for a connection however it is spelled, few of them; one session and key store for a host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from airflow_provider_workflows.webhooks import registry
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, ServiceClock, until

SPELLINGS = ["Workflows_Default", "WORKFLOWS_DEFAULT", "workflows_defaulT"]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_another_spelling_of_a_connection_is_not_found_and_costs_the_service_nothing(
    api: Api, spelling: str
) -> None:
    taken = await api.post(b"{}")
    asked = api.asked

    signed, unsigned = await api.post(b"{}", conn_id=spelling), await api.post(b"{}", None, conn_id=spelling)

    assert (taken.status_code, signed.status_code, unsigned.status_code) == (204, 404, 404)
    assert list(api.registry.handlers) == [CONN_ID]
    assert api.asked == asked


async def test_another_spelling_is_logged_with_what_to_do(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry._warn_spelling, "_due", float("-inf"))

    for spelling in SPELLINGS:
        await api.post(b"{}", conn_id=spelling)

    (record,) = [each for each in caplog.records if "another case" in each.getMessage()]
    assert f"must be in lower case in the address and in DAGs: {CONN_ID}." in record.getMessage()


async def test_a_connection_of_the_database_is_found_as_it_is_spelled_there(
    api: Api, database: Database
) -> None:
    database.connection("Kyc_Prod", api.sandbox.connection, webhooks=True)

    statuses = [
        (await api.post(b"{}", conn_id=name)).status_code for name in ("Kyc_Prod", "kyc_prod", "KYC_PROD")
    ]

    assert statuses == [204, 404, 404]


async def test_connections_of_the_database_whose_ids_differ_in_case_are_two(
    api: Api, database: Database
) -> None:
    database.connection("Kyc", api.sandbox.connection, webhooks=True)
    database.connection("kyc", api.sandbox.connection, webhooks=True, max_attempts=2)

    statuses = [(await api.post(b"{}", conn_id=name)).status_code for name in ("Kyc", "kyc")]

    assert statuses == [204, 204]
    assert list(api.registry.handlers) == ["Kyc", "kyc"]


async def test_connections_to_one_host_share_their_keys_and_their_session(
    api: Api, connect: Callable[..., None]
) -> None:
    for number in range(5):
        connect(f"tenant_{number}", webhooks=True, max_attempts=number + 1)

    statuses = {(await api.post(b"{}", conn_id=f"tenant_{number}")).status_code for number in range(5)}

    assert statuses == {204}
    assert api.asked == (1, 0)
    assert api.sandbox.counts.total_connections == 1


async def test_a_connection_that_does_not_check_the_certificate_brings_no_keys_to_one_that_does(
    api: Api, connect: Callable[..., None]
) -> None:
    connect("careless", webhooks=True, verify=False)

    await api.post(b"{}", conn_id="careless")
    await api.post(b"{}")

    assert api.asked == (2, 0)


async def test_handlers_are_few_and_the_one_used_least_recently_is_forgotten(
    api: Api, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_HANDLERS", 3)
    for number in range(6):
        connect(f"tenant_{number}", webhooks=True)

    for number in range(6):
        await api.post(b"{}", conn_id=f"tenant_{number}")
        await api.post(b"{}", conn_id="tenant_0")

    assert set(api.registry.handlers) == {"tenant_0", "tenant_4", "tenant_5"}
    assert (await api.post(b"{}", conn_id="tenant_1")).status_code == 204


async def test_a_handler_that_is_not_used_is_forgotten_and_found_again(
    api: Api, connect: Callable[..., None]
) -> None:
    connect("seldom", webhooks=True)
    await api.post(b"{}", conn_id="seldom")

    api.clock.move_on(registry.HANDLER_IDLE_SECONDS + 1)
    await api.post(b"{}")
    forgotten = "seldom" not in api.registry.handlers

    assert forgotten
    assert (await api.post(b"{}", conn_id="seldom")).status_code == 204


async def test_hosts_of_which_no_handler_is_left_are_few(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_HOSTS", 2)

    for number in range(6):
        connection = api.sandbox.connection
        given = connection | {
            "host": f"{connection['host']}/tenant/{number}",
            "extra": connection["extra"] | {"webhooks": True},
        }
        monkeypatch.setenv("AIRFLOW_CONN_MOVING", json.dumps(given))
        api.clock.move_on(registry.CONNECTION_CACHE_SECONDS)
        await api.post(b"{}", None, conn_id="moving")

    assert len(api.registry._hosts) == 2


async def test_a_flood_of_invented_ids_does_not_keep_a_connection_from_being_read_again(
    api: Api, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.post(b"{}")
    monkeypatch.setattr(registry, "MAX_QUEUED_LOOKUPS", 0)

    connect(webhooks=False)
    api.clock.move_on(registry.CONNECTION_CACHE_SECONDS)

    assert (await api.post(b"{}")).status_code == 404


async def test_what_is_under_way_as_a_connection_changes_comes_again_without_an_error_in_the_log(
    api: Api, connect: Callable[..., None], service_clock: ServiceClock, caplog: pytest.LogCaptureFixture
) -> None:
    workflow_id = await asyncio.to_thread(api.run, seconds=60.0)
    body = json.dumps({"workflowId": workflow_id}).encode()
    api.pauses.end.clear()
    under_way = asyncio.create_task(api.post(body))
    await until(lambda: api.pauses.number)

    connect(webhooks=True, max_attempts=2)
    api.clock.move_on(registry.CONNECTION_CACHE_SECONDS)
    await api.post(b"{}")
    service_clock.move_on(60.0)
    api.pauses.end.set()

    assert (await under_way).status_code == 503
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert (await api.post(body)).status_code == 204
    assert api.counts["taken"] == 1
