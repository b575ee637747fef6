"""All errors of the package, as one small tree.

Each error says what happened, to which call and id, and what to do about it; its ``retry`` says whether the same
call is worth another attempt. No error carries a personal value or a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_workflows.api.retry import Retry

#: The form of the service's own error codes. A code with a digit might be a number of a person.
_CODE = re.compile(r"[A-Z][A-Z_]{0,59}")


class WorkflowsError(Exception):
    """Any failure of an exchange with the Workflows API, or of what this package does with it.

    :param message: what happened and what to do, in one or two sentences
    :param status: the HTTP status of the response, where there was one
    :param code: the service's own error code
    :param detail: the service's own message
    :param fingerprint: what the service's support asks for
    :param retry_after: seconds that the service asked to wait
    :param retry: what may be done about this one; what its class says if None
    """

    #: What may be done about it.
    retry = Retry.NEVER
    #: Whether it says something about every call of the connection, and not about the data of this one.
    concerns_every_call = False
    #: Whether the service, or the way to it, was out of order: that passes by itself.
    is_outage = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        detail: str | None = None,
        fingerprint: str | None = None,
        retry_after: float | None = None,
        retry: Retry | str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.detail = detail
        self.fingerprint = fingerprint
        self.retry_after = retry_after
        if retry is not None:
            self.retry = Retry(retry)

    @property
    def summary(self) -> str:
        """The kind of the error, the HTTP status and the service's error code: no text, which may be personal.

        For logs that all administrators of Airflow read, such as the API server's.
        """
        parts = [type(self).__name__]
        if self.status is not None:
            parts.append(f"status {self.status}")
        if self.code is not None and _CODE.fullmatch(self.code):
            parts.append(f"code {self.code}")
        return ", ".join(parts)

    def is_retryable(self, *, under_way: bool = False) -> bool:
        """Return whether the same call is worth another attempt; ``under_way`` as in ``Retry.is_retryable``."""
        return self.retry.is_retryable(under_way=under_way)

    def to_json(self) -> dict[str, Any]:
        """Return the error as JSON, for ``error_from_json`` in another process."""
        fields = {"kind": type(self).__name__, "message": str(self), **vars(self)}
        if "retry" in fields:
            fields["retry"] = self.retry.value
        return fields


class InvalidInput(WorkflowsError, ValueError):
    """An argument or a setting that cannot be right; nothing was sent."""


class ConnectionNotFound(InvalidInput):
    """Airflow has no connection of this id; nothing was sent.

    While work is under way it is waited out: Airflow says the same where a secrets backend could not be asked.
    """

    retry = Retry.AFTER_NEW_CREDENTIALS


class InternalError(WorkflowsError):
    """A mistake in this package, in Airflow or in Python's libraries: it would happen again."""

    concerns_every_call = True


class ServiceUnreachable(WorkflowsError):
    """No connection could be made (name, route, port, proxy): the request surely did not arrive."""

    retry = Retry.LATER
    concerns_every_call = True
    is_outage = True


class TlsFailed(ServiceUnreachable):
    """The TLS handshake failed: the request surely did not arrive."""


class ServiceUnavailable(WorkflowsError):
    """The service responded with 5xx, or its response was lost, to a call that may be repeated."""

    retry = Retry.LATER
    concerns_every_call = True
    is_outage = True


class RateLimited(WorkflowsError):
    """The service responded with 429; ``retry_after`` says how long it asked to wait, if it said so."""

    retry = Retry.LATER
    concerns_every_call = True
    is_outage = True


class RequestRejected(WorkflowsError):
    """The service understood the request and refused it (4xx)."""


class AuthenticationFailed(RequestRejected):
    """The organization token, or the API key and its secret, was not accepted (401)."""

    retry = Retry.AFTER_NEW_CREDENTIALS
    concerns_every_call = True


class PermissionDenied(RequestRejected):
    """The token lacks a scope, such as ``can_run`` on the definition (403)."""

    concerns_every_call = True


class NotFound(RequestRejected):
    """The id is unknown to the service (404)."""


class UnexpectedResponse(WorkflowsError):
    """What came back is not a response of the Workflows API: a redirect, a proxy's page, a body cut off.

    It may pass, as proxies are restarted and hosts repaired. ``retry`` is ``NEVER`` where the call is not
    repeatable: the response does not say whether the call was carried out behind it.
    """

    retry = Retry.LATER
    concerns_every_call = True
    is_outage = True


class OutcomeUnknown(WorkflowsError):
    """The request that starts a run was sent and its response lost: there may or may not be a run.

    Never repeated by this package, because a repetition may start (and bill) a second one.
    """

    retry = Retry.UNKNOWN


class WorkflowNotCompleted(WorkflowsError):
    """The result was asked for before the workflow completed; ``workflow_status`` is its status."""

    retry = Retry.LATER

    def __init__(self, message: str, *, workflow_status: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.workflow_status = workflow_status


class WorkflowFailed(WorkflowNotCompleted):
    """The workflow ended in a failure status."""

    retry = Retry.NEVER


class DeadlineReached(WorkflowNotCompleted):
    """The wait for a workflow ended before the workflow did; ``workflow_status`` is the last that was seen."""


class LinkMissing(WorkflowsError):
    """A run has no link: no end user takes part in it, or the service does not give its link any more."""


class LinkNotSent(WorkflowsError):
    """What was to send the link of a run's end user has failed; a retry goes on with the run, and has it sent."""

    retry = Retry.LATER


class Stopped(WorkflowsError):
    """The task was told to stop, or is not the one that may act any more: nothing new was started."""

    retry = Retry.LATER
    concerns_every_call = True


class SubmissionStopped(WorkflowsError):
    """A person has asked that nothing more be submitted: nothing new was started, and the next clear starts it."""


class BatchFailed(WorkflowsError):
    """Too many rows of a batch did not succeed; ``retry`` says whether another try of the task has work to do."""


class FileFailed(WorkflowsError):
    """A file that is uploaded, or that a download goes into, could not be read or written."""

    retry = Retry.LATER


class DatabaseFailed(WorkflowsError):
    """A database of the user's, from which rows come or into which results go, could not be used."""

    retry = Retry.LATER


#: What Python raises for a mistake in code. Anything else that nobody foresaw is taken for an outage: a full
#: disk, a secrets backend that is away.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    TypeError,
)


def is_mistake(error: Exception) -> bool:
    """Return whether an exception that nobody foresaw is a mistake in code, and not an outage that may pass."""
    return isinstance(error, _MISTAKES)


def from_exception(error: Exception, doing: str) -> WorkflowsError:
    """Return the error for an exception that nobody foresaw.

    :param error: the exception; its text is not repeated, since it may hold personal data
    :param doing: what was being done, as the subject of a sentence: ``Polling workflow 6313...``
    """
    name = type(error).__name__
    if is_mistake(error):
        return InternalError(
            f"{doing} failed with {name}, which is a mistake in code and would happen again, so nothing was "
            "repeated. Its traceback is in the log of the process that met it, the triggerer for a deferred task: "
            "report it with that."
        )
    return ServiceUnavailable(f"{doing} failed with {name}.")


def workflows_error_in(exception: object) -> WorkflowsError | None:
    """Return the error of this package that an exception is or was raised from, or None.

    :param exception: what was raised
    """
    seen = set[int]()
    while isinstance(exception, BaseException) and id(exception) not in seen:
        if isinstance(exception, WorkflowsError):
            return exception
        seen.add(id(exception))
        exception = exception.__cause__
    return None


def error_from_json(fields: Mapping[str, Any]) -> WorkflowsError:
    """Return the error that ``WorkflowsError.to_json`` described."""
    details = dict(fields)
    kind, message = details.pop("kind"), details.pop("message")
    classes = {error.__name__: error for error in _tree(WorkflowsError)}
    return classes[kind](message, **details)


def _tree(root: type[WorkflowsError]) -> Iterator[type[WorkflowsError]]:
    yield root
    for branch in root.__subclasses__():
        yield from _tree(branch)
