"""What is taken from a webhook's body, and the asset events that are made of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.lineage.assets import completed, completed_uri, definition, definition_uri
from airflow_provider_workflows.sandbox.service import READY_CASES
from airflow_provider_workflows.sandbox.tables import TABLE
from airflow_provider_workflows.webhooks import handler, run_polls
from airflow_provider_workflows.webhooks.payload import MAX_CANDIDATE_IDS
from airflow_provider_workflows.webhooks.registry import CONNECTION_CACHE_SECONDS
from tests.unit.webhooks.conftest import CONN_ID, STATUS_CALL, Api, Database, ServiceClock, until

pytestmark = pytest.mark.sampled(3)

WORKFLOW = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"
OTHER = "e58b0d43-96f2-4c7a-8d31-b27f5a09c3e8"
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"

NAMING = {
    "workflowId": {"workflowId": WORKFLOW},
    "id": {"id": WORKFLOW},
    "workflowId one level down": {"data": {"workflowId": WORKFLOW}},
    "id one level down": {"type": "completed", "data": {"id": WORKFLOW}},
    "id beside workflowId": {"id": OTHER, "workflowId": WORKFLOW},
    "id above workflowId": {"id": OTHER, "data": {"workflowId": WORKFLOW}},
    "workflowId at both levels": {"data": {"workflowId": OTHER}, "workflowId": WORKFLOW},
    "workflowId two levels down": {"id": OTHER, "data": {"attributes": {"workflowId": WORKFLOW}}},
    "workflowId null": {"workflowId": None, "id": WORKFLOW},
    "workflowId a number": {"workflowId": 5, "data": {"workflowId": WORKFLOW}},
    "workflowId an object": {"workflowId": {"id": WORKFLOW}},
    "capitals": {"workflowId": WORKFLOW.upper()},
    "blanks": {"workflowId": f" {WORKFLOW}\n"},
    "an array": [{"workflowId": WORKFLOW}],
    "an array with an event's id": [{"id": OTHER, "workflow": {"id": WORKFLOW}}],
    "much else": {"workflowId": WORKFLOW, "list": [{"id": OTHER}], "size": 10**400, "name": "\ud800"},
}
NAMING_BYTES = {name: json.dumps(body).encode() for name, body in NAMING.items()} | {
    "name twice": f'{{"workflowId": "{OTHER}", "workflowId": "{WORKFLOW}"}}'.encode(),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps({"id": WORKFLOW}).encode(),
    "UTF-16": json.dumps({"id": WORKFLOW}).encode("utf-16"),
    "not a number": f'{{"id": "{WORKFLOW}", "score": NaN}}'.encode(),
}
NAMING_NONE = {
    "nothing": b"",
    "no JSON": f"workflowId={WORKFLOW}".encode(),
    "not UTF-8": b'{"id": "\xff"}',
    "an empty array": b"[]",
    "an array of arrays": json.dumps([[{"workflowId": WORKFLOW}]]).encode(),
    "a text": json.dumps(WORKFLOW).encode(),
    "a number": b"5",
    "null": b"null",
    "an empty object": b"{}",
    "two objects": b"{}{}",
    "three levels down": json.dumps({"a": {"b": {"c": {"workflowId": WORKFLOW}}}}).encode(),
    "in a list": json.dumps({"data": [{"workflowId": WORKFLOW}]}).encode(),
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "deep list in an object": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a number of many digits": b'{"id": ' + b"9" * 100_000 + b"}",
    "a number beyond all": b'{"id": 1e999999}',
    "many names": json.dumps({f"name{n}": {} for n in range(10_000)}).encode(),
} | {
    f"id {value!r}": json.dumps({"workflowId": value}).encode()
    for value in (
        True,
        "",
        "None",
        "x",
        "{{ x }}",
        [WORKFLOW],
        f"{WORKFLOW}/result",
        f"{WORKFLOW}?x=1",
        "../cases",
    )
}


def asked_about(api: Api) -> list[str]:
    return [seen.path for seen in api.sandbox.requests_seen if seen.path.startswith("/workflows/")]


@pytest.mark.thorough
@pytest.mark.parametrize("body", NAMING_BYTES.values(), ids=list(NAMING_BYTES))
async def test_the_workflow_that_a_body_names_is_asked_about(api: Api, body: bytes) -> None:
    assert (await api.post(body)).status_code == 204
    assert asked_about(api)[0] == f"/workflows/{WORKFLOW}"


@pytest.mark.parametrize("body", NAMING_NONE.values(), ids=list(NAMING_NONE))
async def test_a_body_that_names_no_workflow_is_taken_and_nothing_follows(
    api: Api, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    assert (await api.post(body)).status_code == 204
    assert asked_about(api) == []
    assert api.counts == {"without a workflow": 1}
    (record,) = caplog.records
    assert "named no workflow, so nothing followed from that" in record.getMessage()
    assert WORKFLOW not in record.getMessage()


#: What stands beside the workflow's id, and the number of ids that the service is asked about.
BESIDE = {
    "an event's id": ({"id": OTHER, "workflow": {"id": WORKFLOW}}, 1),
    "an event's id, deeper": ({"id": OTHER, "data": {"workflow": {"id": WORKFLOW}}}, 1),
    "a case's id": ({"case": {"id": OTHER}, "workflow": {"id": WORKFLOW}}, 1),
    "an event's id, under another name": ({"id": OTHER, "data": {"id": WORKFLOW}}, 2),
    "a case's id, under another name": ({"case": {"id": OTHER}, "run": {"id": WORKFLOW}}, 2),
    "an event's id, and workflowId": ({"id": OTHER, "data": {"workflowId": WORKFLOW}}, 1),
    "a workflowId of something else": ({"workflowId": OTHER, "workflow": {"id": WORKFLOW}}, 2),
    "two workflowIds": ({"workflowId": OTHER, "data": {"workflowId": WORKFLOW}}, 2),
}


@pytest.mark.parametrize(("body", "asked"), BESIDE.values(), ids=list(BESIDE))
async def test_the_workflow_is_found_among_other_ids(
    api: Api, database: Database, uri: str, body: dict[str, Any], asked: int
) -> None:
    workflow_id = api.run()
    text = json.dumps(body).replace(WORKFLOW, workflow_id)
    assert [(await api.post(text.encode())).status_code for _ in range(2)] == [204, 204]
    assert [key for key, _ in database.events(uri)] == [workflow_id]
    assert api.asked[1] == asked


@pytest.mark.parametrize(
    "body",
    [
        {"id": WORKFLOW, "parent": {"id": OTHER}},
        {"workflow": {"id": WORKFLOW}, "id": OTHER},
        {"workflowId": WORKFLOW, "previous": {"workflowId": OTHER}},
    ],
    ids=["id", "workflow", "workflowId"],
)
async def test_a_workflow_is_not_missed_for_one_that_has_ended_before_and_is_named_beside_it(
    api: Api, database: Database, uri: str, body: dict[str, Any]
) -> None:
    before, workflow_id = api.run(), api.run()
    await api.tell(before)
    text = json.dumps(body).replace(WORKFLOW, workflow_id).replace(OTHER, before)
    assert [(await api.post(text.encode())).status_code for _ in range(2)] == [204, 204]
    assert [key for key, _ in database.events(uri)] == [before, workflow_id]
    assert api.asked[1] == 2


async def test_a_workflow_that_was_not_known_yet_is_taken_when_its_end_is_delivered(
    api: Api, database: Database, uri: str
) -> None:
    before, workflow_id = api.run(), api.run()
    await api.tell(before)
    body = {"id": workflow_id, "parent": {"id": before}, "status": "RUNNING"}
    workflows = api.sandbox._service.workflows
    not_yet = workflows.pop(workflow_id)
    assert (await api.post(json.dumps(body).encode())).status_code == 204
    workflows[workflow_id] = not_yet
    assert [key for key, _ in database.events(uri)] == [before]
    assert (await api.post(json.dumps(body | {"status": "COMPLETED"}).encode())).status_code == 204
    assert [key for key, _ in database.events(uri)] == [before, workflow_id]


async def test_a_delivery_of_no_known_workflow_is_asked_about_a_few_times_and_logged_with_an_id_alone(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MAX_CONCURRENT_REPOLLS", 0)
    body = {f"part {number}": {"id": str(uuid.uuid4()), "name": "Kowalska"} for number in range(20)}
    with caplog.at_level("WARNING"):
        for _ in range(3):
            assert (await api.post(json.dumps(body).encode())).status_code == 204
            api.clock.move_on(run_polls.EARLY_WEBHOOK_REPOLL_SECONDS)
    assert api.asked[1] == 3 * MAX_CANDIDATE_IDS
    (record,) = caplog.records
    assert body["part 0"]["id"] in record.getMessage()
    assert "Kowalska" not in caplog.text


async def test_a_workflow_whose_end_the_service_tells_early_is_polled_once_more(
    api: Api, database: Database, uri: str, service_clock: ServiceClock
) -> None:
    api.pauses.end.clear()
    workflow_id = api.run(seconds=60.0)
    telling = asyncio.create_task(api.tell(workflow_id))
    await until(lambda: api.pauses.number)
    service_clock.move_on(60.0)
    api.pauses.end.set()
    assert await telling == 204
    assert [key for key, _ in database.events(uri)] == [workflow_id]
    assert api.asked[1] == 2


@pytest.mark.thorough
async def test_few_are_polled_again_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.pauses.end.clear()
    monkeypatch.setattr(handler, "MAX_CONCURRENT_REPOLLS", 5)
    running = [api.run(seconds=60.0) for _ in range(30)]
    telling = [asyncio.create_task(api.tell(each)) for each in running]
    await until(lambda: sum(each.done() for each in telling) == 25)
    api.pauses.end.set()
    assert set(await asyncio.gather(*telling)) == {204}
    assert api.asked[1] == 30 + 5
    assert not api.handler._repolled


async def test_copies_of_an_early_delivery_are_polled_once_more_together(api: Api) -> None:
    api.pauses.end.clear()
    workflow_id = api.run(seconds=60.0)
    telling = [asyncio.create_task(api.tell(workflow_id)) for _ in range(5)]
    await until(lambda: sum(each.done() for each in telling) == 4)
    api.pauses.end.set()
    assert set(await asyncio.gather(*telling)) == {204}
    assert api.asked[1] == 1 + 1


@pytest.mark.parametrize("status", ["RUNNING", "AWAITING"])
async def test_an_update_of_a_workflow_that_goes_on_costs_one_poll(api: Api, status: str) -> None:
    assert await api.tell(api.run(seconds=60.0), status=status) == 204
    assert api.asked[1] == 1


@pytest.mark.parametrize(
    "fields",
    [{}, {"status": "COMPLETED"}, {"status": "completed"}, {"status": "OPEN", "case": {"status": "FAILED"}}],
    ids=str,
)
async def test_a_delivery_that_may_tell_of_an_end_costs_two_polls(api: Api, fields: dict[str, Any]) -> None:
    assert await api.tell(api.run(seconds=60.0), **fields) == 204
    assert api.asked[1] == 2


@pytest.fixture
def uri(api: Api, database: Database) -> str:
    """An asset that some DAG names, of all completions of the sandbox."""
    uri = completed(api.sandbox.url).uri
    database.asset(uri)
    return uri


async def test_a_completion_is_an_event_with_ids_and_status_only(
    api: Api, database: Database, uri: str
) -> None:
    workflow_id = api.run()
    assert await api.tell(workflow_id, name="Kowalska", caseId=OTHER, result={"x": 1}) == 204
    extra = {"workflow_id": workflow_id, "case_id": next(iter(READY_CASES)), "status": "COMPLETED"}
    assert database.events(uri) == [(workflow_id, extra)]


async def test_a_completion_is_an_event_of_its_definition_where_the_webhook_names_it(
    api: Api, database: Database, uri: str
) -> None:
    of_definition = definition(DEFINITION.upper(), api.sandbox.url).uri
    database.asset(of_definition)
    first, second, third = api.run(), api.run(), api.run()
    await api.tell(first, workflowDefinitionId=DEFINITION)
    await api.tell(second)
    await api.tell(third, workflowDefinitionId="Kowalska")
    assert [key for key, _ in database.events(uri)] == [first, second, third]
    assert [key for key, _ in database.events(of_definition)] == [first]


async def test_only_assets_that_some_dag_names_get_events(api: Api, database: Database) -> None:
    database.asset(completed_uri(api.sandbox.url), active=False)
    database.asset(completed_uri("https://elsewhere.invalid"))
    database.asset(definition_uri(api.sandbox.url, OTHER))
    before = database.rows()
    assert await api.tell(api.run(), workflowDefinitionId=DEFINITION) == 204
    assert database.rows() == before


async def test_a_delivery_that_comes_five_times_is_one_event_and_one_question(
    api: Api, database: Database, uri: str
) -> None:
    workflow_id = api.run()
    assert [await api.tell(workflow_id) for _ in range(5)] == [204] * 5
    assert len(database.events(uri)) == 1
    assert api.asked == (1, 1)
    assert api.counts == {"taken": 1, "repeated": 4}


async def test_a_delivery_that_comes_five_times_at_once_is_one_event_and_five_questions_at_most(
    api: Api, database: Database, uri: str
) -> None:
    workflow_id = api.run()
    assert await asyncio.gather(*(api.tell(workflow_id) for _ in range(5))) == [204] * 5
    assert len(database.events(uri)) == 1
    assert api.asked[0] == 1
    assert api.asked[1] <= 5


async def test_a_delivery_that_comes_again_to_another_process_is_one_event(
    api: Api, database: Database, uri: str
) -> None:
    workflow_id = api.run()
    await api.tell(workflow_id)
    other_process = api.registry.handlers.pop(CONN_ID)
    api.clock.move_on(CONNECTION_CACHE_SECONDS)
    await api.tell(workflow_id)
    await other_process.close()
    assert len(database.events(uri)) == 1
    assert api.sandbox.counts.requests[STATUS_CALL] == 2


@pytest.mark.thorough
async def test_deliveries_in_any_order_are_an_event_each(api: Api, database: Database, uri: str) -> None:
    workflow_ids = [api.run() for _ in range(20)]
    deliveries = [*workflow_ids, *reversed(workflow_ids)]
    assert set(await asyncio.gather(*(api.tell(each) for each in deliveries))) == {204}
    assert sorted(str(key) for key, _ in database.events(uri)) == sorted(workflow_ids)


async def test_few_workflows_that_have_ended_are_remembered(
    api: Api, database: Database, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MAX_CACHED_COMPLETIONS", 3)
    for _ in range(6):
        await api.tell(api.run())
    assert len(api.handler._ended) == 3


async def test_an_event_that_is_there_from_elsewhere_does_not_hide_a_completion(
    api: Api, database: Database, uri: str
) -> None:
    other = definition(DEFINITION, api.sandbox.url).uri
    workflow_id = api.run()
    await api.tell(workflow_id)
    database.asset(other)
    api.handler._ended.clear()
    await api.tell(workflow_id, workflowDefinitionId=DEFINITION)
    assert [len(database.events(each)) for each in (uri, other)] == [1, 1]
    assert uuid.UUID(str(database.events(other)[0][0])) == uuid.UUID(workflow_id)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("of_connection", [1, 2, 3])
@pytest.mark.parametrize(
    ("of_run", "given"),
    [(1, {"case_id": next(iter(READY_CASES))}), (2, {}), (3, {"parameters": {"limit": 5}})],
)
async def test_a_run_of_any_generation_is_understood_and_one_without_a_case_has_none_in_its_event(
    api: Api,
    database: Database,
    connect: Callable[..., None],
    of_connection: int,
    of_run: int,
    given: dict[str, Any],
) -> None:
    connect(webhooks=True, api_generation=of_connection)
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    with api.sandbox.client(api_generation=of_run) as client:
        workflow_id = client.run_workflow(api.sandbox.define(seconds=0.0), **given).id

    assert await api.tell(workflow_id) == 204

    ((_, extra),) = database.events(uri)
    assert (extra["workflow_id"], extra["status"]) == (workflow_id, "COMPLETED")
    assert extra.get("case_id") == given.get("case_id")


@pytest.mark.parametrize("generation", [2, 3])
async def test_an_event_has_the_record_and_the_versions_of_a_run_as_far_as_the_service_says_them(
    api: Api, database: Database, connect: Callable[..., None], generation: int
) -> None:
    connect(webhooks=True, api_generation=generation)
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    with api.sandbox.client(api_generation=generation) as client:
        record_id = client.create_record(TABLE, {"firstName": "Jana"}).id
        definition_id = api.sandbox.define(seconds=0.0, revision=7)
        workflow_id = client.run_workflow(definition_id, record_id=record_id).id

    await api.tell(workflow_id)

    ((_, extra),) = database.events(uri)
    said = {2: {"record_id": record_id}, 3: {"revision": 7, "execution_version": 1}}[generation]
    assert extra == {"workflow_id": workflow_id, "case_id": None, "status": "COMPLETED", **said}
