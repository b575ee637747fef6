"""Which failures of a task Airflow tries again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_workflows.api.errors import WorkflowsError

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
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Return what to do about ``exception``."""
        if not isinstance(exception, WorkflowsError):
            return RetryDecision.default()
        if not exception.is_retryable():
            return RetryDecision.fail(f"{type(exception).__name__}: a retry would not change it")
        if (seconds := exception.retry_after) is not None:
            return RetryDecision.retry(
                timedelta(seconds=seconds), f"the service asked for {seconds:g} seconds"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return what is stored of the policy with the DAG: nothing but its class."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WorkflowsRetryPolicy:  # noqa: ARG003
        """Return the policy."""
        return cls()
