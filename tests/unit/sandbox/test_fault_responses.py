"""The response to a request with a fault, and whether the request is carried out."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_workflows.sandbox import SLOW_DEFINITION, Sandbox
from tests.unit.sandbox.conftest import Caller, error_code

RUN = "/workflows/run"
STATUS = "/workflows/{workflowId}"


def run(call: Caller) -> requests.Response:
    return call("POST", RUN, {"caseId": call.case(), "workflowDefinitionId": SLOW_DEFINITION})


def runs(sandbox: Sandbox) -> int:
    return sum(sandbox.counts.runs_per_case.values())


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"name": "unauthorized"}, 401, "UNAUTHORIZED"),
        ({"name": "forbidden"}, 403, "FORBIDDEN"),
        ({"name": "rate_limited"}, 429, "TOO_MANY_REQUESTS"),
        ({"name": "server_error", "status": 500}, 500, "INTERNAL_SERVER_ERROR"),
        ({"name": "server_error", "status": 502}, 502, "BAD_GATEWAY"),
        ({"name": "server_error"}, 503, "SERVICE_UNAVAILABLE"),
        ({"name": "server_error", "status": 599}, 599, "SERVER_ERROR"),
    ],
)
def test_a_refused_request_is_not_carried_out(
    sandbox: Sandbox, call: Caller, fault: dict[str, Any], status: int, code: str
) -> None:
    sandbox.fault(**fault, path=RUN)
    response = run(call)
    assert (response.status_code, error_code(response)) == (status, code)
    assert runs(sandbox) == 0


@pytest.mark.parametrize("form", ["json", "html", "empty"])
def test_a_server_error_may_follow_the_work(sandbox: Sandbox, call: Caller, form: str) -> None:
    sandbox.fault("server_error", path=RUN, form=form, work_done=True)
    assert run(call).status_code == 503
    assert runs(sandbox) == 1


@pytest.mark.parametrize(
    ("form", "content_type", "beginning"),
    [
        ("json", "application/json", "{"),
        ("html", "text/html; charset=utf-8", "<!DOCTYPE"),
        ("empty", None, ""),
    ],
)
def test_a_server_error_has_three_forms(
    sandbox: Sandbox, call: Caller, form: str, content_type: str | None, beginning: str
) -> None:
    sandbox.fault("server_error", path=RUN, form=form)
    response = run(call)
    assert response.text.startswith(beginning)
    assert bool(response.text) == bool(beginning)
    if content_type:
        assert response.headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [
        (None, None),
        (2, "2"),
        (0.5, "0.5"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("soon", "soon"),
    ],
)
def test_a_rate_limit_says_when_to_try_again(
    sandbox: Sandbox, call: Caller, retry_after: Any, header: str | None
) -> None:
    sandbox.fault("rate_limited", path=RUN, retry_after=retry_after)
    assert run(call).headers.get("Retry-After") == header


@pytest.mark.parametrize(("name", "done"), [("cut_before", 0), ("cut_during", 1), ("cut_after", 1)])
def test_a_cut_loses_the_response(sandbox: Sandbox, call: Caller, name: str, done: int) -> None:
    sandbox.fault(name, path=RUN)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        run(call)
    assert runs(sandbox) == done
    assert sandbox.requests_seen[-1].status is None


def test_a_cut_in_the_middle_sends_half_a_response(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("cut_during", path=RUN)
    case_id = call.case()
    body = {"caseId": case_id, "workflowDefinitionId": SLOW_DEFINITION}
    with call("POST", RUN, body, stream=True) as response:
        assert response.status_code == 200
        promised = int(response.headers["Content-Length"])
        assert response.raw.read(promised // 2).startswith(b'{"id":')


def test_truncated_json_is_a_complete_response(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("truncated_json", path=RUN)
    response = run(call)
    assert response.status_code == 200
    assert response.text.startswith('{"id":')
    with pytest.raises(requests.JSONDecodeError):
        response.json()
    assert runs(sandbox) == 1


def test_a_page_in_place_of_a_response(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("html_ok", path=RUN)
    response = run(call)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert runs(sandbox) == 0


def test_a_success_without_its_fields(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("missing_fields", path="/cases")
    response = call("POST", "/cases", {})
    assert (response.status_code, response.json(), sandbox.counts.cases) == (201, {}, 1)


def test_missing_fields_do_not_make_a_refusal_a_success(sandbox: Sandbox, call: Caller) -> None:
    sandbox.fault("missing_fields", path="/cases")
    assert error_code(call("POST", "/cases", [])) == "VALIDATION_FAILED"


def test_a_status_that_is_new(sandbox: Sandbox, call: Caller) -> None:
    workflow_id = call.run()
    sandbox.fault("unknown_status", times=1)
    responses = [call("GET", f"/workflows/{workflow_id}").json()["status"] for _ in range(2)]
    assert responses == ["SOMETHING_NEW", "RUNNING"]


@pytest.mark.parametrize(
    ("options", "location"),
    [({}, "https://elsewhere.invalid/"), ({"location": "http://127.0.0.1:1/x"}, "http://127.0.0.1:1/x")],
)
def test_a_redirect_leads_elsewhere(
    sandbox: Sandbox, call: Caller, options: dict[str, str], location: str
) -> None:
    sandbox.fault("redirect", path=RUN, **options)
    response = run(call)
    assert (response.status_code, response.headers["Location"], runs(sandbox)) == (302, location, 0)
