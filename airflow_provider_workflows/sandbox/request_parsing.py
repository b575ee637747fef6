"""From a request to its version and its checked body; whatever arrives, the worst outcome is a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import parse_json
from airflow_provider_workflows.sandbox.responses import JsonObject, Refusal

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_BODY_BYTES = 1_000_000
FIRST_VERSION = 1
VERSIONS = (FIRST_VERSION, 2)
_MEDIA_TYPES = frozenset({"application/json", "application/*", "*/*"})

# Where a field may have one of several types, pydantic puts the type behind the name of the field.
_UNION_MEMBERS = {"str", "constrained-float", "tuple[constrained-float, constrained-float]"}

Model = TypeVar("Model", bound=BaseModel)


class ControlBody(BaseModel):
    """A body that controls the sandbox: the same fields, checked alike, in Python and over HTTP."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Return the body with these fields.

        :raises ValueError: saying in one line which field is wrong and why
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ValueError(_describe(cls, error)) from None

    def json_object(self) -> JsonObject:
        """Return the fields that are set, as a JSON object."""
        return self.model_dump(mode="json", exclude_none=True)


async def read_json(request: web.Request) -> Any:
    """Return the JSON value in the body of ``request``.

    :raises Refusal: 415 if the body is not plain ``application/json``, 413 if it is too large, 400 if it is
        not strict JSON (see ``api.strict_json``)
    """
    if request.content_type != "application/json":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must not be compressed.")
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(413, "BODY_TOO_LARGE", f"The body has more than {MAX_BODY_BYTES} bytes.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Refusal(400, "MALFORMED_BODY", "The body is malformed or ends too early.") from None
    try:
        return parse_json(raw)
    except InvalidInput as error:
        raise Refusal(400, "MALFORMED_BODY", f"The body {error}.") from None


def require_object(value: object) -> JsonObject:
    """Return ``value`` as a JSON object.

    :raises Refusal: 400 if it is another JSON value
    """
    if not isinstance(value, dict):
        raise Refusal(400, "VALIDATION_FAILED", "a JSON object is needed")
    return value


def parse_model(model: type[Model], value: object) -> Model:
    """Return ``value`` as a ``model``.

    :raises Refusal: 400, naming the fields that are wrong and why, never their values
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Refusal(400, "VALIDATION_FAILED", _describe(model, error)) from None


def _describe(model: type[BaseModel], error: ValidationError) -> str:
    entries = error.errors(include_url=False)
    found = [_describe_entry(entry["loc"], entry["type"], entry["msg"]) for entry in entries]
    if any(entry["type"] == "extra_forbidden" for entry in entries):
        names = ", ".join(field.alias or name for name, field in model.model_fields.items())
        found.append(f"known fields: {names}")
    return "; ".join(dict.fromkeys(found))


def _describe_entry(location: tuple[int | str, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        # The name of an unknown field comes from the client: it may itself be a personal value.
        location, message = location[:-1], "there is an unknown field"
    if kind == "model_type":
        message = "a JSON object is needed"
    message = message.removeprefix("Value error, ")
    path = ".".join(str(part) for part in location if part not in _UNION_MEMBERS)
    return f"{path}: {message}" if path else message


def requested_version(accept: str | None) -> int:
    """Return the version that a request asks for.

    :param accept: the ``Accept`` header, such as ``application/json;version=2``; without a version, or without the
        header, the first version is meant
    :raises Refusal: 406 if each version that it names is unknown
    """
    if accept is None or "version" not in accept.lower():
        return FIRST_VERSION
    named = [version for media_type in accept.split(",") for version in _versions(media_type)]
    for version in named:
        if version in map(str, VERSIONS):
            return int(version)
    if not named:
        return FIRST_VERSION
    known_versions = " and ".join(map(str, VERSIONS))
    raise Refusal(
        406,
        "VERSION_NOT_SUPPORTED",
        f"The Accept header names an unknown version; there are {known_versions}.",
    )


def _versions(media_type: str) -> list[str]:
    name, *parameters = (part.strip() for part in media_type.split(";"))
    if name.lower() not in _MEDIA_TYPES:
        return []
    pairs = (parameter.partition("=") for parameter in parameters)
    return [value.strip().strip('"') for key, _, value in pairs if key.strip().lower() == "version"]
