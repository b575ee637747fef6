"""Read a reply: return the response that it holds, or raise the one error that fits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

from pydantic import ValidationError

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.effects import NoResponse, Response
from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
from airflow_provider_workflows.api.ids import is_id, is_same_id
from airflow_provider_workflows.api.redaction import (
    EXCERPT_BYTES,
    excerpt,
    one_line,
    redact_url_tokens,
    redact_values,
)
from airflow_provider_workflows.api.response_json import NotJson, parse_response
from airflow_provider_workflows.api.retry import Retry, retry_after

log = logging.getLogger(__name__)

#: Takes what is to be said of a response.
Warn: TypeAlias = "Callable[[str], object]"

_REFUSALS: dict[int, tuple[type[errors.WorkflowsError], str]] = {
    400: (errors.RequestRejected, "Correct what it names"),
    401: (errors.AuthenticationFailed, "Check the organization token, or the API key and its secret"),
    403: (
        errors.PermissionDenied,
        "Give the token the scope that it lacks (to run, can_run on the definition)",
    ),
    406: (
        errors.RequestRejected,
        "This endpoint does not know the version that the connection's api_generation stands for: set another one",
    ),
    407: (errors.RequestRejected, "Check the user and password of the proxy that the environment names"),
    404: (errors.NotFound, "Check the id, and that it belongs to this environment"),
    429: (errors.RateLimited, "Try again later, or send less at a time"),
    503: (errors.ServiceUnavailable, "Try again later"),
}
_REJECTED = (errors.RequestRejected, "Correct what it names")
_UNAVAILABLE = (errors.ServiceUnavailable, "Try again later")
#: Statuses after which the request may or may not have been carried out. So are those outside of 200 to 599: after
#: 1xx the response itself has not come, and from 600 on it is treated as 5xx (RFC 9110, section 15).
#: 303 names the place of what a request that was carried out has made (RFC 9110, section 15.4.4).
_UNDECIDED = frozenset({303, 408, 425, *range(500, 600)} - {503})
_CHECK_FIRST = (
    "The request may or may not have been carried out, so it was not sent again: "
    "check in the service's dashboard whether it was before you repeat it"
)
_UNKNOWN: tuple[type[errors.WorkflowsError], str] = (errors.OutcomeUnknown, _CHECK_FIRST)
_REDIRECTED: tuple[type[errors.WorkflowsError], str] = (
    errors.UnexpectedResponse,
    "Check the connection's host: it must be the Workflows API itself",
)


def read(
    endpoint: Endpoint[ResponseModel], reply: Response | NoResponse, *, now: float, warn: Warn = log.warning
) -> ResponseModel:
    """Return the response that ``reply`` holds.

    :param endpoint: what was sent
    :param reply: what came
    :param now: seconds since the epoch, for a ``Retry-After`` that is a date
    :param warn: is told which call's response holds values that are kept as text
    :raises WorkflowsError: the one that fits; for a call that is not repeatable, ``OutcomeUnknown``
        whenever it may have been carried out
    """
    if isinstance(reply, NoResponse):
        _raise_no_response(endpoint, reply)
    if not 200 <= reply.status < 300:
        _raise_refusal(endpoint, reply, now)
    return _parsed(endpoint, reply, warn)


def error_class(status: int, *, repeatable: bool) -> type[errors.WorkflowsError]:
    """Return the class of the error for a response.

    :param status: HTTP status of the response, not 2xx
    :param repeatable: whether the call may be repeated after it may have been carried out
    """
    return _refusal(status, repeatable=repeatable)[0]


def _refusal(status: int, *, repeatable: bool) -> tuple[type[errors.WorkflowsError], str]:
    if 300 <= status < 400 and (repeatable or status not in _UNDECIDED):
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
    if status == 403 and endpoint.scope:
        advice = f"Give the token the scope {endpoint.scope}"
    if 300 <= status < 400:
        raise kind(
            f"{endpoint}: redirected ({status}){_to_host(response.headers.get('location'))}, which is not "
            f"followed. {advice}.",
            status=status,
            # A redirect does not say whether what stands behind it has carried the call out.
            retry=None if endpoint.repeatable or kind is errors.OutcomeUnknown else Retry.NEVER,
        )
    code, detail, fingerprint = (
        one_line(_redact_sent(endpoint, text), 500) or None for text in _error_body(response)
    )
    if code or detail or fingerprint:
        parts = [": ".join(filter(None, (code, detail and detail.rstrip("."))))]
        parts += [f"fingerprint {fingerprint}"] if fingerprint else []
        said = "; ".join(filter(None, parts))
    elif response.body.strip():
        what = ", but a page in HTML, as proxies send it" if _is_page(response) else ", but"
        said = f"no error of the service{what}: {_shown(endpoint, response)}"
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


def _parsed(endpoint: Endpoint[ResponseModel], response: Response, warn: Warn) -> ResponseModel:
    if endpoint.text:
        text = response.body.decode("utf-8-sig", errors="replace")
        if not text:
            _raise_unexpected(endpoint, response, "a body that is empty")
        return endpoint.response.model_validate({"text": text})
    try:
        received = parse_response(response.body)
    except NotJson as reason:
        _raise_unexpected(endpoint, response, str(reason))
    fields = received.value
    if not isinstance(fields, dict):
        _raise_unexpected(endpoint, response, f"JSON that is {_TYPES[type(fields)]} and not an object")
    try:
        body = endpoint.response.of_fields(fields)
    except ValidationError as error:
        missing = sorted({".".join(map(str, entry["loc"])) for entry in error.errors() if entry["loc"]})
        _raise_unexpected(endpoint, response, "an object", missing=", ".join(missing), fields=fields)
    for name, expected in endpoint.expected.items():
        # Most are spelled the same, and this is done for each poll.
        if (
            (named := fields.get(name)) != expected
            and isinstance(named, str)
            and not is_same_id(named, expected)
        ):
            _take_note_of_other(endpoint, response, name, named, expected)
    if received.kept_as_text:
        warn(f"{endpoint}: {received.kept_as_text}")
    return body


_TYPES: dict[type, str] = {
    list: "a list",
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _take_note_of_other(
    endpoint: Endpoint[ResponseModel], response: Response, name: str, named: str, expected: str
) -> None:
    """Refuse a response to a call that reads; of one to a call that starts a run say what other thing it names."""
    other = f"{name} {named}" if is_id(named) else f"a {name} that is not an id"
    happened = f"the response is about another one: it names {other} where {expected} was asked for"
    if endpoint.repeatable:
        raise errors.UnexpectedResponse(
            f"{endpoint}: {happened}. Something between here and the service mixes responses up, or the service "
            "does: if it goes on, tell the service's support.",
            status=response.status,
        )
    # A run that exists is billed, and must not be lost over a field that may be wrong itself.
    log.warning(
        "%s: %s. The run is kept, and its %s compared again when it is polled.", endpoint, happened, name
    )


def _raise_unexpected(
    endpoint: Endpoint[ResponseModel],
    response: Response,
    what: str,
    *,
    missing: str = "",
    fields: Mapping[str, object] | None = None,
) -> NoReturn:
    """Raise the error of a 2xx response that is not one of the API's.

    :param what: what came
    :param missing: the fields that are missing from it, or not of their type
    :param fields: the fields that it has
    """
    came = f"{response.status} with: {_shown(endpoint, response) or 'an empty body'}"
    advice = "Check that the connection's host is the Workflows API"
    if missing:
        happened = f"the response has no valid {missing} ({came})"
        if fields and "errors" in fields:
            happened += ", but errors, with a status that says success"
    else:
        if not response.body.strip():
            what = "a body that is empty"
        elif _is_page(response):
            what = "a page in HTML"
            advice += " and that no proxy responds in its place"
        elif (
            coding := response.headers.get("content-encoding", "")
        ).strip().lower() not in _READABLE_CODINGS:
            what = f"a body in the coding {one_line(coding, 20)}, which was not asked for"
        happened = f"what came is not a response of the Workflows API but {what} ({came})"
    # For a call that is not repeatable, a response that cannot be read tells as little as one that was lost.
    if not endpoint.repeatable:
        raise errors.OutcomeUnknown(f"{endpoint}: {happened}. {_CHECK_FIRST}.", status=response.status)
    raise errors.UnexpectedResponse(f"{endpoint}: {happened}. {advice}.", status=response.status)


_READABLE_CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate", "none", "utf-8"})


def _is_page(response: Response) -> bool:
    beginning = response.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return beginning.startswith(
        (b"<!doctype", b"<html", b"<head", b"<body", b"<title", b"<?xml", b"<center", b"<h1")
    )


def _error_body(response: Response) -> tuple[str, str, str]:
    """Return the code, the message and the fingerprint of an error; empty text for what is not there."""
    try:
        fields = parse_response(response.body).value
    except NotJson:
        return "", "", ""
    if not isinstance(fields, dict):
        return "", "", ""
    entries = fields.get("errors")
    entry = entries[0] if isinstance(entries, list) and entries else entries
    first = entry if isinstance(entry, dict) else {}
    return _as_text(first.get("code")), _as_text(first.get("message")), _as_text(fields.get("fingerprint"))


def _as_text(value: object) -> str:
    is_text_or_number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value) if is_text_or_number else ""


def _to_host(location: str | None) -> str:
    try:
        host = urlsplit(location or "").hostname
    except ValueError:
        host = None
    return f" to {one_line(host, 255)}" if host else ""


def _shown(endpoint: Endpoint[ResponseModel], response: Response) -> str:
    if endpoint.secret_response and response.body:
        return "a body that may hold a secret, so it is not shown"
    # What was sent is taken out before the text is cut, for a part of a name is telling too.
    return excerpt(_redact_sent(endpoint, response.body[:EXCERPT_BYTES].decode("utf-8", errors="replace")))


def _redact_sent(endpoint: Endpoint[ResponseModel], text: str) -> str:
    return redact_values(redact_url_tokens(text), endpoint.sent, keep=frozenset(endpoint.ids.values()))
