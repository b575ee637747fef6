"""Retry policies, where Airflow has them: what decides after a failure whether a task is tried again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.feature import Feature, require_parameters

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
else:
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:
        # Below Airflow 3.3. A class of ours needs some base, though no task takes a policy there.
        RetryDecision, RetryPolicy = None, object

__all__ = ["RESCHEDULE", "RETRY_POLICY", "RetryDecision", "RetryPolicy", "failing_for_good", "rescheduled"]


def _find_retry_policy() -> Any:
    from airflow.sdk import BaseOperator, RetryDecision  # noqa: PLC0415

    require_parameters(BaseOperator.__init__, "retry_policy")
    return RetryDecision


RETRY_POLICY = Feature(
    "airflow.sdk: RetryPolicy, RetryDecision, and the argument retry_policy of operators",
    purpose="say for each failure whether, and when, a task is tried again",
    without="A failure that a retry cannot change fails the task all the same. Others are retried after the task's "
    "`retry_delay`, not after the time that the service has asked for",
    find=_find_retry_policy,
    since="3.3.0",
)


def _find_reschedule() -> Any:
    from airflow.sdk import RetryDecision  # noqa: PLC0415

    require_parameters(RetryDecision.reschedule, "delay", "reschedule_timeout", "reason")  # type: ignore[attr-defined]
    return RetryDecision.reschedule  # type: ignore[attr-defined]


RESCHEDULE = Feature(
    "airflow.sdk.RetryDecision.reschedule(delay, reschedule_timeout, reason)",
    purpose="try a task again after an outage without using up one of its retries",
    without="A task that has met an outage uses up one of its `retries`",
    find=_find_reschedule,
    since="3.4.0",
)


def policy_argument(policy: RetryPolicy) -> dict[str, Any]:
    """Return the operator's argument for a retry policy, by its name; empty where no operator takes one.

    :param policy: the policy
    """
    return {"retry_policy": policy} if RETRY_POLICY.is_available() else {}


def with_default_policy(arguments: dict[str, Any], policy: RetryPolicy) -> None:
    """Give an operator's arguments a retry policy, unless the DAG has set one.

    :param arguments: the arguments by name, which are changed; a mapped task has None where the DAG has set nothing
    :param policy: the policy
    """
    if arguments.get("retry_policy") is None:
        arguments.pop("retry_policy", None)
        arguments.update(policy_argument(policy))


@contextlib.contextmanager
def failing_for_good(is_lasting: Callable[[Exception], bool]) -> Iterator[None]:
    """Have what is raised within the block fail the task without a retry, where no retry policy can say so.

    Without it a task whose run has failed would be tried again, and its next run be billed.

    :param is_lasting: returns whether a retry would meet the same failure
    :raises AirflowFailException: with the failure as its cause
    """
    if RETRY_POLICY.is_available():
        yield
        return
    try:
        yield
    except AirflowFailException:
        raise
    except Exception as error:
        if is_lasting(error):
            raise AirflowFailException(str(error)) from error
        raise


def rescheduled(delay: timedelta | None, timeout: timedelta, reason: str) -> RetryDecision | None:
    """Return the decision to run a task again without using up a retry; None where Airflow has no such decision.

    :param delay: after how long; None for the task's ``retry_delay``
    :param timeout: for how long, from the first time on; after that the task's ``retries`` count
    :param reason: why, for the log
    """
    reschedule = RESCHEDULE.get()
    if reschedule is None:
        return None
    decision: RetryDecision = reschedule(delay, reschedule_timeout=timeout, reason=reason)
    return decision
