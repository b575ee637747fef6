"""Which failures of a task are worth a retry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.batch.failure_policy import BatchFailed

if TYPE_CHECKING:
    from airflow.sdk import Context

_POINTLESS = (errors.InvalidInput, errors.RequestRejected, errors.WorkflowFailed, errors.OutcomeUnknown)


class WorkflowsRetryPolicy(RetryPolicy):
    """The default of the provider's operators, within the task's ``retries``.

    What the service could not do now is tried again after the time that it asked for, or else the task's
    ``retry_delay``. What it refused, a workflow that failed, and a run of which nobody knows whether it was
    started are not, and neither is a batch of which nothing is left to do. Anything else goes as the task says.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Return what to do about ``exception``."""
        if isinstance(exception, _POINTLESS) or (
            isinstance(exception, BatchFailed) and not exception.transient
        ):
            return RetryDecision.fail(f"{type(exception).__name__}: a retry would not change it")
        if isinstance(exception, errors.WorkflowsError) and exception.retry_after is not None:
            seconds = exception.retry_after
            return RetryDecision.retry(
                timedelta(seconds=seconds), f"the service asked for {seconds:g} seconds"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return what is stored of the policy with the DAG: there is nothing to it but its class."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WorkflowsRetryPolicy:  # noqa: ARG003
        """Return the policy."""
        return cls()
