"""What can go wrong with a call, as one small tree.

Each error says what happened, to which call and id, and what to do about it. None of them carries a
personal value or a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class WorkflowsError(Exception):
    """Any failure of an exchange with the Workflows API.

    :param message: what happened and what to do, in one or two sentences
    :param status: the HTTP status of the response, where there was one
    :param code: the service's own error code
    :param detail: the service's own message
    :param fingerprint: what the service's support asks for
    :param retry_after: seconds that the service asked to wait
    """

    #: Whether the same call may succeed later, unchanged and without harm.
    transient = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        fingerprint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.fingerprint = fingerprint
        self.retry_after = retry_after

    def to_json(self) -> dict[str, Any]:
        """Return the error as JSON, for ``error_from_json`` in another process."""
        return {"kind": type(self).__name__, "message": str(self), **vars(self)}


class InvalidInput(WorkflowsError, ValueError):
    """An argument or a setting that cannot be right; nothing was sent."""


class ServiceUnreachable(WorkflowsError):
    """No connection came about (name, route, port, proxy): the request surely did not arrive."""

    transient = True


class TlsFailed(ServiceUnreachable):
    """The TLS handshake failed: the request surely did not arrive."""


class ServiceUnavailable(WorkflowsError):
    """The service answered 5xx, or its response was lost, to a call that may be repeated."""

    transient = True


class RateLimited(WorkflowsError):
    """The service answered 429; ``retry_after`` says how long it asked to wait, if it said so."""

    transient = True


class RequestRejected(WorkflowsError):
    """The service understood the request and refused it (4xx)."""


class AuthenticationFailed(RequestRejected):
    """The API key, secret or organization token was not accepted (401)."""


class PermissionDenied(RequestRejected):
    """The token lacks a permission, such as ``can_run`` on the definition (403)."""


class NotFound(RequestRejected):
    """The id is unknown to the service (404)."""


class UnexpectedResponse(WorkflowsError):
    """What came back is not a response of the Workflows API."""


class GarbledResponse(UnexpectedResponse):
    """What came back is no JSON (a proxy's page, a body cut off); another try may bring the response."""

    transient = True


class OutcomeUnknown(WorkflowsError):
    """The request was sent and its response lost: it may or may not have been carried out.

    Never repeated by this package, because a repetition may start (and bill) a second run.
    """


class WorkflowNotCompleted(WorkflowsError):
    """The result was asked for before the workflow completed; ``workflow_status`` says where it stands."""

    def __init__(self, message: str, *, workflow_status: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.workflow_status = workflow_status


class WorkflowFailed(WorkflowNotCompleted):
    """The workflow ended in a failure status."""


def error_from_json(fields: Mapping[str, Any]) -> WorkflowsError:
    """Return the error that ``WorkflowsError.to_json`` described."""
    details = dict(fields)
    kind, message = details.pop("kind"), details.pop("message")
    known = {error.__name__: error for error in _tree(WorkflowsError)}
    return known[kind](message, **details)


def _tree(root: type[WorkflowsError]) -> Iterator[type[WorkflowsError]]:
    yield root
    for branch in root.__subclasses__():
        yield from _tree(branch)
