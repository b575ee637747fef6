"""The requests of the service's own reference are accepted byte for byte, over a bare connection."""

from __future__ import annotations

import http.client
import json
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_workflows.sandbox import READY_RECORD, SLOW_DEFINITION, TABLE, Sandbox
from tests.unit.sandbox.conftest import CASE

PARAMETERS = {"param0": 0, "param1": 1.2222, "param2": True, "param3": "text"}
RUN = {"workflowDefinitionId": SLOW_DEFINITION}
RESOURCE = {
    "resourceId": "0b7e6d51",
    "resourceName": "File name.pdf",
    "resourcePath": "resources/6f0d8b1c-24e7-4a53-9b80-d1c7e95f3a42/0b7e6d51/File name.pdf",
}
CASE_DETAILS = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "personalNumber": "01020304",
    "email": "ada@example.com",
    "phone": {"countryCode": "48", "number": "666666666"},
    "companyName": "Engines",
    "companyNumber": "0007",
    "companyAddress": "1 Analytical Street",
    "documents": [RESOURCE],
}
FORM = (
    b"--boundary\r\n"
    b'Content-Disposition: form-data; name="file"; filename="File name.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n%PDF\r\n--boundary--\r\n"
)
JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data; boundary=boundary"
VERSION_1 = "application/json;version=1"
VERSION_2 = "application/json;version=2"


def send(sandbox: Sandbox, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Return the status of a response, and its JSON object."""
    address = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    body = options.get("body")
    headers = {
        "Authorization": sandbox.organization_token,
        "Accept": options.get("accept", JSON_TYPE),
        "Content-Type": FORM_TYPE if isinstance(body, bytes) else JSON_TYPE,
    }
    try:
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


CREATED = [
    # All of a case is optional, and its number may come as a number.
    ("/cases", {}),
    ("/cases", {"personalNumber": 85010112345}),
    ("/cases", CASE_DETAILS),
    ("/parameters", {**RUN, "parameters": PARAMETERS}),
]


def in_a_week() -> str:
    return (datetime.now(timezone.utc) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("accept", [JSON_TYPE, VERSION_1, VERSION_2])
@pytest.mark.parametrize(("path", "body"), CREATED)
def test_cases_and_parameters_are_created(
    sandbox: Sandbox, accept: str, path: str, body: dict[str, Any]
) -> None:
    assert send(sandbox, "POST", path, body=body, accept=accept)[0] == 201


@pytest.mark.parametrize(
    ("path", "accept", "subject"),
    [
        ("/workflows/run", JSON_TYPE, {"caseId": CASE}),
        ("/workflows/run", VERSION_1, {"caseId": CASE}),
        ("/workflows/run", VERSION_2, {"recordId": READY_RECORD}),
        ("/workflows/run", VERSION_2, {"caseId": CASE}),
        ("/workflows/run", VERSION_2, {}),
        ("/workflows", JSON_TYPE, {"locale": "en", "parameters": PARAMETERS}),
        ("/workflows", JSON_TYPE, {"locale": "en", "parameters": PARAMETERS, "recordId": READY_RECORD}),
    ],
)
def test_runs_of_each_generation_are_started(
    sandbox: Sandbox, path: str, accept: str, subject: dict[str, Any]
) -> None:
    status, started = send(sandbox, "POST", path, body={**RUN, **subject}, accept=accept)
    assert (status, started["status"], sandbox.counts.runs) == (200, "RUNNING", 1)


def test_a_run_with_an_expiry_is_started(sandbox: Sandbox) -> None:
    expires_at = in_a_week()
    body = {**RUN, "locale": "en", "parameters": PARAMETERS, "expiresAt": expires_at}
    status, started = send(sandbox, "POST", "/workflows", body=body)
    assert (status, started["expiresAt"]) == (200, expires_at.replace("Z", ".000Z"))


def test_parameters_of_a_run_are_those_that_were_created(sandbox: Sandbox) -> None:
    _, parameters = send(sandbox, "POST", "/parameters", body={**RUN, "parameters": PARAMETERS})
    body = {**RUN, "caseId": CASE, "parametersId": parameters["id"]}
    assert send(sandbox, "POST", "/workflows/run", body=body)[0] == 200
    assert sandbox.counts.runs_per_parameter("param3") == {"text": 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/tables/{TABLE}/records", {"firstName": "Ada", "born": "1985-01-01", "tags": ["a"]}),
        (f"/tables/{TABLE}/records/{READY_RECORD}/attachments", FORM),
        ("/resources", FORM),
    ],
)
def test_records_and_files_are_created(sandbox: Sandbox, path: str, body: Any) -> None:
    assert send(sandbox, "POST", path, body=body)[0] == 201


def test_the_document_of_a_case_is_a_resource_as_it_was_given(sandbox: Sandbox) -> None:
    _, resource = send(sandbox, "POST", "/resources", body=FORM)
    assert set(resource) == set(RESOURCE)
    _, case = send(sandbox, "POST", "/cases", body={"documents": [resource]})
    assert case["partyDetails"]["documents"] == [resource]


def test_key_and_secret_give_tokens_and_a_refresh_token_gives_others(sandbox: Sandbox) -> None:
    key = {"key": sandbox.key, "secret": sandbox.secret}
    status, tokens = send(sandbox, "POST", "/auth/authorize", body=key)
    refreshed, others = send(sandbox, "POST", "/auth/refresh", body={"refreshToken": tokens["refreshToken"]})
    assert (status, refreshed) == (200, 200)
    assert set(tokens) == set(others) == {"accessToken", "refreshToken", "expiryDuration", "tokenType"}


@pytest.mark.parametrize("accept", [JSON_TYPE, VERSION_1, VERSION_2])
@pytest.mark.parametrize(
    ("path", "subject"), [("/workflows/run", {"caseId": CASE}), ("/workflows", {"locale": "en"})]
)
def test_runs_of_each_generation_are_read_with_their_results(
    sandbox: Sandbox, path: str, subject: dict[str, Any], accept: str
) -> None:
    definition = {"workflowDefinitionId": sandbox.define(seconds=0.0, result={"decision": "PASS"})}
    _, started = send(sandbox, "POST", path, body={**definition, **subject})
    status, run = send(sandbox, "GET", f"/workflows/{started['id']}", accept=accept)
    found, result = send(sandbox, "GET", f"/workflows/{started['id']}/result", accept=accept)
    assert (status, run["id"], run["status"]) == (200, started["id"], "COMPLETED")
    assert (found, result["decision"]) == (200, "PASS")


def test_a_case_a_record_and_its_attachments_are_read(sandbox: Sandbox) -> None:
    record = f"/tables/{TABLE}/records/{READY_RECORD}"
    _, attachment = send(sandbox, "POST", f"{record}/attachments", body=FORM)
    paths = {
        "a case": f"/cases/{CASE}",
        "a record": record,
        "an attachment": f"{record}/attachments/{attachment['id']}",
    }
    read = {name: send(sandbox, "GET", path) for name, path in paths.items()}
    assert {status for status, _ in read.values()} == {200}
    assert read["a case"][1]["caseId"] == CASE
    assert {"id", "version", "createdAt", "updatedAt"} <= set(read["a record"][1])
    assert read["an attachment"][1]["link"].startswith(sandbox.url)
