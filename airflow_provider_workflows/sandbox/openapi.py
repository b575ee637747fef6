"""The OpenAPI document of the API, made from its routes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from airflow_provider_workflows import __version__
from airflow_provider_workflows.api import models
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.route import Route

SECURITY_SCHEMES: JsonObject = {
    "accessToken": {"type": "http", "scheme": "bearer"},
    "organizationToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "An organization token (it begins with tot_), without a scheme.",
    },
}

_ANY_OBJECT: JsonObject = {"application/json": {"schema": {"type": "object"}}}
_FORM: JsonObject = {
    "multipart/form-data": {
        "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    }
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
            "description": "The Workflows API, generations 1 to 3, as the sandbox serves it.",
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
            wanted += [(request, "validation") for request in route.requests.values()]
        self._references, schema = models_json_schema(
            list(dict.fromkeys(wanted)), ref_template="#/components/schemas/{model}"
        )
        self.definitions: dict[str, Any] = schema["$defs"]

    def response(self, model: type[BaseModel] | None) -> JsonObject:
        """Return the content of a response that is a ``model``, or without one plain text or a file."""
        if model is None:
            return {"*/*": {"schema": {"type": "string"}}}
        return {"application/json": {"schema": self._references[model, "serialization"]}}

    def request(self, alternatives: Collection[type[BaseModel]]) -> JsonObject:
        """Return the content of a body that is one of the models."""
        schemas = [self._references[model, "validation"] for model in alternatives]
        return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


def _operation(route: Route, schemas: _Schemas) -> JsonObject:
    responses: JsonObject = {
        str(route.success): {"description": route.summary, "content": schemas.response(route.response)}
    }
    for status in route.refusals:
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": schemas.response(models.ErrorBody),
        }
    operation: JsonObject = {"summary": route.summary, "responses": responses}
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_PARAMETER.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": {"type": kind}} for name, kind in route.query.items()
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.receives == "object":
        operation["requestBody"] = {"required": True, "content": _ANY_OBJECT}
    elif route.receives is not None:
        operation["requestBody"] = {"required": True, "content": _FORM}
    elif route.requests:
        operation["requestBody"] = {"required": True, "content": schemas.request(route.requests.values())}
    if route.authenticated:
        operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
    return operation
