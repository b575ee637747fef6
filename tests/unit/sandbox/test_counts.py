"""What the sandbox counts of the requests that it receives."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.sandbox import SLOW_DEFINITION, Sandbox
from tests.unit.sandbox.conftest import Caller

STATUS = "GET /workflows/{workflowId}"


def test_requests_are_counted_by_route(sandbox: Sandbox, call: Caller) -> None:
    for _ in range(3):
        call("GET", f"/workflows/{call.run()}")
    call("GET", "/nowhere")
    call("PATCH", "/cases")
    assert sandbox.counts.requests == {
        "POST /cases": 3,
        "POST /workflows/run": 3,
        STATUS: 3,
        "(unknown)": 2,
    }
    assert sandbox.counts.total_requests == 11
    assert sandbox.counts.requests["GET /cases/{caseId}"] == 0


def test_connections_are_counted_by_route(sandbox: Sandbox, call: Caller) -> None:
    workflow_id = call.run()
    for caller in (Caller(sandbox), Caller(sandbox)):
        with caller.session:
            for _ in range(3):
                caller("GET", f"/workflows/{workflow_id}")
    assert sandbox.counts.connections == {"POST /cases": 1, "POST /workflows/run": 1, STATUS: 2}
    assert sandbox.counts.total_connections == 3


def test_refused_and_faulty_requests_are_counted(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("server_error", times=1)
    call("POST", "/cases", {})
    call("POST", "/cases", [])
    assert (sandbox.counts.requests["POST /cases"], sandbox.counts.cases) == (2, 0)


def test_runs_are_counted_by_case(sandbox: Sandbox, call: Caller) -> None:
    first, second = call.case(), call.case()
    for case_id in (first, first, second):
        call("POST", "/workflows/run", {"caseId": case_id, "workflowDefinitionId": SLOW_DEFINITION})
    assert sandbox.counts.runs_per_case == {first: 2, second: 1}
    assert sandbox.counts.cases == 2


def test_reset_sets_all_counters_to_zero(sandbox: Sandbox, call: Caller) -> None:
    call.run()
    sandbox.counts.reset()
    assert not any(sandbox.counts.json_object().values())
    assert sandbox.requests_seen == []
    call.case()
    assert (sandbox.counts.total_requests, sandbox.counts.total_connections) == (1, 1)


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/_sandbox/counts", "/_sandbox/faults", "/_sandbox/nowhere"]
)
def test_requests_to_control_endpoints_are_not_counted(sandbox: Sandbox, call: Caller, path: str) -> None:
    call("GET", path)
    assert sandbox.counts.total_requests == sandbox.counts.total_connections == 0


def test_requests_are_kept_without_their_tokens(sandbox: Sandbox, call: Caller) -> None:
    call.case()
    token = call.authorize()["accessToken"]
    call("GET", "/cases/x")
    seen = sandbox.requests_seen
    assert [(each.method, each.path, each.status) for each in seen] == [
        ("POST", "/cases", 201),
        ("POST", "/auth/authorize", 200),
        ("GET", "/cases/x", 404),
    ]
    assert seen[0].headers["authorization"] == "tot_"
    assert seen[-1].headers["authorization"] == "Bearer"
    assert token not in repr(seen)
    assert sandbox.organization_token not in repr(seen)
