"""Clients of one host that share their connections."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator

import pytest

from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings, errors
from airflow_provider_workflows.api.async_transport import HttpSession
from airflow_provider_workflows.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def settings_of(sandbox: Sandbox) -> Settings:
    return Settings(
        host=sandbox.url,
        key=sandbox.key,
        secret=sandbox.secret,
        max_attempts=1,
    )


async def test_clients_that_share_their_connections_need_one(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox)
    http = HttpSession(settings.host)
    clients = [
        AsyncWorkflowsClient(dataclasses.replace(settings, read_timeout=10.0 + number), http=http)
        for number in range(5)
    ]

    for client in clients:
        with pytest.raises(errors.NotFound):
            await client.read_workflow(str(uuid.uuid4()))

    assert sandbox.counts.total_connections == 1
    await http.close()


async def test_a_client_that_is_closed_leaves_shared_connections_open(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox)
    http = HttpSession(settings.host)
    async with AsyncWorkflowsClient(settings, http=http) as first:
        await first.create_case()

    async with AsyncWorkflowsClient(settings, http=http) as second:
        await second.create_case()

    with pytest.raises(RuntimeError, match="closed"):
        await first.create_case()
    assert sandbox.counts.total_connections == 1
    await http.close()
