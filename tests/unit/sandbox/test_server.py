"""Starting and stopping, in sync and async code, and what a sandbox says of itself."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import aiohttp
import pytest
import requests
from airflow.sdk import Connection

from airflow_provider_workflows.api import endpoints, models
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import LIMIT_SECONDS, Caller, until


def test_it_serves_within_a_with_block_and_not_after() -> None:
    with Sandbox() as sandbox:
        caller = Caller(sandbox)
        assert caller("POST", "/cases", {}).status_code == 201
    with caller.session, pytest.raises(requests.ConnectionError):
        caller("POST", "/cases", {})


async def test_it_serves_within_an_async_with_block_on_a_loop_of_its_own() -> None:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        headers = {"Authorization": sandbox.organization_token}
        async with session.post(f"{sandbox.url}/cases", json={}, headers=headers) as response:
            assert response.status == 201
        # A request that blocks this loop could never be served by it.
        caller = Caller(sandbox)
        with caller.session:
            assert caller("POST", "/cases", {}).status_code == 201


def test_it_says_which_workflows_were_started_for_which_case(sandbox: Sandbox) -> None:
    definition_id = sandbox.define(seconds=0.0)
    with sandbox.client() as client:
        case_id = client.create_case(first_name="Jana").case_id
        started = [client.run_workflow(definition_id, case_id).id for _ in range(2)]

    assert [workflow.id for workflow in sandbox.workflows] == started
    assert {workflow.case["caseId"] for workflow in sandbox.workflows} == {case_id}


def test_two_run_side_by_side() -> None:
    with Sandbox() as first, Sandbox() as second:
        assert first.url != second.url


def test_starting_twice_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="started already"):
        sandbox.start()


def test_a_port_that_is_taken_is_an_error_where_it_was_started(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: the port is taken"):
        Sandbox(port=port).start()


async def test_a_port_that_is_taken_is_an_error_in_async_code_too(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="the port is taken"):
        await Sandbox(port=int(sandbox.url.rpartition(":")[2])).__aenter__()


def test_it_can_have_an_outage() -> None:
    sandbox = Sandbox()
    with sandbox:
        url, caller = sandbox.url, Caller(sandbox)
        case_id = caller.case()
    with sandbox, caller.session:
        assert sandbox.url == url
        assert caller("GET", f"/cases/{case_id}").status_code == 200


def test_stopping_does_not_wait_for_connections(sandbox: Sandbox, call: Caller) -> None:
    def lose_the_connection() -> None:
        with pytest.raises(requests.RequestException):
            call.case()

    call.case()
    sandbox.fault("latency", seconds=3600)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as silent:
        delayed = threading.Thread(target=lose_the_connection)
        delayed.start()
        asyncio.run(until(lambda: sandbox.counts.requests["POST /cases"] == 2))
        stopping = threading.Thread(target=sandbox.stop)
        stopping.start()
        stopping.join(LIMIT_SECONDS)
        assert not stopping.is_alive()
        assert silent.recv(1) == b""
    delayed.join()


def test_stopping_a_sandbox_that_does_not_run_does_nothing() -> None:
    Sandbox().stop()


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with Sandbox():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_it_has_no_url_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="start it first"):
        _ = Sandbox().url


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_other_machines_are_kept_out_unless_permitted(host: str) -> None:
    with pytest.raises(ValueError, match="can be reached from elsewhere"):
        Sandbox(host=host)


def test_other_machines_can_be_permitted() -> None:
    with Sandbox(host="0.0.0.0", allow_remote=True) as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        caller = Caller(sandbox)
        with caller.session:
            assert caller("POST", "/cases", {}).status_code == 201


@pytest.fixture(params=[False, True], ids=["http", "https"])
def either(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(tls=request.param) as running:
        yield running


def test_the_settings_reach_it(either: Sandbox) -> None:
    settings = either.settings
    assert (settings.host, settings.key, settings.secret) == (either.url, either.key, either.secret)
    assert settings.verify == (either.ca_file or True)


def test_the_client_reaches_it(either: Sandbox) -> None:
    with either.client(max_attempts=1) as client:
        assert client.perform(endpoints.create_case(models.CaseDetails())).case_id
        assert client.settings.max_attempts == 1


async def test_the_async_client_reaches_it(either: Sandbox) -> None:
    async with either.async_client(key="", secret=either.organization_token) as client:
        assert (await client.perform(endpoints.create_case(models.CaseDetails()))).case_id
    assert either.counts.requests["POST /auth/authorize"] == 0


def test_the_environment_holds_a_connection_of_each_generation(either: Sandbox) -> None:
    connection = json.loads(either.environment["AIRFLOW_CONN_WORKFLOWS_DEFAULT"])
    assert connection == either.connection == json.loads(either.connection_json)
    extra = {"verify": either.ca_file} if either.ca_file else {}
    assert connection == {
        "conn_type": "workflows",
        "host": either.url.rpartition(":")[0],
        "port": int(either.url.rpartition(":")[2]),
        "login": None,
        "password": either.organization_token,
        "extra": extra,
    }
    for generation in (2, 3):
        given = json.loads(either.environment[f"AIRFLOW_CONN_WORKFLOWS_GENERATION_{generation}"])
        assert given == connection | {"extra": extra | {"api_generation": generation}}
    assert len(either.environment) == 3


def test_a_connection_of_a_generation_that_there_is_not_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="there is no api_generation 4, only 1, 2 or 3"):
        sandbox.connection_of(4)


def test_a_connection_with_key_and_secret_can_be_had(either: Sandbox) -> None:
    credentials = {"login": either.key, "password": either.secret}
    assert either.connection_with_key == either.connection | credentials


def test_airflow_reads_the_uri_as_it_reads_the_json(either: Sandbox) -> None:
    from_uri = Connection.from_uri(either.connection_uri, conn_id="a")
    from_json = Connection.from_json(either.connection_json, conn_id="a")
    for connection in (from_uri, from_json):
        assert connection.conn_type == "workflows"
        assert f"{connection.host}:{connection.port}" == either.url
        assert (connection.login or None, connection.password) == (None, either.organization_token)
        assert connection.extra_dejson == either.connection["extra"]


@pytest.mark.parametrize("url", ["destination", "ftp://destination/", "http://"])
def test_a_url_of_webhooks_that_cannot_be_right_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with http:// or https://"):
        Sandbox(webhook_url=url)
