"""Whatever a client sends, the response is a refusal, and neither it nor the log repeats what was sent."""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.routes import ROUTES
from tests.unit.sandbox.conftest import Caller, error_code

BODIES = {
    "empty": b"",
    "half": b'{"firstName": ',
    "null": b"null",
    "binary": b"\xff\xfe\x00\x01",
    "other encoding": '{"firstName": "é"}'.encode("utf-16"),
    "not a number": b'{"firstName": NaN}',
    "infinite": b'{"workflowDefinitionId": "x", "parameters": {"a": 1e999}}',
    "many digits": b'{"personalNumber": ' + b"9" * 6000 + b"}",
    "half a character": b'{"key": "\\ud800", "secret": "\\ud800", "firstName": "\\ud800"}',
    "a name twice": b'{"firstName": "x", "firstName": "y"}',
    "deep": b"[" * 100_000,
    "deep and whole": b'{"a":' * 150 + b"1" + b"}" * 150,
    "wrong types": b'{"key": [], "caseId": {}, "parameters": 1, "refreshToken": false, "phone": "x"}',
}
REFRESH = b"POST /auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.request])
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_garbage_body_is_a_bad_request(call: Caller, path: str, body: bytes) -> None:
    headers = {"Authorization": call.token, "Content-Type": "application/json"}
    assert call("POST", path, data=body, headers=headers).status_code == 400


def test_a_body_that_is_too_large_is_refused(call: Caller) -> None:
    assert call("POST", "/cases", {"firstName": "x" * 1_000_001}).status_code == 413


def test_a_large_body_is_served(call: Caller) -> None:
    assert call("POST", "/cases", {"firstName": "x" * 990_000}).status_code == 201


@pytest.mark.parametrize("depth", [99, 100])
def test_depth_is_bounded(call: Caller, depth: int) -> None:
    body = b'{"a":' * depth + b"1" + b"}" * depth
    headers = {"Authorization": call.token, "Content-Type": "application/json"}
    parameters = (
        b'{"workflowDefinitionId": "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c", "parameters": ' + body + b"}"
    )
    response = call("POST", "/parameters", data=parameters, headers=headers)
    assert response.status_code == (201 if depth == 99 else 400)


@pytest.mark.parametrize(
    "path", ["/cases/%00%ff", "/workflows/..%2f..%2fetc", "/%f0%28%8c", "/cases/" + "a" * 4000]
)
def test_a_garbage_path_is_not_found(call: Caller, path: str) -> None:
    assert call("GET", path).status_code == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET 85010112345\r\n\r\n",
        b"POST /cases HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        REFRESH + b"Transfer-Encoding: chunked\r\n\r\n85010112345\r\n",
        REFRESH + b"Content-Length: 100\r\n\r\n85010112345",
    ],
)
def test_garbage_on_the_socket_is_not_an_error_of_the_server(
    sandbox: Sandbox, call: Caller, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(sandbox.url)
    with (
        caplog.at_level(logging.DEBUG),
        socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection,
    ):
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        response = connection.recv(65536)
        assert call("POST", "/cases", {}).status_code == 201
    assert not response or b" 400 " in response.splitlines()[0]
    assert "85010112345" not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("path", ["/auth/authorize", "/auth/refresh", "/cases", "/workflows/run"])
@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}],
)
def test_only_plain_json_is_read(call: Caller, path: str, headers: dict[str, str]) -> None:
    response = call("POST", path, data=b"{}", headers={"Authorization": call.token, **headers})
    assert (response.status_code, error_code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "body",
    [
        {"personalNumber": {"is": "85010112345"}},
        {"85010112345": "x"},
        {"phone": {"countryCode": "48", "85010112345": 1}},
        {"documents": [{"resourceId": ["85010112345"]}]},
    ],
)
def test_an_error_repeats_nothing_that_was_sent(call: Caller, body: dict[str, object]) -> None:
    response = call("POST", "/cases", body)
    assert response.status_code == 400
    assert "85010112345" not in response.text


def test_an_error_names_the_field_that_is_wrong(call: Caller) -> None:
    message = call("POST", "/cases", {"documents": [{"resourceName": 1}]}).json()["errors"][0]["message"]
    assert message == "documents.0.resourceName: Input should be a valid string"
