"""A response is believed only if it names what was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.api.ids import is_same_id
from airflow_provider_workflows.api.response_json import parse_response
from tests.harness.hostile_server import HostileServer, Pieces, ReceivedRequest, json_response

from .conftest import Driver

Drive = Callable[..., Driver]

WORKFLOW = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
CASE = "33333333-3333-4333-8333-aaaaaaaaaaaa"
RECORD = "44444444-4444-4444-8444-bbbbbbbbbbbb"

#: The generation that has cases and records.
WITH_ALL_READS = 2
#: A call, its own response, and that to a call about something else.
READS: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any]]] = {
    "status": (
        ["read_workflow", WORKFLOW],
        {"id": WORKFLOW, "status": "RUNNING"},
        {"id": OTHER, "status": "COMPLETED"},
    ),
    "status of a case": (
        ["read_workflow", WORKFLOW, CASE],
        {"id": WORKFLOW, "status": "RUNNING", "caseId": CASE},
        {"id": WORKFLOW, "status": "COMPLETED", "caseId": OTHER},
    ),
    "result": (
        ["read_result", WORKFLOW],
        {"workflowId": WORKFLOW, "id": OTHER, "decision": "PASS"},
        {"workflowId": OTHER, "id": OTHER, "decision": "FAIL"},
    ),
    "result of a case": (
        ["read_result", WORKFLOW, CASE],
        {"caseId": CASE, "decision": "PASS"},
        {"caseId": OTHER, "decision": "FAIL"},
    ),
    "status of a run about a record": (
        ["read_workflow", WORKFLOW, None, RECORD],
        {"id": WORKFLOW, "status": "RUNNING", "recordId": RECORD},
        {"id": WORKFLOW, "status": "COMPLETED", "recordId": OTHER},
    ),
    "result about a record": (
        ["read_result", WORKFLOW, None, RECORD],
        {"recordId": RECORD, "decision": "PASS"},
        {"recordId": OTHER, "decision": "FAIL"},
    ),
    "case": (["read_case", CASE], {"caseId": CASE}, {"caseId": OTHER}),
    "record": (["read_record", OTHER, RECORD], {"id": RECORD, "firstName": "Ada"}, {"id": OTHER}),
    "parameters": (
        ["create_parameters", WORKFLOW, {"limit": 1}],
        {"id": OTHER, "workflowDefinitionId": WORKFLOW},
        {"id": OTHER, "workflowDefinitionId": OTHER},
    ),
    "an id that is not a UUID": (
        ["read_workflow", WORKFLOW],
        {"id": WORKFLOW, "status": "RUNNING"},
        {"id": "02211012345", "status": "COMPLETED"},
    ),
}


def settings(server: HostileServer, max_attempts: int = 1, generation: int = 1) -> Settings:
    return Settings(
        host=server.host,
        secret="tot_x",
        max_attempts=max_attempts,
        read_timeout=3.0,
        api_generation=generation,
    )


def in_turn(*bodies: Any) -> HostileServer:
    """Return a server that responds with one body after the other, and then with the last one."""
    left = list(bodies)

    def respond(_: ReceivedRequest) -> Pieces:
        return [json_response(left.pop(0) if len(left) > 1 else left[0])]

    return HostileServer(respond)


@pytest.mark.parametrize("name", READS)
def test_a_response_about_something_else_is_asked_for_again(drive: Drive, name: str) -> None:
    call, own, other = READS[name]
    with in_turn(other, own) as server:
        client = drive(settings(server, max_attempts=2, generation=WITH_ALL_READS))

        assert client(*call).model_dump(by_alias=True, exclude_unset=True) == own

    assert len(server.requests) == 2


@pytest.mark.parametrize("name", READS)
def test_responses_about_something_else_are_not_believed(drive: Drive, name: str) -> None:
    call, _, other = READS[name]
    with in_turn(other) as server:
        client = drive(settings(server, max_attempts=2, generation=WITH_ALL_READS))

        with pytest.raises(errors.UnexpectedResponse, match="about another one") as raised:
            client(*call)

    assert raised.value.is_retryable()
    assert len(server.requests) == 2
    assert "02211012345" not in str(raised.value)
    assert "proxy" not in str(raised.value)


@pytest.mark.parametrize("case_id", [CASE.upper(), f"{{{CASE}}}", CASE.replace("-", ""), f"urn:uuid:{CASE}"])
def test_an_id_in_another_spelling_is_the_same(drive: Drive, case_id: str) -> None:
    with in_turn({"id": WORKFLOW, "status": "RUNNING", "caseId": case_id}) as server:
        client = drive(settings(server))

        assert client("read_workflow", WORKFLOW, CASE).status == "RUNNING"


@pytest.mark.parametrize("case_id", [None, 17, {}, ["x"]])
def test_an_id_that_is_missing_or_not_text_is_not_compared(drive: Drive, case_id: object) -> None:
    with in_turn({"id": WORKFLOW, "status": "RUNNING", "caseId": case_id}) as server:
        client = drive(settings(server))

        assert client("read_workflow", WORKFLOW, CASE).status == "RUNNING"


def test_a_run_whose_response_names_another_case_is_kept_with_a_warning(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    with in_turn({"id": WORKFLOW, "caseId": OTHER, "status": "RUNNING"}) as server:
        client = drive(settings(server, max_attempts=3))

        assert client("run_workflow", OTHER, CASE).id == WORKFLOW

    assert server.calls == ["POST /workflows/run"]
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"caseId {OTHER} where {CASE} was asked for" in line
    assert "The run is kept" in line


def test_a_run_whose_id_is_a_number_is_kept(drive: Drive) -> None:
    with in_turn({"id": 17, "caseId": CASE, "status": "RUNNING"}) as server:
        client = drive(settings(server))

        assert client("run_workflow", OTHER, CASE).id == "17"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (CASE, CASE, True),
        (CASE, f" {CASE.upper()} ", True),
        (CASE, OTHER, False),
        ("x", "x", True),
        ("x", CASE, False),
    ],
)
def test_ids_are_compared(one: str, other: str, same: bool) -> None:
    assert is_same_id(one, other) is same


def test_the_body_of_a_result_is_returned_as_it_came(drive: Drive) -> None:
    body = {"caseId": 17, "partyDetails": ["odd"], "createdDate": None, "n": {"deep": [1, None, 1.5, "ł"]}}
    with in_turn(body) as server:
        client = drive(settings(server))

        result = client("read_result", WORKFLOW)

    assert result.json_object() == body == parse_response(json.dumps(body).encode()).value
    assert result.case_id is None
    assert result.party_details is None
