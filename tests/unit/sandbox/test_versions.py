"""Which version of the API an ``Accept`` header asks for."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_workflows.sandbox import SLOW_DEFINITION, Sandbox
from tests.unit.sandbox.conftest import CASE, Caller, error_code

NEITHER_CASE_NOR_RECORD = {"workflowDefinitionId": SLOW_DEFINITION}


def run(call: Caller, accept: str | None) -> requests.Response:
    headers = {"Authorization": call.token, "Accept": accept}
    return call("POST", "/workflows/run", NEITHER_CASE_NOR_RECORD, headers=headers)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/json;version=1",
        'application/json; version="1"',
        "text/html",
        "text/html;version=2",
        "application/json;versions=2",
        "application/json;q=0.5",
    ],
)
def test_the_first_version_is_meant_unless_another_is_named(call: Caller, accept: str | None) -> None:
    response = run(call, accept)
    assert (response.status_code, error_code(response)) == (400, "VALIDATION_FAILED")
    assert "caseId" in response.text


@pytest.mark.parametrize(
    "accept",
    [
        "application/json;version=2",
        "application/json; version=2",
        'application/json; charset=utf-8; version="2"',
        "APPLICATION/JSON; Version=2",
        "*/*;version=2",
        "text/html, application/json;version=2",
        "application/json;version=9, application/json;version=2;q=0.5",
    ],
)
def test_the_second_version_is_named(call: Caller, accept: str) -> None:
    assert run(call, accept).status_code == 200


@pytest.mark.parametrize("version", ["3", "0", "two", "", "1.0", "-1"])
def test_an_unknown_version_is_refused(sandbox: Sandbox, call: Caller, version: str) -> None:
    response = run(call, f"application/json;version={version}")
    assert (response.status_code, error_code(response)) == (406, "VERSION_NOT_SUPPORTED")
    assert sandbox.counts.runs == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/cases", {}, 406),
        ("GET", f"/cases/{CASE}", None, 406),
        ("POST", "/parameters", {"workflowDefinitionId": SLOW_DEFINITION, "parameters": {}}, 406),
        ("GET", "/workflows/x", None, 406),
        ("GET", "/workflows/x/result", None, 406),
        ("POST", "/workflows", NEITHER_CASE_NOR_RECORD, 200),
        ("POST", "/auth/refresh", {"refreshToken": "x"}, 401),
    ],
)
def test_some_endpoints_have_versions(
    call: Caller, method: str, path: str, body: object, status: int
) -> None:
    headers = {"Authorization": call.token, "Accept": "application/json;version=9"}
    assert call(method, path, body, headers=headers).status_code == status
