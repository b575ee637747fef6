"""The bodies of requests and responses of the Workflows API.

A request's model refuses unknown fields, a response's keeps them. Both spellings of a name are accepted on input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import require_identifiers_as_text

if TYPE_CHECKING:
    from typing_extensions import Self


def _text_from_number(value: Any) -> Any:
    """Return a whole number as the text of its digits, and any other value as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[str, BeforeValidator(_text_from_number), WithJsonSchema({"type": ["string", "integer"]})]
"""Text that may also be written as a whole number in JSON: a personal or company number."""

ResponseId = Annotated[str, BeforeValidator(_text_from_number), Field(min_length=1)]
"""An id that the service gave: any text or number, because a run that exists must not be lost over its id."""


class RequestBody(BaseModel):
    """The body of a request."""

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
    """The body of a response; fields that a model does not name are kept."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    @classmethod
    def of_fields(cls, fields: dict[str, Any]) -> Self:
        """Return the body of these fields. One that is not required and not of its type is None.

        :param fields: values by the API's names
        :raises ValidationError: if a field is missing, or one that is required is not of its type
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            odd = {str(entry["loc"][0]) for entry in error.errors(include_url=False) if entry["loc"]}
        return cls.model_validate({name: value for name, value in fields.items() if name not in odd})

    def json_object(self) -> dict[str, Any]:
        """Return the body as it came, in the API's spelling, with the fields that the model does not name."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class KeptBody(ResponseBody):
    """The body of a response of which every value is kept as it came, whatever its type."""

    _received: dict[str, Any] | None = PrivateAttr(default=None)

    @classmethod
    def of_fields(cls, fields: dict[str, Any]) -> Self:
        """Return the body of these fields; ``json_object`` returns them."""
        body = super().of_fields(fields)
        body._received = fields  # noqa: SLF001  (its own class's)
        return body

    def json_object(self) -> dict[str, Any]:
        """Return the body as it came."""
        return super().json_object() if self._received is None else self._received


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
    """The person or company that a case is about, as the service reports it; its parts are kept as they came."""

    personal: dict[str, Any] | None = None
    business: dict[str, Any] | None = None
    documents: list[Any] | None = None


class Case(KeptBody):
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


class WorkflowFields(ResponseBody):
    """What a workflow may have, depending on the generation that started it; link and token stay in memory."""

    case_id: str | None = None
    record_id: str | None = None
    origin: str | None = None
    revision: int | str | None = None
    execution_version: int | str | None = None
    expires_at: str | None = None
    link: str | None = Field(default=None, repr=False, exclude=True)
    token: str | None = Field(default=None, repr=False, exclude=True)


class StartedWorkflow(WorkflowFields):
    """Response of the request that starts a run. Only the id is required: a run that exists must not be lost."""

    id: ResponseId
    status: str | None = None


class Workflow(WorkflowFields):
    """Response of ``GET /workflows/{workflowId}``, whichever generation has started the workflow."""

    id: str = Field(min_length=1)
    status: str = Field(min_length=1)


class WorkflowResult(KeptBody):
    """Response of ``GET /workflows/{workflowId}/result``; its other fields depend on the workflow definition."""

    case_id: str | None = None
    party_id: str | None = None
    created_date: str | None = None
    party_details: PartyDetails | None = None


class PlainText(ResponseBody):
    """A response that is text, not JSON."""

    text: str = Field(min_length=1)


class ServiceError(ResponseBody):
    """One entry of an error body."""

    code: Number | None = None
    message: Number | None = None


class ErrorBody(ResponseBody):
    """Body of an error response: the errors, and the fingerprint that the service's support asks for."""

    fingerprint: str | None = None
    errors: list[ServiceError] = Field(default_factory=list)


_REASONS = {
    "extra_forbidden": "is not a field of the API",
    "missing": "is missing",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "string_too_short": "is empty",
}


def require_case_details(fields: Mapping[str, Any], *, argument: str = "") -> CaseDetails:
    """Return the fields of a case as the body of ``POST /cases``.

    :param fields: values by name, in Python's or the API's spelling
    :param argument: the argument that the fields come from, put before each name in an error
    :raises InvalidInput: naming each field that is wrong and why, never its value
    """
    given = dict(fields)
    try:
        details = CaseDetails.model_validate(given)
    except ValidationError as error:
        reasons = [
            ".".join([argument] * bool(argument) + [*path]) + f" {reason}"
            for path, reason in invalid_fields(error)
        ]
    else:
        require_identifiers_as_text(given, argument=argument)
        return details
    raise InvalidInput("; ".join(dict.fromkeys(reasons)))


def invalid_fields(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each field that is wrong, as a path in Python's spelling, and the reason, never the value."""
    for entry in error.errors(include_url=False, include_context=False):
        reason = _REASONS.get(entry["type"], "is not valid")
        if reason.startswith("must be"):
            reason += f", not {type(entry['input']).__name__}"
        yield tuple(_snake(str(part)) for part in entry["loc"]), reason


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
