"""What ``docs/how_to/records.md`` says of a DAG that moves from one generation of the API to another."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.run_record import RUN_KEY
from airflow_provider_workflows.sandbox import READY_RECORD, Sandbox
from tests.unit.batch_task import BatchTask, cases
from tests.unit.operators.test_run_modes import OFTEN, drive
from tests.unit.sandbox.conftest import CASE
from tests.unit.tasks import TaskInstance

NUMBER = "02211012345"
SECRET = "a secret of thirty-two characters"
#: What a run is started with, by the generation of its connection.
GIVEN: dict[int, dict[str, Any]] = {
    1: {"case_id": CASE},
    2: {"record_id": READY_RECORD},
    3: {"record_id": READY_RECORD, "parameters": {"limit": 5}, "expires_at": timedelta(days=2)},
}
RUN_PATHS = {1: "/workflows/run", 2: "/workflows/run", 3: "/workflows"}
Connect = Callable[[int], Sandbox]


@pytest.fixture
def connect(connected: Sandbox, monkeypatch: pytest.MonkeyPatch, short_pauses: None) -> Connect:
    """Let the connection be of a generation of the API from now on."""

    def connect(generation: int) -> Sandbox:
        given = connected.connection_of(generation)
        extra = given["extra"] | {"hash_secret": SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(given | {"extra": extra}))
        return connected

    return connect


def run(definition_id: str, context: dict[str, Any], **arguments: Any) -> str:
    given = {"task_id": "run", "workflow_definition_id": definition_id, "deferrable": False, **OFTEN}
    workflow_id: str = drive(lambda: RunWorkflowOperator(**given | arguments), context)
    return workflow_id


@pytest.mark.sampled(3)
@pytest.mark.parametrize("generation", GIVEN)
class TestRunTask:
    def test_waits_for_a_run_that_has_succeeded(
        self, connect: Connect, context: dict[str, Any], generation: int
    ) -> None:
        sandbox = connect(generation)

        workflow_id = run(
            sandbox.define(seconds=0.05), context, wait_for_completion=True, **GIVEN[generation]
        )

        assert [(one.id, one.generation) for one in sandbox.workflows] == [(workflow_id, generation)]
        assert context["ti"].xcoms["workflow_report"]["outcome"] == "succeeded"

    def test_whose_response_was_lost_submits_no_second_run_in_its_retry(
        self, connect: Connect, context: dict[str, Any], generation: int
    ) -> None:
        sandbox = connect(generation)
        definition_id = sandbox.define(seconds=0.0)
        sandbox.fault("cut_after", path=RUN_PATHS[generation], times=1)

        for _ in range(2):
            with pytest.raises(AirflowFailException):
                run(definition_id, context, **GIVEN[generation])

        assert sandbox.counts.runs == 1

    def test_of_a_service_that_is_away_for_a_while_submits_one_run(
        self, connect: Connect, context: dict[str, Any], generation: int
    ) -> None:
        sandbox = connect(generation)
        sandbox.fault("server_error", status=503, times=2)

        run(sandbox.define(seconds=0.0), context, **GIVEN[generation])

        assert sandbox.counts.runs == 1
        assert sandbox.counts.requests[f"POST {RUN_PATHS[generation]}"] == 3

    def test_that_was_refused_submits_one_run_in_its_retry(
        self, connect: Connect, context: dict[str, Any], generation: int
    ) -> None:
        sandbox = connect(generation)
        definition_id = sandbox.define(seconds=0.0)
        sandbox.fault("forbidden", path=RUN_PATHS[generation], times=1)
        with pytest.raises(errors.PermissionDenied):
            run(definition_id, context, **GIVEN[generation])

        run(definition_id, context, **GIVEN[generation])

        assert sandbox.counts.runs == 1

    def test_whose_run_has_failed_submits_another_when_it_is_cleared(
        self, connect: Connect, context: dict[str, Any], generation: int
    ) -> None:
        sandbox = connect(generation)
        definition_id = sandbox.define(seconds=0.0, status="EXPIRED")
        arguments = {"wait_for_completion": True, **GIVEN[generation]}
        with pytest.raises(errors.WorkflowFailed, match="has expired"):
            run(definition_id, context, **arguments)
        sandbox.define(definition_id, seconds=0.0)
        context["ti"].clear()

        run(definition_id, context, **arguments)

        assert [one.definition.status for one in sandbox.workflows] == ["EXPIRED", "COMPLETED"]

    def test_of_which_only_ids_and_a_digest_are_kept(
        self, connect: Connect, context: dict[str, Any], generation: int
    ) -> None:
        run(connect(generation).define(seconds=0.0), context, **GIVEN[generation])

        kept = context["task_state_store"].get(RUN_KEY)
        assert (kept.get("case_id"), kept.get("record_id")) == (
            GIVEN[generation].get("case_id"),
            GIVEN[generation].get("record_id"),
        )
        assert "limit" not in json.dumps(kept)


def test_a_task_that_has_moved_submits_another_run_when_it_is_cleared(
    connect: Connect, context: dict[str, Any]
) -> None:
    sandbox = connect(1)
    definition_id = sandbox.define(seconds=0.0)
    run(definition_id, context, **GIVEN[1])
    context["ti"].clear()
    connect(3)

    run(definition_id, context, **GIVEN[3])

    assert [one.generation for one in sandbox.workflows] == [1, 3]


@pytest.mark.parametrize(
    "operator",
    [
        CreateCaseOperator(task_id="case", first_name="Ada"),
        CreateParametersOperator(task_id="parameters", workflow_definition_id=CASE, parameters={}),
        RunWorkflowOperator(task_id="run", workflow_definition_id=CASE, case_id=CASE),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_a_task_that_has_not_moved_sends_nothing_on_generation_3(
    connect: Connect, context: dict[str, Any], operator: Any
) -> None:
    sandbox = connect(3)

    with pytest.raises(errors.InvalidInput, match=r"needs api_generation 1 or 2; the connection has 3"):
        operator.execute(context)

    assert sandbox.counts.total_requests == 0


@pytest.mark.parametrize(
    ("generation", "found", "number"),
    [
        (1, {}, NUMBER),
        (2, {}, None),
        (3, {}, None),
        (3, {"persons": [{"personalNumber": "85010112345"}]}, "85010112345"),
    ],
)
def test_a_hash_is_of_the_number_that_the_result_has(
    connect: Connect, context: dict[str, Any], generation: int, found: dict[str, Any], number: str | None
) -> None:
    sandbox = connect(generation)
    definition_id = sandbox.define(seconds=0.0, result=found)
    with sandbox.client() as client:
        case_id = client.create_case(personal_number=NUMBER).case_id
    given = {"case_id": case_id} if generation == 1 else GIVEN[generation]
    workflow_id = run(definition_id, context, **given)

    result = GetWorkflowResultOperator(
        task_id="result", workflow_id=workflow_id, hash_personal_numbers=True
    ).execute({**context, "ti": TaskInstance()})

    expected = None if number is None else personal_number_hash(number, SECRET)
    assert result["personal_number_hash"] == expected
    assert ("partyDetails" in result) == (generation == 1)


@pytest.mark.thorough
def test_a_batch_whose_connection_becomes_one_of_generation_2_submits_nothing_twice(
    batch: BatchTask, connect: Connect
) -> None:
    sandbox = connect(1)
    rows = [
        {**row, "key": str(number), "personal_number": f"850101{number:05}"}
        for number, row in enumerate(cases(4))
    ]
    sandbox.define(batch.definition_id, seconds=0.0, status="FAILED")
    with pytest.raises(errors.BatchFailed):
        batch.run(rows, hash_personal_numbers=True)
    sandbox.define(batch.definition_id, seconds=0.0)
    batch.clear()
    batch.run(rows, hash_personal_numbers=True)
    before = batch.output
    connect(2)
    batch.clear()

    batch.run([*rows[:3], {**rows[3], "last_name": "Corrected"}], hash_personal_numbers=True)

    assert batch.outcomes == ["succeeded"] * 4
    assert [row["workflow_id"] for row in batch.output[:3]] == [row["workflow_id"] for row in before[:3]]
    assert [one.generation for one in sandbox.workflows] == [1] * 8 + [2]
    hashes = [row["personal_number_hash"] for row in batch.output]
    assert hashes == [row["personal_number_hash"] for row in before]
    assert all(hashes)
