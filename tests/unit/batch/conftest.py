"""What the tests of a batch's parts share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_workflows.api import AsyncWorkflowsClient
from airflow_provider_workflows.batch.journal import Journal
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.tables import TABLE
from tests.unit.batch_task import cases
from tests.unit.clocks import BlockingClock

from .submitting import Rows


@pytest.fixture
async def client(sandbox: Sandbox) -> Any:
    """A client that makes one try for a call, authorized, with the sandbox's counts at zero."""
    async with sandbox.async_client(max_attempts=1) as made:
        await made.authorize()
        sandbox.counts.reset()
        yield made


@pytest.fixture
def clock() -> BlockingClock:
    return BlockingClock()


@pytest.fixture
async def journal(tmp_path: Path, clock: BlockingClock) -> Any:
    opened = Journal(ObjectStoragePath(str(tmp_path)), clock=clock, sleep=clock.sleep)
    yield opened
    opened.close()


@pytest.fixture
def rows(client: AsyncWorkflowsClient, sandbox: Sandbox, tmp_path: Path, short_pauses: None) -> Rows:
    return Rows(client, tmp_path, sandbox.define(seconds=0.0))


@pytest.fixture(params=[2, 3])
async def begun_records(
    request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path, short_pauses: None
) -> Any:
    """A batch of records, of generation 2 and 3, whose first row is submitted."""
    async with sandbox.async_client(max_attempts=1, api_generation=request.param) as made:
        await made.authorize()
        rows = Rows(made, tmp_path, sandbox.define(seconds=0.0), TABLE)
        await rows.submit([{"record.name": "Ada"}])
        sandbox.counts.reset()
        yield rows


@pytest.fixture
async def begun_rows(rows: Rows, sandbox: Sandbox) -> Rows:
    """A batch whose first row is submitted, so that nothing is a first row any more."""
    await rows.submit(cases(1))
    sandbox.counts.reset()
    return rows
