"""Tables and their records: what is kept, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_workflows.sandbox import READY_RECORD, SLOW_DEFINITION, TABLE, TYPED_TABLE, Sandbox
from airflow_provider_workflows.sandbox.table_routes import TABLE_ROUTES
from tests.unit.sandbox.conftest import Caller, error_code

NOWHERE = "9c5d2f0a-63be-4f21-8a47-1be0c94d7a35"
RECORDS = f"/tables/{TABLE}/records"
TYPED_RECORDS = f"/tables/{TYPED_TABLE}/records"
VALUES = {
    "firstName": "Ada",
    "tags": ["a", 1, None],
    "nested": {"deep": [True]},
    "empty": None,
    "śląski": 1.5,
}
ONE_OF_EACH: dict[str, Any] = {
    "born": "1985-01-01",
    "seen": "2026-11-28T04:10:00+01:00",
    "amount": 12.5,
    "count": 3,
    "name": "Ada",
    "active": False,
    "document": {"a": [1]},
    "tags": [1, "b"],
    "risk": "LOW",
    "lists": ["PEP", "MEDIA"],
    "owner": "ada@example.com",
    "reference": "0007",
}


def test_a_record_is_created_and_read_with_any_fields(sandbox: Sandbox, call: Caller) -> None:
    response = call("POST", RECORDS, VALUES)
    record = response.json()
    assert response.status_code == 201
    assert record == VALUES | {name: record[name] for name in ("id", "version", "createdAt", "updatedAt")}
    assert (record["version"], record["createdAt"]) == (1, record["updatedAt"])
    assert call("GET", f"{RECORDS}/{record['id']}").json() == record
    assert sandbox.counts.records == 1


def test_a_record_needs_no_field(call: Caller) -> None:
    assert set(call("POST", RECORDS, {}).json()) == {"id", "version", "createdAt", "updatedAt"}


def test_a_record_is_there_from_the_start(sandbox: Sandbox, call: Caller) -> None:
    assert call("GET", f"{RECORDS}/{READY_RECORD}").json()["firstName"] == "Jana"
    assert sandbox.counts.records == 0


def test_a_declared_table_takes_a_field_of_each_type(call: Caller) -> None:
    record = call("POST", TYPED_RECORDS, ONE_OF_EACH).json()
    assert ONE_OF_EACH.items() <= record.items()
    assert call("POST", TYPED_RECORDS, dict.fromkeys(ONE_OF_EACH)).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("born", "1985-02-30"),
        ("born", "19850101"),
        ("born", "1985-01-01T00:00:00"),
        ("born", 19850101),
        ("seen", "2026-11-28"),
        ("seen", "2026-11-28T25:00:00Z"),
        ("seen", 1764288000),
        ("amount", "12.5"),
        ("amount", True),
        ("count", 3.0),
        ("count", False),
        ("name", 7),
        ("active", "yes"),
        ("active", 1),
        ("tags", "a"),
        ("tags", {}),
        ("risk", "NONE"),
        ("risk", ["LOW"]),
        ("lists", "PEP"),
        ("lists", ["PEP", "NONE"]),
        ("lists", [1]),
        ("lists", [["PEP"]]),
        ("owner", 7),
        ("reference", 7),
    ],
)
def test_a_declared_table_checks_its_fields(
    sandbox: Sandbox, call: Caller, field: str, value: object
) -> None:
    response = call("POST", TYPED_RECORDS, {**ONE_OF_EACH, field: value})
    assert (response.status_code, error_code(response)) == (400, "VALIDATION_FAILED")
    assert response.json()["errors"][0]["message"].startswith(f"{field}: is not of the type ")
    assert sandbox.counts.records == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (f"/tables/{NOWHERE}/records", {}, 404, "There is no such table."),
        (RECORDS, [], 400, "a JSON object is needed"),
        (RECORDS, None, 415, "must be application/json"),
        (RECORDS, {"id": "x", "updatedAt": "y"}, 400, "id, updatedAt: is given by the service"),
        (TYPED_RECORDS, {"85010112345": 1}, 400, "there is an unknown field; known fields: born, seen"),
    ],
)
def test_a_record_is_refused(call: Caller, path: str, body: object, status: int, message: str) -> None:
    response = call("POST", path, body)
    assert response.status_code == status
    assert message in response.json()["errors"][0]["message"]
    assert "85010112345" not in response.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b"[" * 9999]
)
def test_a_garbage_record_is_a_bad_request(call: Caller, body: bytes) -> None:
    headers = {"Authorization": call.token, "Content-Type": "application/json"}
    assert call("POST", RECORDS, data=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/tables/{NOWHERE}/records/{READY_RECORD}", "TABLE_NOT_FOUND"),
        (f"{RECORDS}/{NOWHERE}", "RECORD_NOT_FOUND"),
        (f"{TYPED_RECORDS}/{READY_RECORD}", "RECORD_NOT_FOUND"),
        (f"{RECORDS}/{NOWHERE}/attachments", "RECORD_NOT_FOUND"),
        (f"{RECORDS}/{READY_RECORD}/attachments/{NOWHERE}", "ATTACHMENT_NOT_FOUND"),
    ],
)
def test_what_does_not_exist_is_not_found(call: Caller, path: str, code: str) -> None:
    response = call("GET", path)
    assert (response.status_code, error_code(response)) == (404, code)


def test_tables_are_defined_in_code_and_over_http(sandbox: Sandbox, call: Caller) -> None:
    assert sandbox.define_table(NOWHERE, fields={"age": "integer"}) == NOWHERE
    assert call("POST", f"/tables/{NOWHERE}/records", {"age": "7"}).status_code == 400
    fields = {"fields": {"risk": "singleSelect"}, "options": {"risk": ["LOW"]}}
    defined = call("POST", "/_sandbox/tables", fields).json()
    assert call("POST", f"/tables/{defined['id']}/records", {"risk": "LOW"}).status_code == 201
    assert call("POST", f"/tables/{defined['id']}/records", {"risk": "HIGH"}).status_code == 400
    listed = [table["id"] for table in call("GET", "/_sandbox/tables").json()["tables"]]
    assert listed == [table.id for table in sandbox.tables] == [TABLE, TYPED_TABLE, NOWHERE, defined["id"]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fields": {"age": "int"}}, "fields.age: Input should be 'date'"),
        ({"fields": {"id": "text"}}, "each record has the fields id already"),
        ({"fields": {"age": "integer"}, "options": {"age": ["1"]}}, "options are for fields of the types"),
        ({"options": {"age": ["1"]}}, "options are for fields of the types"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(
    sandbox: Sandbox, call: Caller, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sandbox.define_table(**fields)
    assert call("POST", "/_sandbox/tables", fields).status_code == 400


@pytest.mark.parametrize("version", [2, 3])
def test_a_run_of_a_record_is_counted_by_it(sandbox: Sandbox, call: Caller, version: int) -> None:
    record = call("POST", RECORDS, VALUES).json()["id"]
    path = "/workflows" if version == 3 else "/workflows/run"
    headers = {"Authorization": call.token, "Accept": "application/json;version=2"}
    body = {"workflowDefinitionId": SLOW_DEFINITION, "recordId": record}
    started = [call("POST", path, body, headers=headers) for _ in range(2)]
    assert [response.status_code for response in started] == [200, 200]
    assert started[0].json().get("recordId") == (record if version == 2 else None)
    assert sandbox.counts.runs_per_record == sandbox.counts.runs_per_subject == {record: 2}
    response = call("POST", path, {**body, "recordId": NOWHERE}, headers=headers)
    assert (response.status_code, error_code(response)) == (404, "RECORD_NOT_FOUND")
    assert sandbox.counts.runs == 2


@pytest.mark.parametrize("route", TABLE_ROUTES, ids=lambda route: route.name)
def test_a_scope_is_named_where_it_is_missing(sandbox: Sandbox, call: Caller, route: Any) -> None:
    call.token = sandbox.issue_organization_token("can_run")
    response = call(route.method, route.path.replace("{", "").replace("}", ""))
    assert (response.status_code == 403) == bool(route.scopes)
    if route.scopes:
        assert route.scopes[0] in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("route", TABLE_ROUTES, ids=lambda route: route.name)
def test_a_fault_applies_to_each_of_the_paths(sandbox: Sandbox, call: Caller, route: Any) -> None:
    sandbox.fault("server_error", path=route.path, method=route.method)
    path = route.path.replace("{", "").replace("}", "")
    assert call(route.method, path).status_code == 503
    assert sandbox.counts.requests == {route.name: 1}


@pytest.mark.parametrize("route", TABLE_ROUTES, ids=lambda route: route.name)
def test_the_document_describes_it(call: Caller, route: Any) -> None:
    operation = call("GET", "/openapi.json").json()["paths"][route.path][route.method.lower()]
    call.token = ""
    status = str(call(route.method, route.path.replace("{", "").replace("}", "")).status_code)
    assert status == ("401" if "security" in operation else "400")
    assert status in operation["responses"]
    assert ("requestBody" in operation) == (route.method == "POST")
