"""The OpenAPI document is valid, and describes what the sandbox does."""

from __future__ import annotations

import openapi_spec_validator
import pytest

from airflow_provider_workflows.sandbox.routes import ROUTES, Route
from tests.unit.sandbox.conftest import Caller


@pytest.mark.thorough
def test_the_document_is_valid(call: Caller) -> None:
    call.token = ""
    document = call("GET", "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    openapi_spec_validator.validate(document)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_the_document_describes_what_the_endpoint_does(call: Caller, route: Route) -> None:
    document = call("GET", "/openapi.json").json()
    operation = document["paths"][route.path][route.method.lower()]
    call.token = ""
    path = route.path.replace("{", "").replace("}", "")
    status = str(call(route.method, path, [] if route.request else None).status_code)
    assert status == ("401" if "security" in operation else "400")
    assert status in operation["responses"]
    assert ("requestBody" in operation) == (route.request is not None)
