"""From the bytes of a request to a checked model; whatever comes, the worst outcome is a refusal."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_workflows.sandbox.responses import Refusal

if TYPE_CHECKING:
    from typing_extensions import Self

MAXIMUM_BODY_BYTES = 1_000_000
MAXIMUM_DEPTH = 100

Model = TypeVar("Model", bound=BaseModel)


class ControlBody(BaseModel):
    """What the sandbox is told to do: the same fields, checked alike, in Python and in a control call."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Return the order with these fields.

        :raises ValueError: saying in one line what is wrong
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ValueError(problems(cls, error)) from None


async def read_json(request: web.Request) -> Any:
    """Return the JSON value in the body of ``request``.

    :raises Refusal: 400, 413 or 415 when there is none
    """
    if request.content_type != "application/json":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must not be compressed.")
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(413, "BODY_TOO_LARGE", f"The body has more than {MAXIMUM_BODY_BYTES} bytes.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Refusal(400, "MALFORMED_BODY", "The body is not framed well or ends too early.") from None
    return parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """Return the JSON value that ``raw`` holds (RFC 8259: UTF-8, no NaN, no infinity).

    :raises Refusal: 400 when it holds none, or one nested more than ``MAXIMUM_DEPTH`` deep
    """
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Refusal(400, "MALFORMED_BODY", "The body is not JSON.") from None
    if _is_deeper_than(MAXIMUM_DEPTH, value):
        raise Refusal(400, "MALFORMED_BODY", f"The body is nested more than {MAXIMUM_DEPTH} deep.")
    return value


def checked(model: type[Model], value: object) -> Model:
    """Return ``value`` as a ``model``.

    :raises Refusal: 400, naming the fields that are wrong and why, never their values
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Refusal(400, "VALIDATION_FAILED", problems(model, error)) from None


def problems(model: type[BaseModel], error: ValidationError) -> str:
    """Return in one line what is wrong with a value that is no ``model``."""
    found = [_problem(entry["loc"], entry["type"], entry["msg"]) for entry in error.errors(include_url=False)]
    if any(entry["type"] == "extra_forbidden" for entry in error.errors(include_url=False)):
        known = ", ".join(field.alias or name for name, field in model.model_fields.items())
        found.append(f"known fields: {known}")
    return "; ".join(dict.fromkeys(found))


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        # The name of an unknown field comes from the caller: it may itself be a personal value.
        location, message = location[:-1], "there is an unknown field"
    message = message.removeprefix("Value error, ")
    path = ".".join(str(part) for part in location)
    return f"{path}: {message}" if path else message


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("the number is too large")
    return number


def _is_deeper_than(limit: int, value: object) -> bool:
    level: list[object] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True
