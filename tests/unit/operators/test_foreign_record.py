"""A run about a record whose polls name another one is not believed, in whichever generation it was started."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_workflows.api import errors, expiry
from airflow_provider_workflows.hooks import workflows
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, TABLE, Sandbox
from tests.harness.hostile_server import ReceivedRequest, relay
from tests.unit.batch_task import BatchTask
from tests.unit.operators.test_run_modes import OFTEN, drive

OTHER = "22222222-2222-4222-8222-222222222222"
Relayed = Callable[..., list[str]]


@pytest.fixture
def relayed(connected: Sandbox, short_pauses: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relayed]:
    """Have responses about runs name a record; the connection leads to what changes them.

    Returns the methods whose responses are changed, to add to.
    """
    with ExitStack() as stack:

        def make(generation: int, method: str, named: object = OTHER, path: str = "/workflows") -> list[str]:
            methods = [method]

            def change(request: ReceivedRequest, value: Any) -> Any:
                is_changed = request.method.startswith(tuple(methods)) and path in request.path
                return value | {"recordId": named} if is_changed else value

            server = stack.enter_context(relay(connected.url, change))
            connection = connected.connection_of(generation) | {"host": server.host, "port": None}
            for name in connected.environment:
                monkeypatch.setenv(name, json.dumps(connection))
            workflows._tokens.cache_clear()
            workflows._shared_client.cache_clear()
            return methods

        yield make


def run_task(connected: Sandbox, context: Any, generation: int, **arguments: Any) -> str:
    with connected.client(api_generation=generation) as client:
        record_id = client.create_record(TABLE, {"firstName": "Jana"}).id
    given = {
        "task_id": "run",
        "workflow_definition_id": connected.define(DEFINITION, seconds=0.0),
        "record_id": record_id,
        "wait_for_completion": True,
        "deferrable": False,
        "max_outage": 0.1,
        **OFTEN,
        **arguments,
    }
    workflow_id: str = drive(lambda: RunWorkflowOperator(**given), context)
    return workflow_id


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("deferrable", [False, True])
def test_polls_that_name_another_record_are_not_believed(
    relayed: Relayed, connected: Sandbox, context: Any, generation: int, deferrable: bool
) -> None:
    relayed(generation, "GET")

    with pytest.raises(errors.UnexpectedResponse, match=f"recordId {OTHER} where"):
        run_task(connected, context, generation, deferrable=deferrable)

    assert len(connected.workflows) == 1


def test_a_retry_compares_the_record_of_the_earlier_run(
    relayed: Relayed, connected: Sandbox, context: Any
) -> None:
    relayed(2, "GET")
    with connected.client(api_generation=2) as client:
        record_id = client.create_record(TABLE, {"firstName": "Jana"}).id
    for _ in range(2):
        with pytest.raises(errors.UnexpectedResponse, match=OTHER):
            run_task(
                connected, context, 2, record_id=record_id, wait_for_completion=context["ti"].try_number == 1
            )
        context["ti"].clear()

    assert len(connected.workflows) == 1


@pytest.mark.parametrize("named", [None, 17])
def test_a_record_id_that_is_missing_or_not_text_is_not_compared(
    relayed: Relayed, connected: Sandbox, context: Any, named: object
) -> None:
    relayed(3, "GET", named)

    assert run_task(connected, context, 3)


def test_a_run_whose_response_names_another_record_is_kept_if_its_polls_name_its_own(
    relayed: Relayed, connected: Sandbox, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    relayed(3, "POST")

    assert run_task(connected, context, 3)

    assert len(connected.workflows) == 1
    assert "The run is kept, and its recordId compared again" in caplog.text


def records(number: int) -> list[dict[str, Any]]:
    return [{"key": f"K{each}", "record.firstName": f"Ada{each}"} for each in range(1, number + 1)]


@pytest.mark.thorough
@pytest.mark.parametrize("generation", [2, 3])
class TestBatch:
    def test_results_of_another_record_are_not_written(
        self, relayed: Relayed, batch: BatchTask, generation: int
    ) -> None:
        relayed(generation, "GET", path="/result")

        with pytest.raises(errors.BatchFailed):
            batch.run(records(2), table_id=TABLE, max_outage=0.3)

        assert batch.outcomes == ["result_missing"] * 2
        assert [row["result"] for row in batch.output] == [None] * 2

    def test_rows_whose_responses_name_another_record_are_kept_if_their_polls_name_their_own(
        self, relayed: Relayed, batch: BatchTask, generation: int
    ) -> None:
        relayed(generation, "POST")

        batch.run(records(2), table_id=TABLE)

        assert batch.outcomes == ["succeeded"] * 2

    def test_rows_whose_polls_name_another_record_too_are_not_believed(
        self, relayed: Relayed, batch: BatchTask, connected: Sandbox, generation: int
    ) -> None:
        relayed(generation, "")

        with pytest.raises(errors.BatchFailed):
            batch.run(records(2), table_id=TABLE, max_outage=0.3)

        assert batch.outcomes == ["running"] * 2
        assert len(connected.workflows) == 2


@pytest.mark.thorough
def test_an_overdue_run_whose_polls_name_another_record_by_now_is_not_believed_to_have_ended(
    relayed: Relayed, batch: BatchTask, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        with pytest.raises(errors.BatchFailed):
            batch.run(records(2), table_id=TABLE, expires_at=timedelta(days=1), max_outage=0.3)

    # A run is overdue two days before its expiry.
    monkeypatch.setattr(expiry, "EXPIRY_GRACE_SECONDS", -2 * 86400.0)
    connected.define(batch.definition_id, seconds=600.0)
    methods = relayed(3, "POST")
    run()
    connected.expire_runs()
    methods.append("GET")
    batch.clear()

    run()

    assert batch.outcomes == ["running"] * 2
    assert len(connected.workflows) == 2
