"""Batches that wait find in their inboxes which of their runs have ended."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from airflow_provider_workflows.batch import inbox
from airflow_provider_workflows.batch.inbox import new_completions
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.webhooks.payload import Completion
from airflow_provider_workflows.webhooks.writer import CompletionWriter
from airflow_provider_workflows.xcom_keys import INBOX_KEY
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, Task


def batch(database: Database, conn_id: str = CONN_ID, webhooks: bool = True, **changes: Any) -> Task:
    trigger = BatchStatusTrigger(folder="memory://batch", workflows_conn_id=conn_id, webhooks=webhooks)
    return database.task(trigger, **changes)


def completions_of(task: Task, after: int = 0) -> list[tuple[int, str, str]]:
    return list(new_completions(task.xcom(INBOX_KEY), after))


async def test_a_batch_is_told_of_each_run_that_has_ended(api: Api, database: Database) -> None:
    task = batch(database)
    first, second = api.run(), api.run(status="FAILED")
    await api.tell(first)
    assert completions_of(task) == [(1, first, "COMPLETED")]
    await api.tell(second)
    assert completions_of(task) == [(1, first, "COMPLETED"), (2, second, "FAILED")]
    assert completions_of(task, after=1) == [(2, second, "FAILED")]


async def test_a_batch_goes_on_waiting_when_it_is_told(api: Api, database: Database) -> None:
    task = batch(database)
    await api.tell(api.run())
    row = task.row
    assert row.state == "deferred"
    assert row.trigger_id is not None


async def test_a_batch_is_told_of_all_that_come_at_once(api: Api, database: Database) -> None:
    task = batch(database)
    workflow_ids = [api.run() for _ in range(30)]
    await asyncio.gather(*(api.tell(each) for each in workflow_ids))
    assert {workflow_id for _, workflow_id, _ in completions_of(task)} == set(workflow_ids)
    assert [number for number, _, _ in completions_of(task)] == list(range(1, 31))


async def test_only_the_latest_completions_are_kept(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_INBOX_COMPLETIONS", 3)
    task = batch(database)
    workflow_ids = [api.run() for _ in range(5)]
    for workflow_id in workflow_ids:
        await api.tell(workflow_id)
    assert completions_of(task) == [(number, workflow_ids[number - 1], "COMPLETED") for number in (3, 4, 5)]


@pytest.mark.parametrize(
    "changes",
    [
        {"conn_id": "other"},
        {"webhooks": False},
        {"state": "running"},
        {"state": "success"},
        {"classpath": "airflow.providers.standard.triggers.temporal.DateTimeTrigger"},
    ],
    ids=str,
)
async def test_a_batch_that_does_not_wait_for_webhooks_of_the_connection_is_not_told(
    api: Api, database: Database, changes: dict[str, Any]
) -> None:
    asking, task = batch(database), batch(database, **changes)
    await api.tell(api.run())
    assert task.xcom(INBOX_KEY) is None
    assert len(completions_of(asking)) == 1


async def test_a_batch_is_not_told_of_a_run_that_a_task_of_its_own_waits_for(
    api: Api, database: Database
) -> None:
    task = batch(database)
    workflow_id = api.run()
    database.waiting(workflow_id)
    await api.tell(workflow_id)
    assert task.xcom(INBOX_KEY) is None


async def test_two_writers_at_once_lose_no_inbox(database: Database) -> None:
    task = batch(database)
    completions = [Completion(str(uuid.uuid4()), None, "COMPLETED", None) for _ in range(40)]
    writers = [CompletionWriter(CONN_ID, "https://example.invalid") for _ in range(2)]

    async def write(writer: CompletionWriter, mine: list[Completion]) -> None:
        for completion in mine:
            await writer.write(completion)

    await asyncio.gather(write(writers[0], completions[::2]), write(writers[1], completions[1::2]))
    for writer in writers:
        writer.close()
    assert {workflow_id for _, workflow_id, _ in completions_of(task)} == {
        each.workflow_id for each in completions
    }
