"""The response to a signed delivery: success only once what follows from it is written, and in time."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from airflow_provider_workflows.lineage.assets import completed_uri
from airflow_provider_workflows.webhooks import app, handler, public_keys, registry, run_polls
from tests.unit.webhooks.conftest import CONN_ID, KEY_PATH, STATUS_PATH, Api, Database, until

pytestmark = pytest.mark.sampled(3)

#: Seconds by which the response is late: who waits for it does not come to an end in time.
LONGER_THAN_A_TEST = 1000.0


@pytest.fixture
def uri(api: Api, database: Database) -> str:
    """An asset that some DAG names, of all completions of the sandbox."""
    uri = completed_uri(api.sandbox.url)
    database.asset(uri)
    return uri


class Commits:
    """Lets commits fail, or wait, on demand."""

    def __init__(self) -> None:
        self.failing = False
        self.seconds = 0.0
        self.begun = self.number = 0

    def __call__(self, session: Session) -> None:
        self.begun += 1
        time.sleep(self.seconds)
        if self.failing:
            raise OperationalError("COMMIT", None, Exception("database is locked"))
        self.number += 1


@pytest.fixture
def commits() -> Iterator[Commits]:
    commits = Commits()
    event.listen(Session, "before_commit", commits)
    yield commits
    event.remove(Session, "before_commit", commits)


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED"])
async def test_a_workflow_that_has_ended_is_written(
    api: Api, database: Database, uri: str, status: str
) -> None:
    workflow_id = api.run(status=status)
    assert await api.tell(workflow_id) == 204
    assert [extra["status"] for _, extra in database.events()] == [status]
    assert api.counts == {"taken": 1}


@pytest.mark.parametrize(
    ("definition", "counted"),
    [
        ({"seconds": 60.0}, "not ended"),
        ({"status": "SOMETHING_NEW"}, "not ended"),
        (None, "unknown workflow"),
    ],
    ids=["running", "of a status that means nothing", "unknown"],
)
async def test_a_workflow_that_has_not_ended_or_is_unknown_changes_nothing(
    api: Api, database: Database, uri: str, definition: dict[str, Any] | None, counted: str
) -> None:
    workflow_id = str(uuid.uuid4()) if definition is None else api.run(**definition)
    database.waiting(workflow_id)
    before = database.rows()
    assert await api.tell(workflow_id, status="COMPLETED") == 204
    assert api.counts == {counted: 1}
    assert database.rows() == before


async def test_what_the_webhook_says_of_the_status_does_not_count(
    api: Api, database: Database, uri: str
) -> None:
    assert await api.tell(api.run(status="FAILED"), status="COMPLETED", caseId=str(uuid.uuid4())) == 204
    ((_, extra),) = database.events()
    assert extra["status"] == "FAILED"


@pytest.mark.thorough
async def test_a_workflow_that_goes_on_is_asked_about_anew_and_taken_when_it_ends(
    api: Api, database: Database, uri: str
) -> None:
    workflow_id = api.run(seconds=0.5)
    assert await api.tell(workflow_id) == 204
    assert database.events() == []
    await asyncio.sleep(0.6)
    assert await api.tell(workflow_id) == 204
    assert len(database.events()) == 1
    assert api.counts == {"not ended": 1, "taken": 1}


@pytest.mark.parametrize(
    "fault",
    [
        {"name": "server_error", "status": 500},
        {"name": "server_error", "status": 502, "form": "empty"},
        {"name": "rate_limited", "retry_after": 3600},
        {"name": "forbidden"},
        {"name": "cut_before"},
        {"name": "cut_during"},
        {"name": "truncated_json"},
        {"name": "html_ok"},
        {"name": "missing_fields"},
        {"name": "redirect"},
    ],
    ids=lambda fault: f"{fault['name']} {fault.get('status', '')}".strip(),
)
async def test_where_the_status_cannot_be_had_the_delivery_comes_again(
    api: Api, database: Database, uri: str, fault: dict[str, Any]
) -> None:
    workflow_id = api.run()
    api.sandbox.fault(**fault, path=STATUS_PATH, times=1)
    assert await api.tell(workflow_id) == 503
    assert database.events() == []
    api.clock.move_on(run_polls.EARLY_WEBHOOK_REPOLL_SECONDS)
    assert await api.tell(workflow_id) == 204
    assert len(database.events()) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("path", [KEY_PATH, STATUS_PATH, "/auth/authorize"])
async def test_a_service_that_is_slow_is_not_waited_for(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    workflow_id = api.run()
    monkeypatch.setattr(public_keys, "FAILED_FETCH_PAUSE_SECONDS", 0.0)
    api.sandbox.fault("latency", seconds=LONGER_THAN_A_TEST, path=path)
    with monkeypatch.context() as soon:
        soon.setattr(handler, "CALL_TIMEOUT_SECONDS", 0.2)
        assert await api.tell(workflow_id) == 503
    api.sandbox.clear_faults()
    api.clock.move_on(run_polls.EARLY_WEBHOOK_REPOLL_SECONDS)
    assert await api.tell(workflow_id) == 204


async def test_an_outage_of_the_service_is_one_line_whatever_the_number_of_deliveries(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    workflow_id = api.run()
    api.sandbox.fault("server_error", status=500, path=STATUS_PATH)
    assert {await api.tell(workflow_id) for _ in range(20)} == {503}
    (record,) = caplog.records
    assert "1 webhook got a 503" in record.getMessage()


async def test_a_connection_that_takes_webhooks_is_not_kept_out_by_ids_that_are_invented(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await api.post(b"{}")).status_code == 204
    api.clock.move_on(registry.CONNECTION_CACHE_SECONDS)
    monkeypatch.setattr(registry, "MAX_QUEUED_LOOKUPS", 0)
    assert (await api.post(b"{}", conn_id="invented")).status_code == 503
    assert (await api.post(b"{}")).status_code == 204


@pytest.mark.thorough
async def test_the_response_comes_in_time_whatever_takes_long(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = api.run()
    monkeypatch.setattr(app, "RESPONSE_TIMEOUT_SECONDS", 0.3)
    api.sandbox.fault("latency", seconds=LONGER_THAN_A_TEST, path=STATUS_PATH)
    assert await api.tell(workflow_id) == 503


@pytest.mark.thorough
async def test_a_workflow_that_goes_on_is_not_polled_again_where_the_response_would_be_late(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = api.run(seconds=60.0)
    monkeypatch.setattr(app, "RESPONSE_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(handler, "CALL_TIMEOUT_SECONDS", 0.8)
    api.sandbox.fault("latency", seconds=0.6, path=STATUS_PATH)
    assert await api.tell(workflow_id) == 204
    assert api.asked[1] == 1


def test_the_longest_wait_is_shorter_than_the_services_own_timeout() -> None:
    assert 2 * handler.CALL_TIMEOUT_SECONDS <= app.RESPONSE_TIMEOUT_SECONDS <= 9
    assert (
        run_polls.EARLY_WEBHOOK_REPOLL_SECONDS + handler.CALL_TIMEOUT_SECONDS < app.RESPONSE_TIMEOUT_SECONDS
    )


async def test_a_service_that_is_away_makes_deliveries_come_again(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    workflow_id = api.run()
    assert await api.tell(str(uuid.uuid4())) == 204
    await asyncio.to_thread(api.sandbox.stop)
    assert await api.tell(workflow_id) == 503
    assert "will repeat such deliveries" in caplog.text
    assert "Traceback" not in caplog.text
    await asyncio.to_thread(api.sandbox.start)
    api.clock.move_on(run_polls.EARLY_WEBHOOK_REPOLL_SECONDS)
    assert await api.tell(workflow_id) == 204


async def test_what_could_not_be_committed_is_not_responded_to_with_success(
    api: Api, database: Database, uri: str, commits: Commits
) -> None:
    workflow_id = api.run()
    task = database.waiting(workflow_id)
    commits.failing = True
    assert await api.tell(workflow_id) == 503
    commits.failing = False
    assert (database.events(), task.row.state) == ([], "deferred")
    assert await api.tell(workflow_id) == 204
    assert (len(database.events()), task.row.state) == (1, "scheduled")


async def test_all_who_wait_for_a_commit_that_fails_are_told(
    api: Api, database: Database, uri: str, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    workflow_ids = [api.run() for _ in range(5)]
    commits.failing = True
    assert await asyncio.gather(*(api.tell(each) for each in workflow_ids)) == [503] * 5
    commits.failing = False
    assert await asyncio.gather(*(api.tell(each) for each in workflow_ids)) == [204] * 5
    assert {key for key, _ in database.events()} == set(workflow_ids)


async def test_an_outage_of_the_database_is_one_line_of_each_kind_with_its_cause(
    api: Api, uri: str, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    commits.failing = True
    assert {await api.tell(api.run()) for _ in range(5)} == {503}
    not_written, come_again = caplog.records
    assert "could not be written to Airflow's database" in not_written.getMessage()
    assert "database is locked" in caplog.text
    assert "will repeat such deliveries" in come_again.getMessage()


async def test_an_error_of_the_database_is_logged_without_what_was_to_be_written(
    api: Api, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"status": "Kowalska"}

    def fail(_: Session) -> None:
        raise OperationalError("INSERT INTO x", values, Exception("database is locked"))

    event.listen(Session, "before_commit", fail)
    try:
        assert await api.tell(api.run()) == 503
    finally:
        event.remove(Session, "before_commit", fail)
    assert "database is locked" in caplog.text
    assert "INSERT INTO x" in caplog.text
    assert "Kowalska" not in caplog.text


@pytest.mark.thorough
async def test_success_is_responded_to_after_the_commit(api: Api, uri: str, commits: Commits) -> None:
    workflow_id = api.run()
    commits.seconds = 0.3
    response = asyncio.create_task(api.tell(workflow_id))
    await until(lambda: commits.begun)
    await asyncio.sleep(0.1)
    assert (response.done(), commits.number) == (False, 0)
    assert await response == 204
    assert commits.number == 1


@pytest.mark.thorough
async def test_a_database_that_is_slow_does_not_hold_up_other_deliveries(
    api: Api, uri: str, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = api.run()
    await api.post(b"{}")
    monkeypatch.setattr(app, "RESPONSE_TIMEOUT_SECONDS", 0.5)
    commits.seconds = 0.8
    slow = asyncio.create_task(api.tell(workflow_id))
    await asyncio.sleep(0.2)
    assert (await api.post(b"{}")).status_code == 204
    assert not slow.done()
    assert await slow == 503


@pytest.mark.thorough
async def test_many_deliveries_are_few_transactions(
    api: Api, database: Database, uri: str, commits: Commits
) -> None:
    workflow_ids = [api.run() for _ in range(50)]
    await api.post(b"{}")
    commits.number = 0
    commits.seconds = 0.1
    assert set(await asyncio.gather(*(api.tell(each) for each in workflow_ids))) == {204}
    assert commits.number <= 10
    commits.seconds = 0.0
    assert {key for key, _ in database.events()} == set(workflow_ids)


@pytest.mark.thorough
async def test_more_than_can_be_dealt_with_are_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = api.run(seconds=60.0)
    await api.post(b"{}")
    monkeypatch.setattr(app, "MAX_CONCURRENT_DELIVERIES", 3)
    api.sandbox.fault("latency", seconds=0.1, path=STATUS_PATH)
    responses = await asyncio.gather(*(api.tell(workflow_id) for _ in range(10)))
    assert sorted(responses) == [204] * 3 + [503] * 7
    assert await api.tell(workflow_id) == 204


async def test_a_connection_that_cannot_be_read_for_a_while_is_found_when_the_service_tries_again(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{CONN_ID.upper()}")
    database.connection(CONN_ID, api.sandbox.connection, webhooks=True)

    def fail(_: Any) -> None:
        raise OperationalError("SELECT", None, Exception("database is away"))

    event.listen(Session, "do_orm_execute", fail)
    try:
        assert (await api.post(b"{}")).status_code == 404
    finally:
        event.remove(Session, "do_orm_execute", fail)
    api.clock.move_on(registry.NOT_FOUND_CACHE_SECONDS)
    assert (await api.post(b"{}")).status_code == 204


def test_a_connection_is_read_again_within_the_services_tries() -> None:
    assert registry.NOT_FOUND_CACHE_SECONDS <= 10
