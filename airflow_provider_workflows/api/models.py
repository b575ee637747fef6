"""What goes over the wire, generation 1 of the Workflows API.

Requests refuse fields that the API does not have; responses keep them. Python names are snake_case, the
wire's are camelCase, and both are accepted on input.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.errors import InvalidInput

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _text_from_number(value: Any) -> Any:
    """Return an identifier that came as a JSON number as the text that it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[str, BeforeValidator(_text_from_number), WithJsonSchema({"type": ["string", "integer"]})]
"""An identifier that may be written as a number: a personal or company number."""

ResponseId = Annotated[str, Field(min_length=1)]
"""An id given by the service, taken as it is."""


class RequestBody(BaseModel):
    """The body of a call."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        strict=True,
        frozen=True,
        str_strip_whitespace=True,
    )

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send, without the fields that were not given."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ResponseBody(BaseModel):
    """The body of a response; fields that are not known here are kept."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    def json_object(self) -> dict[str, Any]:
        """Return what came, under the wire's names and with the unknown fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class ApiKey(RequestBody):
    """Body of ``POST /auth/authorize``."""

    key: str
    secret: str = Field(repr=False)


class RefreshToken(RequestBody):
    """Body of ``POST /auth/refresh``."""

    refresh_token: str = Field(repr=False)


class Tokens(ResponseBody):
    """Response of ``POST /auth/authorize`` and ``POST /auth/refresh``; ``expiry_duration`` is in seconds."""

    access_token: str = Field(pattern=r"^[\x21-\x7e]+$", repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expiry_duration: float | None = None
    token_type: str | None = None


class Phone(RequestBody):
    """A phone number in its two parts, such as ``48`` and ``666666666``."""

    country_code: Number = Field(min_length=1)
    number: Number = Field(min_length=1)


class Document(RequestBody):
    """A document that belongs to a case."""

    resource_id: str | None = None
    resource_name: str | None = None
    resource_path: str | None = None


class CaseDetails(RequestBody):
    """Body of ``POST /cases``: the person or company that goes through a workflow, all of it optional."""

    first_name: str | None = None
    last_name: str | None = None
    personal_number: Number | None = None
    email: str | None = None
    phone: Phone | None = None
    company_name: str | None = None
    company_number: Number | None = None
    company_address: str | None = None
    documents: list[Document] | None = None


class PartyDetails(ResponseBody):
    """Whom a case is about, as the service tells it; its parts are kept as they came."""

    personal: dict[str, Any] | None = None
    business: dict[str, Any] | None = None
    documents: list[Any] | None = None


class Case(ResponseBody):
    """Response of ``POST /cases`` and ``GET /cases/{caseId}``."""

    case_id: ResponseId
    party_id: str | None = None
    created_date: str | None = None
    party_details: PartyDetails | None = None


class ParametersDetails(RequestBody):
    """Body of ``POST /parameters``."""

    workflow_definition_id: str
    parameters: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """Return the JSON object to send; a parameter that is None is sent as null."""
        return self.model_dump(mode="json", by_alias=True)


class Parameters(ResponseBody):
    """Response of ``POST /parameters``."""

    id: ResponseId
    workflow_definition_id: str | None = None


class RunDetails(RequestBody):
    """Body of ``POST /workflows/run``."""

    case_id: str
    workflow_definition_id: str
    parameters_id: str | None = None


class StartedWorkflow(ResponseBody):
    """Response of ``POST /workflows/run``. Only the id is needed: a run that exists must not be lost."""

    id: ResponseId
    case_id: str | None = None
    status: str | None = None


class Workflow(ResponseBody):
    """Response of ``GET /workflows/{workflowId}``."""

    id: ResponseId
    status: str = Field(min_length=1)
    case_id: str | None = None


class WorkflowResult(ResponseBody):
    """Response of ``GET /workflows/{workflowId}/result``; what else it holds is the workflow's own affair."""

    case_id: str | None = None
    party_id: str | None = None
    created_date: str | None = None
    party_details: PartyDetails | None = None


class PlainText(ResponseBody):
    """A response that is no JSON but text."""

    text: str = Field(min_length=1)


class ServiceError(ResponseBody):
    """One entry of an error body."""

    code: Number | None = None
    message: Number | None = None


class ErrorBody(ResponseBody):
    """Body of a refusal: what went wrong, and the fingerprint that the service's support asks for."""

    fingerprint: str | None = None
    errors: list[ServiceError] = Field(default_factory=list)


RequestModel = TypeVar("RequestModel", bound=RequestBody)

_PROBLEMS = {
    "extra_forbidden": "is not a field of the API",
    "missing": "is missing",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "string_too_short": "is empty",
}


def validated(model: type[RequestModel], values: Mapping[str, Any], *, argument: str = "") -> RequestModel:
    """Return ``values`` as a ``model``.

    :param model: what to make of the values
    :param values: under Python's or the wire's names
    :param argument: where the values come from, put before the field's name in an error
    :raises InvalidInput: naming each field that is wrong and why, never its value
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        shown = [
            ".".join([argument] * bool(argument) + [*path]) + f" {reason}" for path, reason in problems(error)
        ]
    raise InvalidInput("; ".join(dict.fromkeys(shown)))


def problems(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where each problem is, as a path in Python's spelling, and what it is, never the value."""
    for entry in error.errors(include_url=False, include_context=False):
        reason = _PROBLEMS.get(entry["type"], "is not valid")
        if reason.startswith("must be"):
            reason += f", not {type(entry['input']).__name__}"
        yield tuple(_snake(str(part)) for part in entry["loc"]), reason


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def identifier(argument: str, value: object) -> str:
    """Return ``value`` as the id that it is.

    :param argument: the argument's name, for the error
    :param value: what was given; white space around it is dropped
    :raises InvalidInput: when it is no id, in words that do not repeat the value (it may be a personal
        number in the wrong place)
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{argument} must be an id as text, not {type(value).__name__}")
    text = value.strip()
    if not text:
        problem = "is empty"
    elif text == "None":
        problem = "is the text 'None', so a template found nothing to put there"
    elif "{{" in text or "{%" in text:
        problem = "still holds a template"
    elif _UUID.fullmatch(text):
        return text
    else:
        problem = f"has {len(text)} characters that are not of the form of an id"
    raise InvalidInput(f"{argument} {problem}; an id looks like 3b2d8a4f-579f-4e2e-a51c-f859e532fe8c")


def json_object(argument: str, value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object all the way down.

    :param argument: the argument's name, for the error
    :param value: a dict of JSON values (RFC 8259: no NaN, no infinity, names are text)
    :raises InvalidInput: naming the path of the first value that is no JSON, and its type, never the value
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{argument} must be a dict of JSON values, not {type(value).__name__}")
    try:
        plain: dict[str, Any] = _json_value(argument, value, ())
        json.dumps(plain, ensure_ascii=False).encode()
    except InvalidInput:
        raise
    except RecursionError:
        raise InvalidInput(f"{argument} is nested too deeply") from None
    except ValueError:
        # A number of thousands of digits, or text with half a character in it.
        raise InvalidInput(f"{argument} holds a value that cannot be written as JSON") from None
    return plain


def _json_value(path: str, value: object, parents: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise InvalidInput(f"{path} is {value}, which JSON cannot express")
    if id(value) in parents:
        raise InvalidInput(f"{path} contains itself, which JSON cannot express")
    within = (*parents, id(value))
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise InvalidInput(f"{path} has a name that is {type(name).__name__}, not text")
        return {name: _json_value(f"{path}.{name}", item, within) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_json_value(f"{path}[{index}]", item, within) for index, item in enumerate(value)]
    raise InvalidInput(
        f"{path} is {type(value).__name__}, which is no JSON value; "
        "use text, a number, true, false, null, a list or a dict"
    )
