"""The personal number of a result without ``partyDetails``: that of the run's case, record or parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.pseudonyms import personal_number_hash
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.table_record import CreateRecordOperator
from airflow_provider_workflows.sandbox import DEFINITION, TABLE, Sandbox

SECRET = "a secret of thirty-two characters"
NUMBER = "02211012345"
#: Of another person, in a result.
OF_ANOTHER = {"owners": [{"personalNumber": "44051401359"}]}
OTHER = "22222222-2222-4222-8222-222222222222"
Connect = Callable[..., Sandbox]


@pytest.fixture
def connect(connected: Sandbox, short_pauses: None, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return a sandbox that the connection leads to, with an ``api_generation`` and a secret of hashes."""
    connected.define(DEFINITION, seconds=0.0, result=OF_ANOTHER)

    def connect(generation: int, **fields: Any) -> Sandbox:
        connection = connected.connection_of(generation) | fields
        extra = {**connection["extra"], "hash_secret": SECRET}
        for name in connected.environment:
            monkeypatch.setenv(name, json.dumps({**connection, "extra": extra}))
        return connected

    return connect


def result_of(workflow_id: str, context: Any, **arguments: Any) -> tuple[dict[str, Any], Any]:
    operator = GetWorkflowResultOperator(
        task_id="result", workflow_id=workflow_id, hash_personal_numbers=True, **arguments
    )
    return operator.execute(context), operator  # type: ignore[return-value]


@pytest.mark.parametrize("generation", [2, 3])
def test_is_that_of_the_record(connect: Connect, context: Any, generation: int) -> None:
    sandbox = connect(generation)
    with sandbox.client(api_generation=generation) as client:
        record_id = client.create_record(TABLE, {"personalNumber": NUMBER}).id
        workflow_id = client.run_workflow(DEFINITION, record_id=record_id).id

    returned, operator = result_of(workflow_id, context, record_id=record_id, table_id=TABLE)

    assert returned["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)
    assert operator.lineage.record_id == record_id


def test_the_record_that_the_service_names_is_read_where_its_table_is_known(
    connect: Connect, context: Any
) -> None:
    sandbox = connect(2)
    with sandbox.client(api_generation=2) as client:
        record_id = client.create_record(TABLE, {"personalNumber": NUMBER}).id
        workflow_id = client.run_workflow(DEFINITION, record_id=record_id).id

    returned, _ = result_of(workflow_id, context, table_id=TABLE)

    assert returned["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)


def test_is_that_of_the_case_in_generation_2(connect: Connect, context: Any) -> None:
    sandbox = connect(2)
    with sandbox.client(api_generation=2) as client:
        case_id = client.create_case(personal_number=NUMBER).case_id
        workflow_id = client.run_workflow(DEFINITION, case_id).id

    returned, _ = result_of(workflow_id, context)

    assert "partyDetails" not in returned
    assert returned["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)


def test_is_that_of_the_parameters_where_the_record_has_none(connect: Connect, context: Any) -> None:
    sandbox = connect(3)
    with sandbox.client(api_generation=3) as client:
        record_id = client.create_record(TABLE, {"firstName": "Jana"}).id
        parameters = {"personalNumber": NUMBER}
        workflow_id = client.run_workflow(DEFINITION, record_id=record_id, parameters=parameters).id

    returned, _ = result_of(workflow_id, context, record_id=record_id, table_id=TABLE)

    assert returned["personal_number_hash"] == personal_number_hash(NUMBER, SECRET)


@pytest.mark.parametrize(("subject", "generation"), [("record", 3), ("case", 2), ("parameters", 3)])
def test_is_masked_in_logs_wherever_it_is_from(
    connect: Connect, context: Any, subject: str, generation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = connect(generation)
    with sandbox.client(api_generation=generation) as client:
        given: dict[str, Any] = {"parameters": {"personalNumber": NUMBER}}
        if subject == "record":
            given = {"record_id": client.create_record(TABLE, {"personalNumber": NUMBER}).id}
        elif subject == "case":
            given = {"case_id": client.create_case(personal_number=NUMBER).case_id}
        workflow_id = client.run_workflow(DEFINITION, **given).id
    of_record = {"record_id": given["record_id"], "table_id": TABLE} if subject == "record" else {}
    masked: list[str] = []
    monkeypatch.setattr("airflow_provider_workflows.operators.redaction.mask", masked.extend)

    result_of(workflow_id, context, **of_record)

    assert NUMBER in masked


@pytest.mark.parametrize("missing", ["scope", "table"])
def test_a_record_that_cannot_be_read_fails_nothing(
    connect: Connect, context: Any, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = connect(3)
    sandbox.define(DEFINITION, seconds=0.0, result={})
    with sandbox.client(api_generation=3) as client:
        record_id = client.create_record(TABLE, {"personalNumber": NUMBER}).id
        workflow_id = client.run_workflow(DEFINITION, record_id=record_id).id
    if missing == "scope":
        connect(3, login=None, password=sandbox.issue_organization_token("can_view_workspace"))

    table_id = OTHER if missing == "table" else TABLE
    returned, _ = result_of(workflow_id, context, record_id=record_id, table_id=table_id)

    assert returned["personal_number_hash"] is None
    assert f"The record of workflow {workflow_id} cannot be read" in capsys.readouterr().out


def test_a_record_that_cannot_be_read_now_is_left_to_a_retry(connect: Connect, context: Any) -> None:
    sandbox = connect(3)
    with sandbox.client(api_generation=3) as client:
        record_id = client.create_record(TABLE, {"personalNumber": NUMBER}).id
        workflow_id = client.run_workflow(DEFINITION, record_id=record_id).id
    sandbox.fault("server_error", status=503, path="/tables/{tableId}/records/{recordId}")

    with pytest.raises(errors.ServiceUnavailable):
        result_of(workflow_id, context, record_id=record_id, table_id=TABLE)


def test_a_result_of_another_record_is_refused(connect: Connect, context: Any) -> None:
    sandbox = connect(2)
    with sandbox.client(api_generation=2) as client:
        record_id = client.create_record(TABLE, {}).id
        workflow_id = client.run_workflow(DEFINITION, record_id=record_id).id

    with pytest.raises(errors.UnexpectedResponse, match=f"recordId {record_id} where {OTHER}"):
        result_of(workflow_id, context, record_id=OTHER)


def test_the_record_and_its_table_are_those_of_the_tasks_before() -> None:
    with DAG("checks", schedule=None):
        create = CreateRecordOperator(task_id="create", table_id=TABLE, fields={"personalNumber": NUMBER})
        run = RunWorkflowOperator(task_id="run", workflow_definition_id=DEFINITION, record_id=create.output)
        hashed, plain = (
            GetWorkflowResultOperator(task_id=task_id, workflow_id=run.output, hash_personal_numbers=hashes)
            for task_id, hashes in (("hashed", True), ("plain", False))
        )

    assert (hashed.record_id, hashed.table_id) == (create.output, TABLE)
    assert (plain.record_id, plain.table_id) == (None, None)
