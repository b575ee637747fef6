"""Which tokens are accepted, and for how long."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.sandbox.conftest import Caller, Clock, error_code

SOME_CASE = "/cases/9c5d2f0a-63be-4f21-8a47-1be0c94d7a35"


def refresh(call: Caller, token: str) -> int:
    return call("POST", "/auth/refresh", {"refreshToken": token}).status_code


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer x", "Basic eDp5", "tot_another", "Bearer tot_sandbox-organization-token"],
)
def test_a_request_without_a_valid_token_is_refused(call: Caller, authorization: str) -> None:
    call.token = authorization
    response = call("GET", SOME_CASE)
    assert (response.status_code, error_code(response)) == (401, "UNAUTHORIZED")


def test_an_access_token_is_accepted(call: Caller) -> None:
    call.authorize()
    assert call("GET", SOME_CASE).status_code == 404


def test_an_organization_token_is_accepted_without_a_scheme(sandbox: Sandbox, call: Caller) -> None:
    assert sandbox.organization_token.startswith("tot_")
    call.token = sandbox.organization_token
    assert call("GET", SOME_CASE).status_code == 404


def test_a_token_expires_by_itself() -> None:
    clock = Clock()
    with Sandbox(clock=clock) as sandbox:
        sandbox.token_seconds = 7
        call = Caller(sandbox)
        with call.session:
            assert call.authorize()["expiryDuration"] == 7
            clock.now += 6.9
            assert call("GET", SOME_CASE).status_code == 404
            clock.now += 0.1
            assert call("GET", SOME_CASE).status_code == 401


def test_expired_access_tokens_can_be_refreshed(sandbox: Sandbox, call: Caller) -> None:
    token = call.authorize()["refreshToken"]
    sandbox.expire_tokens()
    assert call("GET", SOME_CASE).status_code == 401
    call.token = "Bearer " + call("POST", "/auth/refresh", {"refreshToken": token}).json()["accessToken"]
    assert call("GET", SOME_CASE).status_code == 404


def test_refresh_tokens_can_be_expired_too(sandbox: Sandbox, call: Caller) -> None:
    token = call.authorize()["refreshToken"]
    sandbox.expire_tokens(refresh=True)
    assert refresh(call, token) == 401


def test_refresh_tokens_rotate(call: Caller) -> None:
    first = call.authorize()["refreshToken"]
    second = call("POST", "/auth/refresh", {"refreshToken": first}).json()["refreshToken"]
    assert [refresh(call, first), refresh(call, second)] == [401, 200]


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_the_life_of_a_token_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="token_seconds must be a number of seconds above 0"):
        Sandbox(token_seconds=seconds)
