"""Read a reply: return the response that it holds, or raise the one error that fits."""

from __future__ import annotations

import json
from typing import NoReturn
from urllib.parse import urlsplit

from pydantic import ValidationError

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.effects import NoResponse, Response
from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
from airflow_provider_workflows.api.models import ErrorBody, ServiceError
from airflow_provider_workflows.api.redaction import EXCERPT_BYTES, excerpt, one_line, redact_values
from airflow_provider_workflows.api.retry import Retry, retry_after

_REFUSALS: dict[int, tuple[type[errors.WorkflowsError], str]] = {
    400: (errors.RequestRejected, "Correct what it names"),
    401: (errors.AuthenticationFailed, "Check the API key and secret, or the organization token"),
    403: (errors.PermissionDenied, "Give the key the permission (such as can_run on the definition)"),
    404: (errors.NotFound, "Check the id, and that it belongs to this environment"),
    429: (errors.RateLimited, "Try again later, or send less at a time"),
    503: (errors.ServiceUnavailable, "Try again later"),
}
_REJECTED = (errors.RequestRejected, "Correct what it names")
_UNAVAILABLE = (errors.ServiceUnavailable, "Try again later")
#: Statuses after which the request may or may not have been carried out. So are those outside of 200 to 599: after
#: 1xx the response itself has not come, and from 600 on it is treated as 5xx (RFC 9110, section 15).
_UNDECIDED = frozenset({408, 425, *range(500, 600)} - {503})
_CHECK_FIRST = (
    "The request may or may not have been carried out, so it was not sent again: "
    "check in the service's dashboard whether it was before you repeat it"
)
_UNKNOWN: tuple[type[errors.WorkflowsError], str] = (errors.OutcomeUnknown, _CHECK_FIRST)
_REDIRECTED: tuple[type[errors.WorkflowsError], str] = (
    errors.UnexpectedResponse,
    "Check the connection's host: it must be the Workflows API itself",
)


def read(endpoint: Endpoint[ResponseModel], reply: Response | NoResponse, *, now: float) -> ResponseModel:
    """Return the response that ``reply`` holds.

    :param endpoint: what was sent
    :param reply: what came
    :param now: seconds since the epoch, for a ``Retry-After`` that is a date
    :raises WorkflowsError: the one that fits; for a call that is not repeatable, ``OutcomeUnknown``
        whenever it may have been carried out
    """
    if isinstance(reply, NoResponse):
        _raise_no_response(endpoint, reply)
    if not 200 <= reply.status < 300:
        _raise_refusal(endpoint, reply, now)
    return _parsed(endpoint, reply)


def error_class(status: int, *, repeatable: bool) -> type[errors.WorkflowsError]:
    """Return the class of the error for a response.

    :param status: HTTP status of the response, not 2xx
    :param repeatable: whether the call may be repeated after it may have been carried out
    """
    return _refusal(status, repeatable=repeatable)[0]


def _refusal(status: int, *, repeatable: bool) -> tuple[type[errors.WorkflowsError], str]:
    if 300 <= status < 400:
        return _REDIRECTED
    if status in _UNDECIDED or not 300 <= status < 600:
        return _UNAVAILABLE if repeatable else _UNKNOWN
    return _REFUSALS.get(status, _REJECTED)


def _raise_no_response(endpoint: Endpoint[ResponseModel], no_response: NoResponse) -> NoReturn:
    if not no_response.arrived:
        if no_response.tls:
            raise errors.TlsFailed(
                f"{endpoint}: the TLS handshake failed ({no_response.reason}). Check the connection's host, "
                "and its verify setting where the service's certificate comes from a private authority."
            )
        raise errors.ServiceUnreachable(
            f"{endpoint}: the service could not be reached ({no_response.reason}). "
            "Check the connection's host and port, the network and the proxy settings."
        )
    happened = f"the response was lost ({no_response.reason})"
    if endpoint.repeatable:
        raise errors.ServiceUnavailable(f"{endpoint}: {happened}. Try again later.")
    raise errors.OutcomeUnknown(f"{endpoint}: {happened}. {_CHECK_FIRST}.")


def _raise_refusal(endpoint: Endpoint[ResponseModel], response: Response, now: float) -> NoReturn:
    status = response.status
    kind, advice = _refusal(status, repeatable=endpoint.repeatable)
    if 300 <= status < 400:
        raise kind(
            f"{endpoint}: redirected ({status}){_to_host(response.headers.get('location'))}, which is not "
            f"followed. {advice}.",
            status=status,
            # A redirect does not say whether what stands behind it has carried the call out (303 says so).
            retry=None if endpoint.repeatable else Retry.NEVER,
        )
    body = _error_body(response)
    first = body.errors[0] if body.errors else ServiceError()
    code, detail, fingerprint = (
        one_line(_redact_sent(endpoint, text or ""), 500) or None
        for text in (first.code, first.message, body.fingerprint)
    )
    if code or detail or fingerprint:
        parts = [": ".join(filter(None, (code, detail and detail.rstrip("."))))]
        parts += [f"fingerprint {fingerprint}"] if fingerprint else []
        said = "; ".join(filter(None, parts))
    elif response.body.strip():
        said = f"no error of the service, but: {_shown(endpoint, response)}"
    else:
        said = "with an empty body"
    raise kind(
        f"{endpoint}: the service responded with {status} ({said}). {advice}.",
        status=status,
        code=code,
        detail=detail,
        fingerprint=fingerprint,
        retry_after=retry_after(response.headers.get("retry-after"), now=now),
    )


def _parsed(endpoint: Endpoint[ResponseModel], response: Response) -> ResponseModel:
    # For a call that is not repeatable, a response that cannot be read tells as little as one that was lost.
    try:
        if endpoint.text:
            return endpoint.response.model_validate({"text": response.body.decode("utf-8", errors="replace")})
        return endpoint.response.model_validate_json(response.body)
    except ValidationError as error:
        missing = sorted({".".join(map(str, entry["loc"])) for entry in error.errors() if entry["loc"]})
    came = f"{response.status} with: {_shown(endpoint, response) or 'an empty body'}"
    readable = _is_json_object(response.body)
    happened = (
        f"the response has no valid {', '.join(missing)} ({came})"
        if readable and missing
        else f"what came is not a response of the Workflows API ({came})"
    )
    if not endpoint.repeatable:
        raise errors.OutcomeUnknown(f"{endpoint}: {happened}. {_CHECK_FIRST}.", status=response.status)
    raise errors.UnexpectedResponse(
        f"{endpoint}: {happened}. Check that the connection's host is the Workflows API "
        "and that no proxy responds in its place.",
        status=response.status,
    )


def _error_body(response: Response) -> ErrorBody:
    try:
        return ErrorBody.model_validate_json(response.body)
    except ValidationError:
        return ErrorBody()


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _to_host(location: str | None) -> str:
    try:
        host = urlsplit(location or "").hostname
    except ValueError:
        host = None
    return f" to {host}" if host else ""


def _shown(endpoint: Endpoint[ResponseModel], response: Response) -> str:
    # What was sent is taken out before the text is cut, for a part of a name is telling too.
    return excerpt(_redact_sent(endpoint, response.body[:EXCERPT_BYTES].decode("utf-8", errors="replace")))


def _redact_sent(endpoint: Endpoint[ResponseModel], text: str) -> str:
    return (
        redact_values(text, endpoint.body, keep=frozenset(endpoint.ids.values()))
        if endpoint.sensitive
        else text
    )
