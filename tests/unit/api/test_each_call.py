"""No place of a call of the API is forgotten: both clients, the sandbox, and the tests of its ids and responses."""

from __future__ import annotations

import inspect
import io
import re
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_workflows.api import (
    AsyncWorkflowsClient,
    WorkflowsClient,
    endpoints,
    errors,
    file_endpoints,
)
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.api.uploads import Upload
from airflow_provider_workflows.sandbox.route import Route
from airflow_provider_workflows.sandbox.routes import ALL_ROUTES

from .test_responses_of_others import READS

ID = "11111111-1111-4111-8111-111111111111"
CASE = "33333333-3333-4333-8333-aaaaaaaaaaaa"
UPLOAD = Upload.of("scan.pdf", lambda: io.BytesIO(b"%PDF-"))

#: Each endpoint function with arguments that are right.
SAMPLES: dict[str, dict[str, Any]] = {
    "authorize": {"key": "key", "secret": "secret"},
    "create_case": {"details": {"first_name": "Ada"}},
    "create_parameters": {"workflow_definition_id": ID, "parameters": {"limit": 1}},
    "create_record": {"table_id": ID, "fields": {"firstName": "Ada"}},
    "read_attachment_link": {"table_id": ID, "record_id": ID, "attachment_id": ID},
    "read_case": {"case_id": CASE},
    "read_record": {"table_id": ID, "record_id": ID},
    "read_result": {"workflow_id": ID, "case_id": CASE, "record_id": ID},
    "read_webhook_key": {"key_id": ID},
    "read_workflow": {"workflow_id": ID, "case_id": CASE, "record_id": ID},
    "refresh": {"refresh_token": "token"},
    "run_workflow": {"details": RunDetails(ID, CASE)},
    "upload_attachment": {"table_id": ID, "record_id": ID, "upload": UPLOAD},
    "upload_resource": {"upload": UPLOAD},
}

#: Those that are a part of another call, so that no client has a method of their name.
PARTS_OF_OTHERS = {"refresh", "read_attachment_link", "read_webhook_key"}
#: What a client has besides its calls, and the other has not.
WITHOUT_A_CALL = {"guarded"}
#: Arguments that an error names as the API does.
SPELLINGS = {"key_id": "kid"}
#: Those whose response is kept though it names something else: a run that exists must not be lost.
KEPT = {"run_workflow"}

IDS = [
    pytest.param(name, argument, id=f"{name}: {argument}")
    for name, arguments in SAMPLES.items()
    for argument, value in arguments.items()
    if value in (ID, CASE)
]


def functions_of(module: ModuleType) -> dict[str, Any]:
    """Return the functions of a module that make an endpoint, by their names."""
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and str(function.__annotations__["return"]).startswith("Endpoint[")
    }


FUNCTIONS = functions_of(endpoints) | functions_of(file_endpoints)


def calls_of(client: type) -> dict[str, list[str]]:
    """Return the names of the arguments of each public method of a client, by its name."""
    return {
        name: list(inspect.signature(method).parameters)
        for name, method in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }


def routes_of(endpoint: endpoints.Endpoint[Any]) -> list[Route]:
    """Return the routes of the sandbox that fit the endpoint, the most literal one first."""
    path = endpoint.path.partition("?")[0]
    fitting = [
        route
        for route in ALL_ROUTES
        if route.method == endpoint.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), path)
    ]
    return sorted(fitting, key=lambda route: route.path.count("{"))


def test_each_endpoint_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(FUNCTIONS)


def test_both_clients_have_the_same_calls_with_the_same_arguments() -> None:
    synchronous = {
        name: given for name, given in calls_of(WorkflowsClient).items() if name not in WITHOUT_A_CALL
    }

    assert calls_of(AsyncWorkflowsClient) == synchronous


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - PARTS_OF_OTHERS))
def test_each_endpoint_is_a_call_of_the_clients(name: str) -> None:
    assert name in calls_of(WorkflowsClient)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sandbox_has_each_endpoint(name: str) -> None:
    endpoint = FUNCTIONS[name](**SAMPLES[name])

    routes = routes_of(endpoint)

    assert routes, f"sandbox/routes.py has no {endpoint.method} {endpoint.path}"
    assert (routes[0].authenticated, routes[0].versioned) == (endpoint.authenticated, endpoint.versioned)


@pytest.mark.parametrize("name", SAMPLES)
def test_an_endpoint_that_compares_ids_has_a_response_about_something_else(name: str) -> None:
    endpoint = FUNCTIONS[name](**SAMPLES[name])

    if endpoint.expected and name not in KEPT:
        assert name in {call[0] for call, _, _ in READS.values()}, (
            "READS of test_responses_of_others.py lacks it"
        )


@pytest.mark.parametrize(("name", "argument"), IDS)
def test_what_is_no_id_is_refused_by_the_name_of_its_argument(name: str, argument: str) -> None:
    arguments = SAMPLES[name] | {argument: "02211012345"}

    with pytest.raises(errors.InvalidInput, match=SPELLINGS.get(argument, argument)) as raised:
        FUNCTIONS[name](**arguments)

    assert "02211012345" not in str(raised.value)
