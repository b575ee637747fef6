"""Tasks that wait for a workflow are resumed when it has ended, and no others."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.models import trigger as airflow_trigger

from airflow_provider_workflows.airflow_internals import deferral
from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from tests.unit.webhooks.conftest import CONN_ID, Api, Database, Task, until

pytestmark = pytest.mark.sampled(3)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> float:
    """Let tasks be resumed the given number of seconds after they were deferred."""
    monkeypatch.setattr(deferral, "HEARTBEATS_BEFORE_EVENT", 0.2)
    return deferral.seconds_before_event()


def stored_state(task: Task) -> dict[str, Any]:
    row = task.row
    names = ("state", "next_method", "next_kwargs", "trigger_id", "scheduled_dttm")
    return {name: getattr(row, name) for name in names}


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
async def test_a_task_that_waits_is_resumed_with_what_the_service_says(
    api: Api, database: Database, status: str
) -> None:
    workflow_id = api.run(status=status)
    task = database.waiting(workflow_id, next_kwargs={"wait": 5})
    assert await api.tell(workflow_id) == 204
    row = task.row
    assert (row.state, row.trigger_id, row.next_method) == ("scheduled", None, "execute_complete")
    assert row.next_kwargs == {"wait": 5, "event": {"workflow_id": workflow_id, "status": status}}
    assert row.scheduled_dttm is not None


async def test_a_task_is_told_the_versions_of_a_run_that_the_service_says(
    api: Api, database: Database, connect: Callable[..., None]
) -> None:
    connect(webhooks=True, api_generation=3)
    with api.sandbox.client(api_generation=3) as client:
        definition_id = api.sandbox.define(seconds=0.0, revision=7)
        workflow_id = client.run_workflow(definition_id, parameters={"limit": 5}).id
    task = database.waiting(workflow_id)

    await api.tell(workflow_id)

    event = {"workflow_id": workflow_id, "status": "COMPLETED", "revision": 7, "execution_version": 1}
    assert task.row.next_kwargs["event"] == event


@pytest.mark.parametrize("spelled", [str.upper, lambda name: name[:18].upper() + name[18:]])
async def test_a_task_that_was_given_the_id_in_capitals_is_resumed(
    api: Api, database: Database, spelled: Callable[[str], str]
) -> None:
    workflow_id = api.run()
    task = database.waiting(spelled(workflow_id))
    await api.tell(workflow_id)
    assert task.row.state == "scheduled"
    assert task.row.next_kwargs["event"] == {"workflow_id": workflow_id, "status": "COMPLETED"}


async def test_a_task_whose_trigger_waits_for_another_workflow_is_left_alone(
    api: Api, database: Database
) -> None:
    workflow_id = api.run()
    trigger = WorkflowStatusTrigger(workflow_id=str(uuid.uuid4()), workflows_conn_id=CONN_ID, webhooks=True)
    task = database.task(trigger, workflow_id)
    await api.tell(workflow_id)
    assert task.row.state == "deferred"


async def test_all_tasks_that_wait_for_one_workflow_are_resumed(api: Api, database: Database) -> None:
    workflow_id = api.run()
    tasks = [database.waiting(workflow_id) for _ in range(3)]
    await api.tell(workflow_id)
    assert [task.row.state for task in tasks] == ["scheduled"] * 3


@pytest.mark.thorough
async def test_many_tasks_are_each_resumed_for_their_own_workflow(api: Api, database: Database) -> None:
    waiting = {workflow_id: database.waiting(workflow_id) for workflow_id in [api.run() for _ in range(20)]}
    await asyncio.gather(*(api.tell(each) for each in waiting))
    events = {each: task.row.next_kwargs["event"]["workflow_id"] for each, task in waiting.items()}
    assert events == {each: each for each in waiting}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "running"},
        {"state": "up_for_retry"},
        {"state": "success"},
        {"state": "failed"},
        {"state": "scheduled"},
        {"state": None},
        {"next_method": "execute_other"},
        {"next_method": None},
        {"classpath": "airflow.providers.standard.triggers.temporal.DateTimeTrigger"},
        {"xcom_key": "return_value"},
        {"trigger_id": None},
    ],
    ids=str,
)
async def test_a_task_that_does_not_wait_for_it_is_left_alone(
    api: Api, database: Database, changes: dict[str, Any]
) -> None:
    workflow_id = api.run()
    task = database.waiting(workflow_id, **changes)
    before = stored_state(task)
    assert await api.tell(workflow_id) == 204
    assert stored_state(task) == before


async def test_a_task_that_waits_for_another_workflow_is_left_alone(api: Api, database: Database) -> None:
    workflow_id = api.run()
    others = [
        database.waiting(other) for other in (str(uuid.uuid4()), workflow_id[:-1], f"{workflow_id}0", "%")
    ]
    before = [stored_state(task) for task in others]
    assert await api.tell(workflow_id) == 204
    assert [stored_state(task) for task in others] == before


@pytest.mark.thorough
async def test_a_task_of_another_connection_is_not_resumed_by_what_this_one_s_service_says(
    api: Api, database: Database
) -> None:
    workflow_id = api.run()
    trigger = WorkflowStatusTrigger(
        workflow_id=workflow_id, workflows_conn_id="workflows_production", webhooks=True
    )
    task = database.task(trigger, workflow_id)
    before = stored_state(task)
    assert await api.tell(workflow_id) == 204
    assert stored_state(task) == before


async def test_a_task_that_was_resumed_is_left_alone_when_the_delivery_comes_again(
    api: Api, database: Database
) -> None:
    workflow_id = api.run()
    task = database.waiting(workflow_id)
    await api.tell(workflow_id)
    before = stored_state(task)
    api.handler._ended.clear()
    await api.tell(workflow_id)
    assert stored_state(task) == before


@pytest.mark.thorough
async def test_a_task_that_was_deferred_a_moment_ago_is_resumed_as_soon_as_it_may_be(
    api: Api, database: Database, soon: float
) -> None:
    workflow_id = api.run()
    young = database.waiting(workflow_id, deferred_seconds=0.0)
    old = database.waiting(workflow_id)
    assert await api.tell(workflow_id) == 204
    assert [young.row.state, old.row.state] == ["deferred", "scheduled"]
    await asyncio.sleep(soon / 2)
    assert young.row.state == "deferred"
    await until(lambda: young.row.state == "scheduled", soon)
    assert young.row.next_kwargs == {"event": {"workflow_id": workflow_id, "status": "COMPLETED"}}


@pytest.mark.thorough
async def test_a_task_that_is_resumed_later_makes_no_second_event(
    api: Api, database: Database, soon: float
) -> None:
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    workflow_id = api.run()
    task = database.waiting(workflow_id, deferred_seconds=0.0)
    await api.tell(workflow_id)
    assert len(database.events(uri)) == 1
    await until(lambda: task.row.state == "scheduled")
    assert len(database.events(uri)) == 1


@pytest.mark.thorough
async def test_a_task_that_is_to_be_resumed_later_costs_nothing_when_the_app_ends_before(
    api: Api, database: Database, soon: float, caplog: pytest.LogCaptureFixture
) -> None:
    workflow_id = api.run()
    task = database.waiting(workflow_id, deferred_seconds=0.0)
    await api.tell(workflow_id)
    await api.handler.close()
    await asyncio.sleep(soon + 0.2)
    assert task.row.state == "deferred"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def other_airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Airflow whose internals are not as expected."""
    monkeypatch.setattr(airflow_trigger, "handle_event_submit", lambda event, task: None)
    deferral.RESUME.forget()
    yield
    deferral.RESUME.forget()


async def test_where_airflow_is_not_as_expected_nothing_is_resumed_and_that_is_said_once(
    other_airflow: None, api: Api, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    tasks = []
    for _ in range(3):
        workflow_id = api.run()
        tasks.append(database.waiting(workflow_id))
        assert await api.tell(workflow_id) == 204
    assert [task.row.state for task in tasks] == ["deferred"] * 3
    assert len(database.events(uri)) == 3
    assert len([record for record in caplog.records if "cannot resume tasks" in record.message]) == 1
