"""The endpoints of the API, generation 1: the table that both the server and its OpenAPI document read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from airflow_provider_workflows import __version__
from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.service import Service


@dataclass(frozen=True)
class Route:
    """One endpoint as the sandbox serves it.

    :param method: the HTTP method
    :param path: the path, with at most one id in it: ``/workflows/{workflowId}``
    :param summary: what the endpoint does, as an imperative
    :param operation: the function that does it; its arguments are the service, then the body as a
        ``request``, or else the id in the path and the values of ``flags``
    :param response: the model of the response, or None for plain text
    :param refusals: the statuses that it responds with beside success
    :param request: the model of the body, if there is one
    :param success: the status of success
    :param authenticated: whether it needs a token
    :param flags: the names of the query's parameters, each ``true`` or ``false``
    """

    method: str
    path: str
    summary: str
    operation: Callable[..., JsonObject | str]
    response: type[models.ResponseBody] | None
    refusals: tuple[int, ...]
    request: type[models.RequestBody] | None = None
    success: int = 200
    authenticated: bool = True
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The route's name in counts."""
        return f"{self.method} {self.path}"


STATUS_PATH = "/workflows/{workflowId}"

ROUTES = (
    Route(
        "POST",
        "/auth/authorize",
        "Obtain tokens for an API key",
        operation=lambda service, body: service.tokens.authorize(body),
        request=models.ApiKey,
        response=models.Tokens,
        refusals=(400, 401, 413, 415),
        authenticated=False,
    ),
    Route(
        "POST",
        "/auth/refresh",
        "Obtain new tokens for a refresh token",
        operation=lambda service, body: service.tokens.refresh(body),
        request=models.RefreshToken,
        response=models.Tokens,
        refusals=(400, 401, 413, 415),
        authenticated=False,
    ),
    Route(
        "GET",
        "/auth/webhooks/key/{kid}",
        "Read a public key that webhooks are signed with",
        operation=lambda service, kid, pem: service.webhooks.keys.read(kid, pem),
        response=None,
        refusals=(400, 404),
        authenticated=False,
        flags=("pem",),
    ),
    Route(
        "POST",
        "/cases",
        "Create a case",
        operation=Service.create_case,
        request=models.CaseDetails,
        response=models.Case,
        refusals=(400, 401, 413, 415),
        success=201,
    ),
    Route(
        "GET",
        "/cases/{caseId}",
        "Read a case",
        operation=Service.read_case,
        response=models.Case,
        refusals=(401, 404),
    ),
    Route(
        "POST",
        "/parameters",
        "Create a set of parameters for a workflow definition",
        operation=Service.create_parameters,
        request=models.ParametersDetails,
        response=models.Parameters,
        refusals=(400, 401, 404, 413, 415),
        success=201,
    ),
    Route(
        "POST",
        "/workflows/run",
        "Run a workflow for a case",
        operation=Service.run,
        request=models.RunDetails,
        response=models.StartedWorkflow,
        refusals=(400, 401, 403, 404, 413, 415),
    ),
    Route(
        "GET",
        STATUS_PATH,
        "Check the status of a workflow",
        operation=Service.read_workflow,
        response=models.Workflow,
        refusals=(401, 404),
    ),
    Route(
        "GET",
        "/workflows/{workflowId}/result",
        "Fetch the result of a completed workflow",
        operation=Service.read_result,
        response=models.WorkflowResult,
        refusals=(401, 404),
    ),
)

SECURITY_SCHEMES: JsonObject = {
    "accessToken": {"type": "http", "scheme": "bearer"},
    "organizationToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "An organization token (it begins with tot_), without a scheme.",
    },
}

Mode = Literal["validation", "serialization"]
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


def openapi_document(routes: Sequence[Route]) -> JsonObject:
    """Return the OpenAPI 3.1 document of ``routes``."""
    schemas = _Schemas(routes)
    paths: JsonObject = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Workflows API (sandbox)",
            "version": __version__,
            "description": "Generation 1 of the Workflows API, as the sandbox serves it.",
        },
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": SECURITY_SCHEMES},
    }


class _Schemas:
    """The JSON schemas of the routes' models, each under its own name."""

    def __init__(self, routes: Sequence[Route]) -> None:
        wanted: list[tuple[type[BaseModel], Mode]] = [(models.ErrorBody, "serialization")]
        for route in routes:
            if route.response is not None:
                wanted.append((route.response, "serialization"))
            if route.request is not None:
                wanted.append((route.request, "validation"))
        self._references, schema = models_json_schema(
            list(dict.fromkeys(wanted)), ref_template="#/components/schemas/{model}"
        )
        self.definitions: dict[str, Any] = schema["$defs"]

    def content(self, model: type[BaseModel] | None, mode: Mode = "serialization") -> JsonObject:
        """Return the content of a body that is a ``model``, or plain text without one."""
        if model is None:
            return {"text/plain": {"schema": {"type": "string"}}}
        return {"application/json": {"schema": self._references[model, mode]}}


def _operation(route: Route, schemas: _Schemas) -> JsonObject:
    responses: JsonObject = {
        str(route.success): {"description": route.summary, "content": schemas.content(route.response)}
    }
    for status in route.refusals:
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": schemas.content(models.ErrorBody),
        }
    operation: JsonObject = {"summary": route.summary, "responses": responses}
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "boolean"}} for name in route.flags]
    if parameters:
        operation["parameters"] = parameters
    if route.request is not None:
        operation["requestBody"] = {
            "required": True,
            "content": schemas.content(route.request, "validation"),
        }
    if route.authenticated:
        operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    return operation
