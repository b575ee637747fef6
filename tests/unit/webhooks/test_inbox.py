"""Batches that wait find in their inboxes which of their runs have ended."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from typing import Any

import httpx
import pytest
from airflow.models.xcom import XComModel

from airflow_provider_workflows.batch import inbox
from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.inbox import InboxSegment
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.webhooks import writer
from airflow_provider_workflows.webhooks.payload import Completion
from airflow_provider_workflows.webhooks.writer import CompletionWriter
from airflow_provider_workflows.xcom_keys import AWAITED_RUNS_KEY, INBOX_KEY
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, Statements, Task

#: Airflow 3.4 writes an XCom by one statement that inserts or updates it, which names the value for each: the same
#: completions, 2,384 bytes at most where older ones send 1,255. It is stored once.
COPIES_OF_A_VALUE = 2 if hasattr(XComModel, "set_for_attempt") else 1


def batch(database: Database, conn_id: str = CONN_ID, webhooks: bool = True, **changes: Any) -> Task:
    trigger = BatchStatusTrigger(folder="memory://batch", workflows_conn_id=conn_id, webhooks=webhooks)
    return database.task(trigger, **changes)


def segments_of(task: Task) -> list[InboxSegment]:
    """Return all segments that are stored, the earliest first."""
    latest = InboxSegment.from_json(task.xcom(INBOX_KEY))
    stored = [task.xcom(InboxSegment(number).key) for number in range(inbox.MAX_CLOSED_SEGMENTS)]
    closed = [InboxSegment.from_json(each) for each in stored if each is not None]
    segments = {segment.number: segment for segment in (latest, *closed)}
    return [segments[number] for number in sorted(segments)]


def completions_of(task: Task, after: int = 0) -> list[tuple[int, str, str]]:
    return [each for segment in segments_of(task) for each in segment.completions if each[0] > after]


@pytest.mark.thorough
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


@pytest.mark.thorough
async def test_a_batch_is_told_of_all_that_come_at_once(api: Api, database: Database) -> None:
    task = batch(database)
    workflow_ids = [api.run() for _ in range(30)]
    await asyncio.gather(*(api.tell(each) for each in workflow_ids))
    assert {workflow_id for _, workflow_id, _ in completions_of(task)} == set(workflow_ids)
    assert [number for number, _, _ in completions_of(task)] == list(range(1, 31))


@pytest.mark.thorough
async def test_only_the_latest_completions_are_kept(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_SEGMENT_COMPLETIONS", 1)
    monkeypatch.setattr(inbox, "MAX_CLOSED_SEGMENTS", 2)
    task = batch(database)
    workflow_ids = [api.run() for _ in range(7)]
    for workflow_id in workflow_ids:
        await api.tell(workflow_id)
    kept = range(3, 8)
    assert completions_of(task) == [(number, workflow_ids[number - 1], "COMPLETED") for number in kept]


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("in_one_process", [True, False])
async def test_two_writers_at_once_lose_no_inbox(
    database: Database, monkeypatch: pytest.MonkeyPatch, in_one_process: bool
) -> None:
    if not in_one_process:
        # The lock of a process is of no use to another: each writer has the database's alone.
        monkeypatch.setattr(writer, "_lock_of", lambda _: threading.Lock())
    task = batch(database)
    completions = [Completion(str(uuid.uuid4()), None, "COMPLETED", None) for _ in range(40)]
    writers = [CompletionWriter(CONN_ID, "https://example.invalid") for _ in range(2)]

    async def write(one: CompletionWriter, mine: list[Completion]) -> None:
        for completion in mine:
            await one.write(completion)

    await asyncio.gather(write(writers[0], completions[::2]), write(writers[1], completions[1::2]))
    for one in writers:
        one.close()
    assert {workflow_id for _, workflow_id, _ in completions_of(task)} == {
        each.workflow_id for each in completions
    }


def waiting(database: Database, *workflow_ids: str) -> Task:
    """Add a batch that has said which runs it waits for."""
    return batch(database, xcoms={AWAITED_RUNS_KEY: AwaitedRuns.of(workflow_ids).to_json()})


@pytest.mark.thorough
async def test_a_delivery_touches_only_the_batch_that_has_its_workflow(
    api: Api, database: Database, port: int, statements: Statements
) -> None:
    first, second, foreign = (api.run() for _ in range(3))
    tasks = [waiting(database, first), waiting(database, second.upper())]

    statements.sent.clear()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        for workflow_id in (foreign, first, second):
            body = json.dumps({"workflowId": workflow_id}).encode()
            headers = {"JWS-SIGNATURE": api.sandbox.sign(body)}
            await client.post(f"/workflows/webhooks/{CONN_ID}", content=body, headers=headers)

    assert [completions_of(task) for task in tasks] == [[(1, first, "COMPLETED")], [(1, second, "COMPLETED")]]
    assert len(statements.writes("xcom")) == 2


@pytest.mark.thorough
async def test_foreign_completions_never_push_out_a_batchs_own(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_SEGMENT_COMPLETIONS", 1)
    monkeypatch.setattr(inbox, "MAX_CLOSED_SEGMENTS", 1)
    own = api.run()
    task = waiting(database, own)

    await api.tell(own)
    for _ in range(10):
        await api.tell(api.run())

    assert completions_of(task) == [(1, own, "COMPLETED")]


@pytest.mark.thorough
async def test_a_completion_costs_a_small_write_however_many_came_before(
    database: Database, statements: Statements
) -> None:
    workflow_ids = [str(uuid.uuid4()) for _ in range(100)]
    task = waiting(database, *workflow_ids)
    writer = CompletionWriter(CONN_ID, "https://example.invalid")
    statements.sent.clear()

    for workflow_id in workflow_ids:
        await writer.write(Completion(workflow_id, None, "COMPLETED", None))
    writer.close()

    writes = statements.writes("xcom")
    assert {each.count('"ended"') for each in writes} == {COPIES_OF_A_VALUE}
    sizes = [len(each) // COPIES_OF_A_VALUE for each in writes]
    assert len(sizes) == 100
    assert max(sizes) <= 1536
    assert sum(sizes) <= 1024 * 100
    assert [workflow_id for _, workflow_id, _ in completions_of(task)] == workflow_ids


async def test_what_a_batch_waits_for_is_read_once(
    api: Api, database: Database, statements: Statements
) -> None:
    workflow_ids = [api.run() for _ in range(5)]
    tasks = [waiting(database, *workflow_ids), waiting(database, str(uuid.uuid4()))]

    statements.sent.clear()
    for workflow_id in workflow_ids:
        await api.tell(workflow_id)

    asked = [each for each in statements.sent if each.startswith("SELECT") and AWAITED_RUNS_KEY in each]
    assert len(asked) == len(tasks)


@pytest.mark.thorough
async def test_a_batch_that_waits_again_is_told_of_the_runs_of_its_new_wait(
    api: Api, database: Database
) -> None:
    first, second = api.run(), api.run()
    before = waiting(database, first)
    await api.tell(first)
    database.remove(before)

    # SQLite gives the new trigger the id of the one that is gone.
    task = waiting(database, second)
    await api.tell(second)

    assert completions_of(task) == [(1, second, "COMPLETED")]
