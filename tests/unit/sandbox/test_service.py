"""Each endpoint of the API: what it responds with, and what it refuses."""

from __future__ import annotations

import uuid

import pytest

from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox import (
    DEFINITION,
    FAILING_DEFINITION,
    FORBIDDEN_DEFINITION,
    SLOW_DEFINITION,
    UNKNOWN_STATUS_DEFINITION,
    Sandbox,
)
from airflow_provider_workflows.sandbox.service import READY_CASES
from tests.unit.sandbox.conftest import Caller, Clock, error_code

NOWHERE = "9c5d2f0a-63be-4f21-8a47-1be0c94d7a35"

PERSON = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "personalNumber": "01020304",
    "email": "ada@example.com",
    "phone": {"countryCode": "48", "number": "666666666"},
}
COMPANY = {"companyName": "Engines", "companyNumber": "0007", "companyAddress": "1 Analytical Street"}
DOCUMENTS = [{"resourceId": "r1", "resourceName": "passport", "resourcePath": "/a/b"}]


def test_authorize_responds_with_a_pair_of_tokens(call: Caller) -> None:
    tokens = call.authorize()
    assert models.Tokens.model_validate(tokens).refresh_token
    assert (tokens["expiryDuration"], tokens["tokenType"]) == (3600, "Bearer")


def test_a_case_is_created_as_it_was_described(call: Caller) -> None:
    response = call("POST", "/cases", {**PERSON, **COMPANY, "documents": DOCUMENTS})
    assert response.status_code == 201
    case = response.json()
    assert uuid.UUID(case["caseId"]).version == uuid.UUID(case["partyId"]).version == 4
    assert case["createdDate"].endswith("Z")
    assert case["partyDetails"] == {"personal": PERSON, "business": COMPANY, "documents": DOCUMENTS}


def test_a_case_needs_no_field(call: Caller) -> None:
    case = call("POST", "/cases", {}).json()
    assert case["partyDetails"] == {"personal": {}, "business": {}, "documents": []}


def test_a_personal_number_may_come_as_a_json_number(call: Caller) -> None:
    case = call("POST", "/cases", {"personalNumber": 12345}).json()
    assert case["partyDetails"]["personal"] == {"personalNumber": "12345"}


@pytest.mark.parametrize("case_id", READY_CASES)
def test_the_cases_of_returning_users_are_there_from_the_start(
    sandbox: Sandbox, call: Caller, case_id: str
) -> None:
    response = call("GET", f"/cases/{case_id}")
    assert (response.status_code, response.json()["caseId"]) == (200, case_id)
    body = {"caseId": case_id, "workflowDefinitionId": DEFINITION}
    assert call("POST", "/workflows/run", body).status_code == 200
    assert sandbox.counts.cases == 0


def test_a_case_can_be_read_again(call: Caller) -> None:
    created = call("POST", "/cases", PERSON).json()
    assert call("GET", f"/cases/{created['caseId']}").json() == created


def test_parameters_are_created(call: Caller) -> None:
    values = {"param0": 0, "param1": 1.2222, "param2": True, "param3": "text", "param4": None, "param5": [{}]}
    response = call("POST", "/parameters", {"workflowDefinitionId": DEFINITION, "parameters": values})
    assert response.status_code == 201
    assert response.json() == {"id": response.json()["id"], "workflowDefinitionId": DEFINITION}


def test_a_run_starts_out_running(call: Caller) -> None:
    case_id = call.case()
    response = call("POST", "/workflows/run", {"caseId": case_id, "workflowDefinitionId": DEFINITION})
    assert response.status_code == 200
    assert response.json() == {"id": response.json()["id"], "caseId": case_id, "status": "RUNNING"}


def test_the_status_changes_once_the_time_has_passed() -> None:
    clock = Clock()
    with Sandbox(clock=clock) as sandbox:
        call = Caller(sandbox)
        with call.session:
            workflow_id = call.run(sandbox.define(seconds=3600))
            clock.now += 3599
            before = call("GET", f"/workflows/{workflow_id}").json()
            clock.now += 1
            after = call("GET", f"/workflows/{workflow_id}").json()
    assert (before["status"], after["status"]) == ("RUNNING", "COMPLETED")


def test_the_result_holds_the_case_the_findings_and_the_parameters(sandbox: Sandbox, call: Caller) -> None:
    definition = sandbox.define(seconds=0, result={"decision": "PASS", "score": 0.97})
    parameters = call("POST", "/parameters", {"workflowDefinitionId": definition, "parameters": {"a": 1}})
    workflow_id = call.run(definition, parametersId=parameters.json()["id"])
    response = call("GET", f"/workflows/{workflow_id}/result")
    result = response.json()
    assert response.status_code == 200
    assert set(result) == {
        *("createdDate", "caseId", "partyId", "partyDetails"),
        *("decision", "score", "parameters"),
    }
    assert (result["decision"], result["score"], result["parameters"]) == ("PASS", 0.97, {"a": 1})


@pytest.mark.parametrize("definition", [DEFINITION, SLOW_DEFINITION, FAILING_DEFINITION])
def test_there_is_no_result_before_completion(call: Caller, definition: str) -> None:
    response = call("GET", f"/workflows/{call.run(definition)}/result")
    assert (response.status_code, error_code(response)) == (404, "RESULT_NOT_AVAILABLE")


def test_a_failed_run_has_no_result(sandbox: Sandbox, call: Caller) -> None:
    workflow_id = call.run(sandbox.define(seconds=0, status="FAILED"))
    assert call("GET", f"/workflows/{workflow_id}").json()["status"] == "FAILED"
    assert error_code(call("GET", f"/workflows/{workflow_id}/result")) == "RESULT_NOT_AVAILABLE"


@pytest.mark.parametrize(
    ("definition", "status"),
    [(DEFINITION, "COMPLETED"), (FAILING_DEFINITION, "FAILED"), (UNKNOWN_STATUS_DEFINITION, "ON_HOLD")],
)
def test_the_ready_definitions_end_as_they_say(sandbox: Sandbox, definition: str, status: str) -> None:
    (found,) = (ready for ready in sandbox.definitions if ready.id == definition)
    assert (found.status, found.bounds) == (status, (2.0, 2.0))


def test_parameters_of_another_definition_are_refused(sandbox: Sandbox, call: Caller) -> None:
    parameters = call("POST", "/parameters", {"workflowDefinitionId": DEFINITION, "parameters": {}}).json()
    body = {"caseId": call.case(), "workflowDefinitionId": sandbox.define(), "parametersId": parameters["id"]}
    response = call("POST", "/workflows/run", body)
    assert (response.status_code, error_code(response)) == (400, "PARAMETERS_MISMATCH")


def test_a_definition_that_needs_parameters_is_not_run_without(sandbox: Sandbox, call: Caller) -> None:
    body = {"caseId": call.case(), "workflowDefinitionId": sandbox.define(needs_parameters=True)}
    response = call("POST", "/workflows/run", body)
    assert (response.status_code, error_code(response)) == (400, "PARAMETERS_REQUIRED")
    assert not sandbox.counts.runs_per_case


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"caseId": NOWHERE}, 404, "CASE_NOT_FOUND"),
        ({"workflowDefinitionId": NOWHERE}, 404, "DEFINITION_NOT_FOUND"),
        ({"parametersId": NOWHERE}, 404, "PARAMETERS_NOT_FOUND"),
        ({"workflowDefinitionId": FORBIDDEN_DEFINITION}, 403, "FORBIDDEN"),
        ({"caseId": 7}, 400, "VALIDATION_FAILED"),
    ],
)
def test_a_run_is_refused(
    sandbox: Sandbox, call: Caller, changed: dict[str, object], status: int, code: str
) -> None:
    body = {"caseId": call.case(), "workflowDefinitionId": DEFINITION, **changed}
    response = call("POST", "/workflows/run", body)
    assert (response.status_code, error_code(response)) == (status, code)
    assert not sandbox.counts.runs_per_case


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/auth/authorize", {"key": "sandbox-key"}, 400, "VALIDATION_FAILED"),
        ("POST", "/auth/authorize", {"key": "x", "secret": "y"}, 401, "INVALID_CREDENTIALS"),
        ("POST", "/auth/refresh", {}, 400, "VALIDATION_FAILED"),
        ("POST", "/auth/refresh", {"refreshToken": "x"}, 401, "INVALID_REFRESH_TOKEN"),
        ("POST", "/cases", {"firstNme": "x"}, 400, "VALIDATION_FAILED"),
        ("POST", "/cases", {"firstName": 1}, 400, "VALIDATION_FAILED"),
        ("POST", "/cases", {"phone": {"number": "1"}}, 400, "VALIDATION_FAILED"),
        ("POST", "/cases", {"documents": {"resourceId": "x"}}, 400, "VALIDATION_FAILED"),
        ("POST", "/cases", [], 400, "VALIDATION_FAILED"),
        ("GET", f"/cases/{NOWHERE}", None, 404, "CASE_NOT_FOUND"),
        ("POST", "/parameters", {"workflowDefinitionId": DEFINITION}, 400, "VALIDATION_FAILED"),
        (
            "POST",
            "/parameters",
            {"workflowDefinitionId": NOWHERE, "parameters": {}},
            404,
            "DEFINITION_NOT_FOUND",
        ),
        ("POST", "/workflows/run", {}, 400, "VALIDATION_FAILED"),
        ("GET", f"/workflows/{NOWHERE}", None, 404, "WORKFLOW_NOT_FOUND"),
        ("GET", f"/workflows/{NOWHERE}/result", None, 404, "WORKFLOW_NOT_FOUND"),
        ("GET", "/tables", None, 404, "NOT_FOUND"),
        ("DELETE", "/cases", None, 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_a_request_is_refused(
    call: Caller, method: str, path: str, body: object, status: int, code: str
) -> None:
    response = call(method, path, body)
    assert (response.status_code, error_code(response)) == (status, code)


def test_a_wrong_method_says_which_is_right(call: Caller) -> None:
    assert call("GET", "/workflows/run/").status_code == 404
    assert call("PUT", "/parameters", {}).headers["Allow"] == "POST"
