"""What the client sends and the sandbox responds with is what the OpenAPI document says, in each generation."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import requests

from airflow_provider_workflows.api import Settings, endpoints
from airflow_provider_workflows.api.effects import Response, SendRequest
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.generations import GENERATIONS
from airflow_provider_workflows.api.responses import read
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.sandbox import READY_RECORD, SLOW_DEFINITION, TABLE, Sandbox
from airflow_provider_workflows.sandbox.openapi import openapi_document
from airflow_provider_workflows.sandbox.routes import ALL_ROUTES
from airflow_provider_workflows.sandbox.service import END_USER_PATH
from airflow_provider_workflows.sandbox.table_routes import ATTACHMENTS, FILES, TABLE_ROUTES
from tests.unit.sandbox.conftest import CASE, LIMIT_SECONDS

DOCUMENT = openapi_document(ALL_ROUTES)
PARAMETERS = {"param0": 0, "param1": 1.2222, "param2": True, "param3": "text"}
PERSON: dict[str, Any] = {
    "first_name": "Ada",
    "personal_number": "01020304",
    "phone": {"country_code": "48", "number": "666666666"},
    "documents": [{"resource_id": "r", "resource_name": "a.pdf", "resource_path": "resources/r/a.pdf"}],
}

Endpoint = endpoints.Endpoint[Any]


#: What runs are started with, by generation.
RUNS: list[tuple[int, dict[str, Any]]] = [
    (1, {"case_id": CASE}),
    (1, {"case_id": CASE, "parameters_id": "created"}),
    (2, {}),
    (2, {"case_id": CASE}),
    (2, {"record_id": READY_RECORD, "parameters_id": "created"}),
    (3, {}),
    (3, {"parameters": PARAMETERS, "locale": "en"}),
    (
        3,
        {
            "record_id": READY_RECORD,
            "parameters": PARAMETERS,
            "locale": "en",
            "expires_at": timedelta(days=2),
        },
    ),
]


class Calls:
    """Makes the calls of a generation, and what there must be for them."""

    def __init__(self, sandbox: Sandbox, generation: int) -> None:
        self._sandbox = sandbox
        self._client = sandbox.client(api_generation=generation)
        self._generation = generation

    def close(self) -> None:
        self._client.close()

    def start(self, **given: Any) -> Endpoint:
        """Return the call that starts a run with what is given."""
        if "parameters_id" in given:
            given["parameters_id"] = self._client.create_parameters(SLOW_DEFINITION, PARAMETERS).id
        return endpoints.run_workflow(RunDetails(SLOW_DEFINITION, **given), self._generation)

    def read_run(self) -> Endpoint:
        """Return the call that reads a run of the generation that goes on."""
        return endpoints.read_workflow(self._run(3600.0))

    def read_result(self) -> Endpoint:
        """Return the call that reads the result of a run of the generation."""
        return endpoints.read_result(self._run(0.0))

    def _run(self, seconds: float) -> str:
        definition_id = self._sandbox.define(seconds=seconds, result={"decision": "PASS"})
        details = RunDetails(definition_id, case_id=CASE if self._generation == 1 else None)
        return self._client.start_run(details).id


Make = Callable[[Calls], Endpoint]

CALLS: list[tuple[str, tuple[int, ...], Make]] = [
    ("create a case", (1, 2), lambda _: endpoints.create_case(PERSON)),
    ("create a case without details", (1, 2), lambda _: endpoints.create_case({})),
    ("read a case", (1, 2), lambda _: endpoints.read_case(CASE)),
    ("create parameters", (1, 2), lambda _: endpoints.create_parameters(SLOW_DEFINITION, PARAMETERS)),
    (
        "create a record",
        (2, 3),
        lambda _: endpoints.create_record(TABLE, {"firstName": "Ada", "tags": ["a"]}),
    ),
    ("read a record", (2, 3), lambda _: endpoints.read_record(TABLE, READY_RECORD)),
    *(
        (f"run with {', '.join(given) or 'nothing'}", (generation,), partial(Calls.start, **given))
        for generation, given in RUNS
    ),
    ("read a run", (1, 2, 3), Calls.read_run),
    ("read a result", (1, 2, 3), Calls.read_result),
]

#: Routes that no row above calls: their tests are beside the tokens', the webhooks', the links' and the files' own.
TESTED_ELSEWHERE = {
    "POST /auth/authorize",
    "POST /auth/refresh",
    "GET /auth/webhooks/key/{kid}",
    f"GET {END_USER_PATH}",
    *(
        route.name
        for route in TABLE_ROUTES
        if route.receives in ("file", "kept file") or route.path.startswith((ATTACHMENTS, FILES))
    ),
}


def path_of(endpoint: Endpoint) -> str:
    """Return the endpoint's path in the document; the more literal one where two fit."""
    return next(
        path
        for path, operations in sorted(DOCUMENT["paths"].items(), key=lambda one: one[0].count("{"))
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), endpoint.path)
        and endpoint.method.lower() in operations
    )


def operation_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the document says of the endpoint."""
    operation: dict[str, Any] = DOCUMENT["paths"][path_of(endpoint)][endpoint.method.lower()]
    return operation


def require_valid(value: Any, content: dict[str, Any]) -> None:
    schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def send(sandbox: Sandbox, endpoint: Endpoint, generation: int) -> requests.Response:
    """Send the request that a client of the generation sends, byte for byte."""
    settings = Settings(host=sandbox.url, secret=sandbox.organization_token, api_generation=generation)
    request = next(Exchange(settings).perform(endpoint))
    assert isinstance(request, SendRequest)
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            request.method,
            sandbox.url + request.path,
            data=request.body,
            headers=dict(request.headers),
            timeout=LIMIT_SECONDS,
        )


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("generation", "make"),
    [
        pytest.param(generation, make, id=f"{generation}: {name}")
        for generation in GENERATIONS
        for name, generations, make in CALLS
        if generation in generations
    ],
)
def test_a_call_is_what_the_document_says(sandbox: Sandbox, generation: int, make: Make) -> None:
    with contextlib.closing(Calls(sandbox, generation)) as calls:
        endpoint = make(calls)
    operation = operation_of(endpoint)

    response = send(sandbox, endpoint, generation)

    assert response.ok, response.text
    if endpoint.body is not None:
        require_valid(json.loads(response.request.body or b""), operation["requestBody"]["content"])
    require_valid(response.json(), operation["responses"][str(response.status_code)]["content"])
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert read(endpoint, Response(response.status_code, headers, response.content), now=0.0)


def test_each_endpoint_of_the_api_is_called_here(sandbox: Sandbox) -> None:
    called = set()
    for generation in GENERATIONS:
        with contextlib.closing(Calls(sandbox, generation)) as calls:
            made = [make(calls) for _, generations, make in CALLS if generation in generations]
        called |= {f"{endpoint.method} {path_of(endpoint)}" for endpoint in made}

    assert called == {route.name for route in ALL_ROUTES} - TESTED_ELSEWHERE


@pytest.mark.parametrize("generation", GENERATIONS)
def test_runs_are_started_with_each_argument_that_the_generation_has(generation: int) -> None:
    given = {name for number, arguments in RUNS if number == generation for name in arguments}

    assert given == GENERATIONS[generation].run_arguments
