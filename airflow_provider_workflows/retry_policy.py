"""Which failures of a task Airflow tries again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.retries import (
    RetryDecision,
    RetryPolicy,
    rescheduled,
)
from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.api.polling import MAX_OUTAGE_SECONDS

if TYPE_CHECKING:
    from airflow.sdk import Context


class WorkflowsRetryPolicy(RetryPolicy):
    """Try a failed task again only where that can help, within the task's ``retries``; the operators' default.

    What the service could not do now is tried again after the time that it asked for, or else after the task's
    ``retry_delay``. A task fails at once where another try would meet the same: a refused request, a failed
    workflow, a batch without a row left to go on with, a run that may have been started or not. A rejected key
    fails it at once too: at its first call the key is probably mistyped, and where work is under way it was waited
    out for ``max_outage`` already, so another try would only wait for as long again. Any exception that is not the
    package's own goes as the task's ``retries`` say.

    Where Airflow can (from 3.4 on), a task that has met an outage runs again without using up one of its retries,
    for the task's ``max_outage`` from the first time on; then its ``retries`` count.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,
    ) -> RetryDecision:
        """Return what to do about ``exception``."""
        if not isinstance(exception, WorkflowsError):
            return RetryDecision.default()
        if is_lasting(exception):
            return RetryDecision.fail(f"{type(exception).__name__}: a retry would not change it")
        seconds = exception.retry_after
        delay = None if seconds is None else timedelta(seconds=seconds)
        if exception.is_outage and (
            decision := rescheduled(delay, _max_outage(context), f"{type(exception).__name__}: an outage")
        ):
            return decision
        if delay is not None:
            return RetryDecision.retry(delay, f"the service asked for {seconds:g} seconds")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return what is stored of the policy with the DAG: nothing but its class."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WorkflowsRetryPolicy:  # noqa: ARG003
        """Return the policy."""
        return cls()


def is_lasting(error: Exception) -> bool:
    """Return whether a retry of the task would meet the same error."""
    return isinstance(error, WorkflowsError) and not error.is_retryable()


def _max_outage(context: Context | None) -> timedelta:
    seconds = getattr(None if context is None else context["task"], "max_outage", None)
    return timedelta(seconds=seconds or MAX_OUTAGE_SECONDS)
