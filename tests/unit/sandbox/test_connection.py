"""The sandbox as settings, as clients and as an Airflow connection."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from airflow.sdk import Connection

from airflow_provider_workflows.api import endpoints, models
from airflow_provider_workflows.sandbox import Sandbox


@pytest.fixture(params=[False, True], ids=["http", "https"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(tls=request.param) as running:
        yield running


def test_the_settings_reach_it(sandbox: Sandbox) -> None:
    settings = sandbox.settings
    assert (settings.host, settings.key, settings.secret) == (sandbox.url, sandbox.key, sandbox.secret)
    assert settings.verify == (sandbox.ca_file or True)


def test_the_client_reaches_it(sandbox: Sandbox) -> None:
    with sandbox.client(max_attempts=1) as client:
        assert client.perform(endpoints.create_case(models.CaseDetails())).case_id
        assert client.settings.max_attempts == 1


async def test_the_async_client_reaches_it(sandbox: Sandbox) -> None:
    async with sandbox.async_client(key="", secret=sandbox.organization_token) as client:
        assert (await client.perform(endpoints.create_case(models.CaseDetails()))).case_id
    assert sandbox.counts.requests["POST /auth/authorize"] == 0


def test_the_environment_holds_the_connection(sandbox: Sandbox) -> None:
    connection = json.loads(sandbox.environment["AIRFLOW_CONN_WORKFLOWS_DEFAULT"])
    assert connection == sandbox.connection == json.loads(sandbox.connection_json)
    assert connection == {
        "conn_type": "workflows",
        "host": sandbox.url,
        "login": sandbox.key,
        "password": sandbox.secret,
        "extra": {"verify": sandbox.ca_file} if sandbox.ca_file else {},
    }


def test_airflow_reads_the_uri_as_it_reads_the_json(sandbox: Sandbox) -> None:
    from_uri = Connection.from_uri(sandbox.connection_uri, conn_id="a")
    from_json = Connection.from_json(sandbox.connection_json, conn_id="a")
    for connection in (from_uri, from_json):
        assert connection.conn_type == "workflows"
        assert connection.host == sandbox.url
        assert (connection.login, connection.password) == (sandbox.key, sandbox.secret)
        assert connection.extra_dejson == sandbox.connection["extra"]
