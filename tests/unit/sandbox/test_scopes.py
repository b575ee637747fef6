"""Organization tokens: what each may do, and how it is replaced."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.sandbox import SLOW_DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.tokens import ALL_SCOPES, Scope
from tests.unit.sandbox.conftest import CASE, Caller, error_code

RUN = {"workflowDefinitionId": SLOW_DEFINITION}


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/workflows/run", {"can_run"}),
        ("POST", "/workflows", {"can_run"}),
        ("GET", "/workflows/x", {"can_run", "can_view_workspace"}),
        ("GET", "/workflows/x/result", {"can_run", "can_view_workspace"}),
    ],
)
@pytest.mark.parametrize("scope", sorted(ALL_SCOPES))
def test_one_of_the_scopes_is_needed(
    sandbox: Sandbox, call: Caller, method: str, path: str, needed: set[Scope], scope: Scope
) -> None:
    call.token = sandbox.issue_organization_token(scope)
    response = call(method, path, {} if method == "POST" else None)
    assert (response.status_code == 403) == (scope not in needed)
    if scope not in needed:
        assert error_code(response) == "FORBIDDEN"
        assert all(name in response.json()["errors"][0]["message"] for name in needed)


def test_a_token_without_scopes_may_do_what_needs_none(sandbox: Sandbox, call: Caller) -> None:
    call.token = sandbox.issue_organization_token()
    assert call("POST", "/cases", {}).status_code == 201
    assert call("GET", f"/cases/{CASE}").status_code == 200
    assert call("POST", "/workflows", RUN).status_code == 403
    assert sandbox.counts.runs == 0


def test_the_first_token_and_an_access_token_have_all_scopes(call: Caller) -> None:
    assert call("POST", "/workflows", RUN).status_code == 200
    call.authorize()
    assert call("POST", "/workflows", RUN).status_code == 200


def test_a_scope_that_does_not_exist_is_an_error(sandbox: Sandbox, call: Caller) -> None:
    with pytest.raises(ValueError, match="unknown scopes: can_fly; there are can_edit_attachments, "):
        sandbox.issue_organization_token("can_fly")  # type: ignore[arg-type]
    assert call("POST", "/_sandbox/tokens", {"scopes": ["can_fly"]}).status_code == 400


def test_a_rotated_token_is_no_longer_accepted(sandbox: Sandbox, call: Caller) -> None:
    old = sandbox.organization_token
    new = sandbox.rotate_organization_token()
    assert new == sandbox.organization_token == sandbox.connection["password"] != old
    assert new.startswith("tot_")
    assert error_code(call("POST", "/workflows", RUN)) == "UNAUTHORIZED"
    call.token = new
    assert call("POST", "/workflows", RUN).status_code == 200


def test_the_control_endpoints_issue_and_rotate_tokens(sandbox: Sandbox, call: Caller) -> None:
    issued = call("POST", "/_sandbox/tokens", {"scopes": ["can_view_workspace"]}).json()["token"]
    rotated = call("POST", "/_sandbox/tokens/rotate", {"token": issued}).json()["token"]
    first = call("POST", "/_sandbox/tokens/rotate").json()["token"]
    statuses = []
    for token in (issued, rotated, first):
        call.token = token
        statuses.append(call("GET", "/workflows/x").status_code)
    assert statuses == [401, 404, 404]
    call.token = rotated
    assert call("POST", "/workflows", RUN).status_code == 403
    assert sandbox.organization_token == first
    assert error_code(call("POST", "/_sandbox/tokens/rotate", {"token": issued})) == "TOKEN_NOT_FOUND"
