"""Controlling the sandbox over HTTP does what controlling it in code does."""

from __future__ import annotations

import pytest

from airflow_provider_workflows.api.webhook_signature import key_id
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from tests.unit.sandbox.conftest import Caller, error_code


def test_faults_are_made_listed_and_cleared(sandbox: Sandbox, call: Caller) -> None:
    fault = {"name": "rate_limited", "path": "/cases", "times": 3, "retry_after": 1}
    assert call("POST", "/_sandbox/faults", fault).status_code == 201
    assert call("POST", "/cases", {}).headers["Retry-After"] == "1"
    (listed,) = call("GET", "/_sandbox/faults").json()["faults"]
    assert fault.items() <= listed.items()
    assert call("DELETE", "/_sandbox/faults").json() == {"faults": []}
    assert call("POST", "/cases", {}).status_code == 201


def test_a_fault_is_listed_with_the_fields_that_it_uses(call: Caller) -> None:
    call("POST", "/_sandbox/faults", {"name": "forbidden", "times": 3})
    call("POST", "/_sandbox/faults", {"name": "server_error"})
    assert call("GET", "/_sandbox/faults").json()["faults"] == [
        {"name": "forbidden", "times": 3},
        {"name": "server_error", "status": 503, "form": "json", "work_done": False},
    ]


def test_counts_are_read_and_reset(sandbox: Sandbox, call: Caller) -> None:
    call.run()
    assert call("GET", "/_sandbox/counts").json() == sandbox.counts.json_object()
    assert call("DELETE", "/_sandbox/counts").status_code == 200
    assert sandbox.counts.total_requests == 0


def test_definitions_are_made_and_listed(call: Caller) -> None:
    fields = {"seconds": [0, 0], "status": "DONE", "result": {"a": 1}}
    definition = call("POST", "/_sandbox/definitions", fields).json()["id"]
    assert call("GET", f"/workflows/{call.run(definition)}").json()["status"] == "DONE"
    listed = [each["id"] for each in call("GET", "/_sandbox/definitions").json()["definitions"]]
    assert (listed[0], listed[-1]) == (DEFINITION, definition)


@pytest.mark.parametrize(
    ("body", "refresh"), [(None, 200), ({"refresh": False}, 200), ({"refresh": True}, 401)]
)
def test_tokens_are_expired(call: Caller, body: dict[str, bool] | None, refresh: int) -> None:
    tokens = call.authorize()
    assert call("POST", "/_sandbox/tokens/expire", body).status_code == 200
    assert call("GET", "/cases/x").status_code == 401
    response = call("POST", "/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    assert response.status_code == refresh


def test_the_secret_is_rotated(sandbox: Sandbox, call: Caller) -> None:
    before = {"key": sandbox.key, "secret": sandbox.secret}
    tokens = call.authorize()

    secret = call("POST", "/_sandbox/secret").json()["secret"]

    assert secret == sandbox.secret == sandbox.connection_with_key["password"]
    assert call("GET", "/cases/x").status_code == 401
    assert call("POST", "/auth/refresh", {"refreshToken": tokens["refreshToken"]}).status_code == 401
    assert call("POST", "/auth/authorize", before).status_code == 401
    assert call("POST", "/auth/authorize", before | {"secret": secret}).status_code == 200


def test_webhooks_are_controlled(sandbox: Sandbox, call: Caller) -> None:
    body = {"url": "http://destination/", "nested": True}
    assert call("POST", "/_sandbox/webhooks", body).status_code == 200
    assert call("POST", "/_sandbox/webhooks/faults", {"name": "lost", "times": 2}).status_code == 201
    listed = call("GET", "/_sandbox/webhooks").json()
    assert body.items() <= listed.items()
    assert listed["pending"] == 0
    assert [(fault["name"], fault["times"]) for fault in listed["faults"]] == [("lost", 2)]
    assert call("DELETE", "/_sandbox/faults").status_code == 200
    assert call("GET", "/_sandbox/webhooks").json()["faults"] == []
    assert call("POST", "/_sandbox/webhooks", {}).json().get("url") is None
    assert sandbox.webhooks.destination.url is None


@pytest.mark.parametrize(("body", "status"), [(None, 200), ({"keep_old": False}, 404)])
def test_the_key_of_webhooks_is_rotated(
    sandbox: Sandbox, call: Caller, body: dict[str, bool] | None, status: int
) -> None:
    old = key_id(sandbox.sign(b""))
    new = call("POST", "/_sandbox/webhooks/key", body).json()["kid"]
    assert key_id(sandbox.sign(b"")) == new != old
    assert call("GET", f"/auth/webhooks/key/{old}").status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("definitions", {"second": 1}),
        ("definitions", {"seconds": "1"}),
        ("tokens/expire", {"refresh": "yes"}),
        ("webhooks", {"url": "ftp://destination/"}),
        ("webhooks", {"url": "destination"}),
        ("webhooks", {"url": "http://"}),
        ("webhooks", {"url": "http://[::"}),
        ("webhooks", {"url": "http://destination/", "identifier": "caseId"}),
        ("webhooks", {"url": "http://destination/", "pause_seconds": 0}),
        ("webhooks/faults", {"name": "late"}),
        ("webhooks/key", {"keep_old": "no"}),
    ],
)
def test_a_body_that_cannot_be_right_is_refused(call: Caller, path: str, body: object) -> None:
    assert error_code(call("POST", f"/_sandbox/{path}", body)) == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("faults", [], "a JSON object is needed"),
        (
            "faults",
            {"name": "rate_limited", "retry_after": []},
            "retry_after: Input should be a valid number",
        ),
        ("definitions", {"seconds": "1"}, "seconds: Input should be a valid number"),
        ("faults", {"name": "forbidden", "method": "get"}, "method one that the endpoint has, in capitals"),
    ],
)
def test_a_refusal_says_what_is_wrong(call: Caller, path: str, body: object, message: str) -> None:
    assert message in call("POST", f"/_sandbox/{path}", body).json()["errors"][0]["message"]
