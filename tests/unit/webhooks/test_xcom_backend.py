"""An XCom backend in object storage: the database has paths in place of what tasks have written."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.providers.common.io.xcom import backend
from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time import xcom as airflow_xcom
from airflow.sdk.execution_time.comms import GetXCom, SetXCom, XComResult

from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.inbox import InboxReader, InboxSegment
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.xcom_keys import AWAITED_RUNS_KEY, INBOX_KEY
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, Statements


@pytest.fixture
def object_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The backend with a threshold of zero, so that every XCom is stored in a folder."""
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", f"file://{tmp_path}/xcom")
    monkeypatch.setenv("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "0")
    monkeypatch.setattr(airflow_xcom, "XCom", XComObjectStorageBackend)
    cached = (backend._get_base_path, backend._get_threshold, backend._get_compression)
    for each in cached:
        each.cache_clear()
    xcom.DIRECT_XCOM.forget()
    yield tmp_path / "xcom"
    for each in cached:
        each.cache_clear()
    xcom.DIRECT_XCOM.forget()


def stored(value: object) -> Any:
    """Return what the database has of an XCom that a worker has pushed."""
    return XComObjectStorageBackend.serialize_value(value, key="k", dag_id="d", task_id="t", run_id="r")


async def delivered(api: Api, port: int, workflow_id: str) -> int:
    body = json.dumps({"workflowId": workflow_id}).encode()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        headers = {"JWS-SIGNATURE": api.sandbox.sign(body)}
        response = await client.post(f"/workflows/webhooks/{CONN_ID}", content=body, headers=headers)
    return response.status_code


def single(database: Database, workflow_id: str, conn_id: str = CONN_ID, **changes: Any) -> Any:
    trigger = WorkflowStatusTrigger(workflow_id=workflow_id, workflows_conn_id=conn_id, webhooks=True)
    return database.task(trigger, stored(workflow_id), **changes)


async def test_a_task_whose_xcom_is_a_path_is_resumed(
    object_storage: Path, api: Api, database: Database, port: int
) -> None:
    workflow_id = api.run()
    task, other = single(database, workflow_id.upper()), single(database, str(uuid.uuid4()))
    assert str(task.xcom("workflow_id")).startswith("file://")

    assert await delivered(api, port, workflow_id) == 204

    assert (task.row.state, other.row.state) == ("scheduled", "deferred")
    assert task.row.next_kwargs == {"event": {"workflow_id": workflow_id, "status": "COMPLETED"}}


@pytest.mark.parametrize(
    "changes", [{"conn_id": "other"}, {"state": "running"}, {"next_method": "execute_other"}], ids=str
)
async def test_a_task_that_does_not_wait_so_is_left_alone(
    object_storage: Path, api: Api, database: Database, port: int, changes: dict[str, Any]
) -> None:
    workflow_id = api.run()
    task = single(database, workflow_id, **changes)
    before = task.row.state

    assert await delivered(api, port, workflow_id) == 204

    assert task.row.state == before


@pytest.mark.thorough
async def test_what_a_task_waits_for_is_read_once(
    object_storage: Path, api: Api, database: Database, port: int, statements: Statements
) -> None:
    tasks = [single(database, str(uuid.uuid4())) for _ in range(20)]
    workflow_ids = [api.run() for _ in range(5)]

    statements.sent.clear()
    for workflow_id in workflow_ids:
        assert await delivered(api, port, workflow_id) == 204

    read = [each for each in statements.sent if each.startswith("SELECT") and "trigger.kwargs" in each]
    # The search among ids that are stored as they are, which finds none, is the other.
    assert len(read) <= 1 + len(workflow_ids)
    assert {task.row.state for task in tasks} == {"deferred"}


@pytest.mark.thorough
async def test_a_batch_is_told_past_the_backend(
    object_storage: Path, api: Api, database: Database, port: int
) -> None:
    own, foreign = api.run(), api.run()
    trigger = BatchStatusTrigger(folder="memory://batch", workflows_conn_id=CONN_ID, webhooks=True)
    task = database.task(
        trigger,
        xcoms={AWAITED_RUNS_KEY: AwaitedRuns.of([own]).to_json(), INBOX_KEY: InboxSegment().to_json()},
    )

    for workflow_id in (foreign, own):
        assert await delivered(api, port, workflow_id) == 204

    assert [each[1:] for each in InboxSegment.from_json(task.xcom(INBOX_KEY)).completions] == [
        (own, "COMPLETED")
    ]


async def test_a_batch_whose_xcoms_are_paths_is_told_of_all(
    object_storage: Path, api: Api, database: Database, port: int
) -> None:
    own, foreign = api.run(), api.run()
    trigger = BatchStatusTrigger(folder="memory://batch", workflows_conn_id=CONN_ID, webhooks=True)
    xcoms = {AWAITED_RUNS_KEY: AwaitedRuns.of([own]).to_json(), INBOX_KEY: InboxSegment().to_json()}
    task = database.task(trigger, xcoms={key: stored(value) for key, value in xcoms.items()})

    for workflow_id in (foreign, own):
        assert await delivered(api, port, workflow_id) == 204

    read = XComObjectStorageBackend.deserialize_value(SimpleNamespace(value=task.xcom(INBOX_KEY)))
    assert [each[1] for each in InboxSegment.from_json(read).completions] == [foreign, own]


class Supervisor:
    """Airflow's API as a task and a trigger reach it: the XComs of one task in the database."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def send(self, message: Any) -> None:
        assert isinstance(message, SetXCom)
        self.values[message.key] = message.value

    async def asend(self, message: Any) -> XComResult:
        assert isinstance(message, GetXCom)
        return XComResult(key=message.key, value=self.values.get(message.key))


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


TASK = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=None)


def test_what_webhooks_need_is_written_past_the_backend_and_read_past_it(
    object_storage: Path, supervisor: Supervisor
) -> None:
    awaited = AwaitedRuns.of([str(uuid.uuid4())]).to_json()

    xcom.write_to_database(AWAITED_RUNS_KEY, awaited, TASK)
    xcom.write_to_database(INBOX_KEY, InboxSegment().to_json(), TASK)
    assert not object_storage.exists()
    assert supervisor.values[AWAITED_RUNS_KEY] == awaited

    latest = InboxSegment.from_json(supervisor.values[INBOX_KEY]).after({"a": "COMPLETED"})
    supervisor.values[INBOX_KEY] = latest.to_json()
    reader = InboxReader(lambda key: xcom.read_from_database(key, TASK))
    assert asyncio.run(reader.new_completions()) == [("a", "COMPLETED")]


def test_without_such_a_backend_xcoms_are_pushed_as_always(supervisor: Supervisor) -> None:
    pushed: dict[str, Any] = {}
    task = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))

    xcom.write_to_database(INBOX_KEY, 1, task)

    assert pushed == {INBOX_KEY: 1}
    assert supervisor.values == {}
