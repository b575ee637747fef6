"""What Airflow is told to do about a task that has failed, on each version of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.retries import (
    RESCHEDULE,
    RETRY_POLICY,
    failing_for_good,
    with_default_policy,
)
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.polling import MAX_OUTAGE_SECONDS
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy, is_lasting

OUTAGES = [
    errors.ServiceUnreachable("no route"),
    errors.TlsFailed("a wrong certificate"),
    errors.ServiceUnavailable("503"),
    errors.RateLimited("429", retry_after=7.0),
    errors.UnexpectedResponse("a proxy's page"),
]
NO_OUTAGES = [
    errors.BatchFailed("a row has no result yet", retry=Retry.LATER),
    errors.Stopped("SIGTERM"),
    errors.DeadlineReached("too late"),
]
LASTING = [
    errors.InvalidInput("no such id"),
    errors.AuthenticationFailed("401"),
    errors.WorkflowFailed("FAILED"),
    errors.OutcomeUnknown("the response was lost"),
    errors.InternalError("AttributeError"),
    errors.UnexpectedResponse("a redirect of the call that starts a run", retry=Retry.NEVER),
]


def kind(value: object) -> str:
    return type(value).__name__ if isinstance(value, Exception) else ""


@pytest.fixture
def reschedules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Airflow take the decision to run a task again without using up a retry, as from 3.4 on."""
    monkeypatch.setattr(RESCHEDULE, "find", lambda: lambda delay, **bounds: {"delay": delay, **bounds})
    RESCHEDULE.forget()
    yield
    RESCHEDULE.forget()


@pytest.fixture
def no_policies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Airflow no retry policies, as below 3.3."""

    def find() -> None:
        raise ImportError("cannot import name 'RetryDecision'")

    monkeypatch.setattr(RETRY_POLICY, "find", find)
    RETRY_POLICY.forget()
    yield
    RETRY_POLICY.forget()


@pytest.mark.usefixtures("reschedules")
@pytest.mark.parametrize("error", OUTAGES, ids=kind)
def test_an_outage_uses_up_no_retry_for_as_long_as_the_task_waits_outages_out(
    error: errors.WorkflowsError,
) -> None:
    context = {"task": SimpleNamespace(max_outage=60.0)}

    decision: Any = WorkflowsRetryPolicy().evaluate(error, 1, 3, cast("Any", context))

    seconds = error.retry_after
    assert decision["delay"] == (None if seconds is None else timedelta(seconds=seconds))
    assert decision["reschedule_timeout"] == timedelta(minutes=1)
    assert decision["reason"] == f"{type(error).__name__}: an outage"


@pytest.mark.usefixtures("reschedules")
def test_a_task_without_an_outage_of_its_own_has_the_default_one() -> None:
    decision: Any = WorkflowsRetryPolicy().evaluate(OUTAGES[0], 1, 3, cast("Any", {"task": object()}))

    assert decision["reschedule_timeout"] == timedelta(seconds=MAX_OUTAGE_SECONDS)


@pytest.mark.usefixtures("reschedules")
@pytest.mark.parametrize("error", [*NO_OUTAGES, *LASTING, ValueError("another's")], ids=kind)
def test_what_is_no_outage_is_retried_or_fails_as_before(error: Exception) -> None:
    decision = WorkflowsRetryPolicy().evaluate(error, 1, 3)

    assert decision.action.value == ("fail" if error in LASTING else "default")


@pytest.mark.usefixtures("no_policies")
@pytest.mark.parametrize("error", LASTING, ids=kind)
def test_without_policies_what_a_retry_cannot_change_fails_the_task_for_good(error: Exception) -> None:
    with pytest.raises(AirflowFailException, match=str(error)) as raised, failing_for_good(is_lasting):
        raise error

    assert raised.value.__cause__ is error


@pytest.mark.usefixtures("no_policies")
@pytest.mark.parametrize("error", [*OUTAGES, *NO_OUTAGES, ValueError("another's")], ids=kind)
def test_without_policies_all_else_is_retried(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, failing_for_good(is_lasting):
        raise error

    assert raised.value is error


@pytest.mark.parametrize("error", LASTING, ids=kind)
def test_with_policies_an_error_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, failing_for_good(is_lasting):
        raise error

    assert raised.value is error


@pytest.mark.usefixtures("no_policies")
def test_without_policies_no_operator_is_given_one() -> None:
    arguments: dict[str, Any] = {"retry_policy": None}

    with_default_policy(arguments, WorkflowsRetryPolicy())

    assert arguments == {}
