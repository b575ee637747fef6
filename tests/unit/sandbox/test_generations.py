"""Runs of the three generations side by side: how they are started, and how each is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import (
    END_USER_DEFINITION,
    FORBIDDEN_DEFINITION,
    SLOW_DEFINITION,
    Sandbox,
)
from airflow_provider_workflows.sandbox.counts import digest
from tests.unit.sandbox.conftest import (
    CASE,
    Caller,
    Clock,
    Destination,
    error_code,
    until_none_is_pending,
)

NOWHERE = "9c5d2f0a-63be-4f21-8a47-1be0c94d7a35"
VERSION_2 = "application/json;version=2"
#: The body that the service's reference gives as its example.
OFFICIAL = {
    "workflowDefinitionId": SLOW_DEFINITION,
    "locale": "en",
    "parameters": {"param0": 0, "param1": 1.2222, "param2": True, "param3": "text"},
}
FIELDS_OF_GENERATION_3 = {
    *("id", "workspaceId", "workflowDefinitionId", "parameters", "name", "revision", "status", "locale"),
    *("expiresAt", "uiOptions", "executionType", "executionVersion"),
}


def ahead(**duration: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(**duration)).isoformat()


def version_2(call: Caller, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": call.token, "Accept": VERSION_2}
    response = call(method, path, body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clocked(clock: Clock) -> Iterator[Caller]:
    """Call a sandbox whose time passes with ``clock``."""
    with Sandbox(clock=clock) as sandbox:
        caller = Caller(sandbox)
        with caller.session:
            yield caller


def test_a_run_of_generation_3_is_started_with_its_parameters(call: Caller) -> None:
    response = call("POST", "/workflows", OFFICIAL)
    started = response.json()
    assert response.status_code == 200
    assert set(started) == FIELDS_OF_GENERATION_3
    assert OFFICIAL.items() <= started.items()
    assert (started["status"], started["executionType"]) == ("RUNNING", "BACKGROUND")
    assert call("GET", f"/workflows/{started['id']}").json() == started | {"origin": "API"}


def test_a_run_of_generation_3_needs_a_definition_alone(call: Caller) -> None:
    started = call("POST", "/workflows", {"workflowDefinitionId": SLOW_DEFINITION}).json()
    assert (started["parameters"], started["locale"]) == ({}, "en")
    left = datetime.fromisoformat(started["expiresAt"].replace("Z", "+00:00")) - datetime.now(timezone.utc)
    assert timedelta(days=29.9) < left <= timedelta(days=30)


def test_a_run_of_version_2_needs_a_definition_alone(call: Caller) -> None:
    started = version_2(call, "POST", "/workflows/run", {"workflowDefinitionId": SLOW_DEFINITION})
    assert started == {"id": started["id"], "status": "RUNNING"}


def test_a_run_of_version_2_may_have_a_case(call: Caller) -> None:
    body = {"workflowDefinitionId": SLOW_DEFINITION, "caseId": CASE}
    started = version_2(call, "POST", "/workflows/run", body)
    assert started == {"id": started["id"], "caseId": CASE, "status": "RUNNING"}


@pytest.mark.parametrize("asked", [None, VERSION_2])
def test_a_run_is_given_in_the_shape_of_the_generation_that_started_it(call: Caller, asked: str) -> None:
    started = {
        1: call.run(SLOW_DEFINITION),
        2: version_2(call, "POST", "/workflows/run", {"workflowDefinitionId": SLOW_DEFINITION})["id"],
        3: call("POST", "/workflows", OFFICIAL).json()["id"],
    }
    headers = {"Authorization": call.token, "Accept": asked}
    given = {
        number: set(call("GET", f"/workflows/{run}", headers=headers).json())
        for number, run in started.items()
    }
    assert given == {
        1: {"id", "caseId", "status"},
        2: {"id", "status"},
        3: FIELDS_OF_GENERATION_3 | {"origin"},
    }


@pytest.mark.parametrize(
    ("generation", "asked", "fields"),
    [
        (1, None, {"caseId", "partyId", "partyDetails"}),
        (1, VERSION_2, {"caseId", "partyId"}),
        (2, None, {"caseId", "partyId"}),
        (2, VERSION_2, {"caseId", "partyId"}),
        (3, None, set()),
        (3, VERSION_2, set()),
    ],
)
def test_only_results_of_generation_1_hold_party_details(
    sandbox: Sandbox, call: Caller, generation: int, asked: str | None, fields: set[str]
) -> None:
    definition = sandbox.define(seconds=0, result={"decision": "PASS"})
    if generation == 3:
        run = call("POST", "/workflows", {**OFFICIAL, "workflowDefinitionId": definition}).json()["id"]
    else:
        accept = VERSION_2 if generation == 2 else None
        body = {"workflowDefinitionId": definition, "caseId": CASE}
        headers = {"Authorization": call.token, "Accept": accept}
        run = call("POST", "/workflows/run", body, headers=headers).json()["id"]
    headers = {"Authorization": call.token, "Accept": asked}
    result = call("GET", f"/workflows/{run}/result", headers=headers).json()
    assert set(result) == {"createdDate", "parameters", "decision"} | fields
    assert result["parameters"] == (OFFICIAL["parameters"] if generation == 3 else {})


@pytest.mark.parametrize(
    ("path", "accept", "changed", "status", "code"),
    [
        ("/workflows", None, {"caseId": CASE}, 400, "VALIDATION_FAILED"),
        ("/workflows", None, {"parametersId": NOWHERE}, 400, "VALIDATION_FAILED"),
        ("/workflows", None, {"parameters": []}, 400, "VALIDATION_FAILED"),
        ("/workflows", None, {"locale": ""}, 400, "VALIDATION_FAILED"),
        ("/workflows", None, {"workflowDefinitionId": NOWHERE}, 404, "DEFINITION_NOT_FOUND"),
        ("/workflows", None, {"workflowDefinitionId": FORBIDDEN_DEFINITION}, 403, "FORBIDDEN"),
        ("/workflows/run", None, {"caseId": CASE, "recordId": NOWHERE}, 400, "VALIDATION_FAILED"),
        ("/workflows/run", VERSION_2, {"parameters": {}}, 400, "VALIDATION_FAILED"),
        ("/workflows/run", VERSION_2, {"caseId": NOWHERE}, 404, "CASE_NOT_FOUND"),
        ("/workflows/run", VERSION_2, {"expiresAt": ahead(days=1)}, 400, "VALIDATION_FAILED"),
    ],
)
def test_a_run_is_refused_what_its_generation_lacks(
    sandbox: Sandbox,
    call: Caller,
    path: str,
    accept: str | None,
    changed: dict[str, object],
    status: int,
    code: str,
) -> None:
    headers = {"Authorization": call.token, "Accept": accept}
    response = call("POST", path, {"workflowDefinitionId": SLOW_DEFINITION, **changed}, headers=headers)
    assert (response.status_code, error_code(response)) == (status, code)
    assert sandbox.counts.runs == 0


def test_a_definition_that_needs_parameters_takes_them_inline(sandbox: Sandbox, call: Caller) -> None:
    body: dict[str, Any] = {"workflowDefinitionId": sandbox.define(needs_parameters=True)}
    assert error_code(call("POST", "/workflows", body)) == "PARAMETERS_REQUIRED"
    assert call("POST", "/workflows", {**body, "parameters": {"a": 1}}).status_code == 200


def test_a_definition_that_is_replaced_has_a_next_revision(sandbox: Sandbox, call: Caller) -> None:
    definition = sandbox.define(seconds=3600)
    revisions = []
    for _ in range(2):
        revisions.append(call("POST", "/workflows", {"workflowDefinitionId": definition}).json()["revision"])
        sandbox.define(definition, seconds=3600)
    assert revisions == [1, 2]


@pytest.mark.parametrize(
    ("expiry", "accepted"),
    [
        (lambda: ahead(minutes=29), False),
        (lambda: ahead(minutes=40), True),
        (lambda: ahead(days=29.9), True),
        (lambda: ahead(days=30.1), False),
        (lambda: ahead(days=-1), False),
        (lambda: "2126-01-01T00:00:00Z", False),
        (lambda: "tomorrow", False),
        (lambda: 1700000000, False),
        (lambda: ahead(days=1).removesuffix("+00:00"), False),
    ],
    ids=[
        "29 minutes",
        "40 minutes",
        "29.9 days",
        "30.1 days",
        "yesterday",
        "a century",
        "a word",
        "a number",
        "without a zone",
    ],
)
def test_a_run_expires_between_half_an_hour_and_thirty_days_ahead(
    sandbox: Sandbox, call: Caller, expiry: Callable[[], object], accepted: bool
) -> None:
    response = call("POST", "/workflows", {**OFFICIAL, "expiresAt": expiry()})
    assert response.status_code == (200 if accepted else 400)
    assert "expiresAt" in response.text
    assert sandbox.counts.runs == accepted


def test_a_run_expires_when_its_time_has_passed(clock: Clock, clocked: Caller) -> None:
    body = {**OFFICIAL, "expiresAt": ahead(minutes=50)}
    path = f"/workflows/{clocked('POST', '/workflows', body).json()['id']}"
    clock.now += 2940
    before = clocked("GET", path).json()["status"]
    clock.now += 60
    after = clocked("GET", path).json()["status"]
    assert (before, after) == ("RUNNING", "EXPIRED")
    assert error_code(clocked("GET", f"{path}/result")) == "RESULT_NOT_AVAILABLE"


def test_a_run_that_has_ended_does_not_expire(clock: Clock, clocked: Caller) -> None:
    definition = clocked.sandbox.define(seconds=60)
    body = {"workflowDefinitionId": definition, "expiresAt": ahead(minutes=40)}
    path = f"/workflows/{clocked('POST', '/workflows', body).json()['id']}"
    clock.now += 7200
    assert clocked("GET", path).json()["status"] == "COMPLETED"


def test_runs_can_be_made_to_expire(sandbox: Sandbox, call: Caller) -> None:
    first, second = (call("POST", "/workflows", OFFICIAL).json()["id"] for _ in range(2))
    of_generation_1 = call.run(SLOW_DEFINITION)
    assert sandbox.expire_runs(first) == [first]
    assert call("GET", f"/workflows/{second}").json()["status"] == "RUNNING"
    assert call("POST", "/_sandbox/workflows/expire").json() == {"expired": [second]}
    statuses = [call("GET", f"/workflows/{run}").json()["status"] for run in (first, second, of_generation_1)]
    assert statuses == ["EXPIRED", "EXPIRED", "RUNNING"]
    response = call("POST", "/_sandbox/workflows/expire", {"workflow_id": NOWHERE})
    assert error_code(response) == "WORKFLOW_NOT_FOUND"


async def test_a_run_that_expires_early_has_its_webhook_then(
    sending: Sandbox, destination: Destination
) -> None:
    caller = Caller(sending)
    with caller.session:
        run = caller("POST", "/workflows", OFFICIAL).json()["id"]
    assert sending.webhooks.pending == 1
    sending.expire_runs()
    (delivered,) = await destination.get(1)
    assert delivered.raw.decode() == f'{{"workflowId":"{run}","status":"EXPIRED","name":"Workflow"}}'
    await until_none_is_pending(sending)


async def test_a_run_with_an_end_user_has_its_webhook_once_its_link_was_opened(
    sending: Sandbox, destination: Destination
) -> None:
    caller = Caller(sending)
    body = {"workflowDefinitionId": sending.define(seconds=0, involves_end_user=True)}
    with caller.session:
        link = caller("POST", "/workflows", body).json()["link"]
        assert sending.webhooks.pending == 1
        assert not destination.delivered
        assert caller("GET", link.removeprefix(sending.url)).status_code == 200
    (delivered,) = await destination.get(1)
    assert b'"status":"COMPLETED"' in delivered.raw


def test_a_run_with_an_end_user_waits_until_its_link_was_opened(clock: Clock, clocked: Caller) -> None:
    started = clocked("POST", "/workflows", {"workflowDefinitionId": END_USER_DEFINITION}).json()
    path = f"/workflows/{started['id']}"
    clock.now += 86_400
    waiting = clocked("GET", path).json()
    clocked.token, token = "", clocked.token
    assert clocked("GET", started["link"].removeprefix(clocked.sandbox.url)).status_code == 200
    clocked.token = token
    clock.now += 2
    done = clocked("GET", path).json()
    assert [each["status"] for each in (started, waiting, done)] == ["RUNNING", "RUNNING", "COMPLETED"]
    assert (waiting["link"], waiting["token"]) == (started["link"], started["token"])
    assert started["token"] in started["link"]
    assert started["executionType"] == "INTERACTIVE"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("", 400, "TOKEN_REQUIRED"), ("?token=", 400, "TOKEN_REQUIRED"), ("?token=x", 404, "LINK_NOT_FOUND")],
)
def test_a_link_that_nobody_was_given_is_refused(call: Caller, query: str, status: int, code: str) -> None:
    response = call("GET", f"/link{query}")
    assert (response.status_code, error_code(response)) == (status, code)


def test_a_link_of_a_run_that_has_ended_is_refused(sandbox: Sandbox, call: Caller) -> None:
    link = call("POST", "/workflows", {"workflowDefinitionId": END_USER_DEFINITION}).json()["link"]
    sandbox.expire_runs()
    response = call("GET", link.removeprefix(sandbox.url))
    assert (response.status_code, error_code(response)) == (410, "WORKFLOW_ENDED")
    assert all(link.partition("=")[2] not in seen.path for seen in sandbox.requests_seen)


def test_runs_of_all_generations_are_counted(sandbox: Sandbox, call: Caller) -> None:
    body = {"workflowDefinitionId": SLOW_DEFINITION, "caseId": CASE}
    call("POST", "/workflows/run", body)
    version_2(call, "POST", "/workflows/run", body)
    for row in (1, 2, 2):
        call("POST", "/workflows", {**OFFICIAL, "parameters": {"row": row, "name": f"n{row}"}})
    counts = sandbox.counts
    assert (counts.runs, counts.runs_per_case) == (5, {CASE: 2})
    assert counts.runs_per_parameter("row") == {"1": 1, "2": 2}
    assert counts.runs_per_parameter("name") == {"n1": 1, "n2": 2}
    assert counts.runs_per_subject == {
        CASE: 2,
        digest({"name": "n1", "row": 1}): 1,
        digest({"row": 2, "name": "n2"}): 2,
    }
    read = call("GET", "/_sandbox/counts?parameter=row").json()
    assert (read["runs"], read["runs_per_parameter"]) == (5, {"1": 1, "2": 2})


def test_faults_apply_to_runs_of_generation_3(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", path="/workflows", work_done=True, times=1)
    sandbox.fault("unknown_status", times=1)
    assert call("POST", "/workflows", OFFICIAL).status_code == 503
    (workflow,) = sandbox.workflows
    assert (workflow.generation, sandbox.counts.runs) == (3, 1)
    assert call("GET", f"/workflows/{workflow.id}").json()["status"] == "SOMETHING_NEW"
    assert call.run(SLOW_DEFINITION)
