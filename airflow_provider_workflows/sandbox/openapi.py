"""The OpenAPI document of the sandbox, made from the routes that it serves and the models that it checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from airflow_provider_workflows import __version__
from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.routes import Route

SECURITY_SCHEMES: JsonObject = {
    "accessToken": {"type": "http", "scheme": "bearer"},
    "organizationToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "An organization token (it begins with tot_), as it is.",
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
            "description": "Generation 1 of the Workflows API, as the sandbox speaks it.",
        },
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": SECURITY_SCHEMES},
    }


class _Schemas:
    """The JSON schemas of all models of the routes, each under its own name."""

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
        """Return a body that is a ``model``, or with None plain text."""
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
