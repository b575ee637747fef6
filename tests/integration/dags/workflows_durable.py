"""A DAG for each row of the decision table: operators whose process is killed at one point of their first try."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, FAILING_DEFINITION


def kill_the_first_try(context: Any) -> None:
    if context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


class KillingClient:
    """A client that ends the process of the first try right after a call, or before one.

    :param client: makes the calls
    :param context: the task's context
    """

    def __init__(self, client: Any, context: Any, *, after: str = "", before: str = "") -> None:
        self._client = client
        self._context = context
        self._after = after
        self._before = before

    def guarded(self, guard: Any) -> KillingClient:
        return KillingClient(
            self._client.guarded(guard), self._context, after=self._after, before=self._before
        )

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name not in (self._after, self._before):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == self._before:
                kill_the_first_try(self._context)
            response = attribute(*args, **kwargs)
            kill_the_first_try(self._context)
            return response

        return call


class SlowStart:
    """A client whose first try gets the response that starts the run only once the task was told to stop.

    :param client: makes the calls
    :param operator: the task's operator
    :param context: the task's context
    """

    def __init__(self, client: Any, operator: RunWorkflowOperator, context: Any) -> None:
        self._client = client
        self._operator = operator
        self._context = context

    def guarded(self, guard: Any) -> SlowStart:
        return SlowStart(self._client.guarded(guard), self._operator, self._context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def start_run(self, details: Any) -> Any:
        response = self._client.start_run(details)
        while self._context["ti"].try_number == 1 and not self._operator._was_told_to_stop:
            time.sleep(0.05)
        return response


class ClearedWhileStarting(RunWorkflowOperator):
    """Somebody clears the task while its call that starts a run is under way."""

    def call(self, client: Any, context: Any) -> str:
        return super().call(SlowStart(client, self, context), context)  # type: ignore[arg-type]


class KilledBeforeTheIdIsStored(RunWorkflowOperator):
    """The response of the POST has come, and the process is gone."""

    def call(self, client: Any, context: Any) -> str:
        return super().call(KillingClient(client, context, after="start_run"), context)  # type: ignore[arg-type]


class KilledAfterTheIdIsStored(RunWorkflowOperator):
    """The id is stored, and the process is gone before it waits."""

    def call(self, client: Any, context: Any) -> str:
        return super().call(KillingClient(client, context, before="read_workflow"), context)  # type: ignore[arg-type]


class KilledAfterSuccess(RunWorkflowOperator):
    """The workflow has succeeded, and the process is gone before Airflow hears of it."""

    def execute(self, context: Any) -> Any:
        result = super().execute(context)
        kill_the_first_try(context)
        return result


class RetryAnything(RetryPolicy):
    """What a user may set in place of the provider's own policy."""

    def evaluate(self, *_: Any, **__: Any) -> RetryDecision:
        return RetryDecision.default()


ROWS: dict[str, tuple[type[RunWorkflowOperator], dict[str, Any]]] = {
    "killed_after_id_waiting": (KilledAfterTheIdIsStored, {"wait_for_completion": True}),
    "killed_after_id_deferrable": (
        KilledAfterTheIdIsStored,
        {"wait_for_completion": True, "deferrable": True},
    ),
    "killed_before_id": (KilledBeforeTheIdIsStored, {"wait_for_completion": True}),
    "killed_before_id_resubmit": (
        KilledBeforeTheIdIsStored,
        {"wait_for_completion": True, "on_unknown_outcome": "resubmit"},
    ),
    "killed_after_success": (KilledAfterSuccess, {"wait_for_completion": True}),
    "failed_and_retried": (
        RunWorkflowOperator,
        {
            "workflow_definition_id": FAILING_DEFINITION,
            "wait_for_completion": True,
            "retry_policy": RetryAnything(),
            "retries": 1,
        },
    ),
    "failed_by_default": (
        RunWorkflowOperator,
        {"workflow_definition_id": FAILING_DEFINITION, "wait_for_completion": True},
    ),
    "not_durable": (KilledAfterTheIdIsStored, {"wait_for_completion": True, "durable": False}),
    "cleared": (RunWorkflowOperator, {"wait_for_completion": True}),
    "cleared_to_start_over": (
        RunWorkflowOperator,
        {"wait_for_completion": True, "on_clear": "start_over"},
    ),
    "cleared_while_starting": (ClearedWhileStarting, {"wait_for_completion": True}),
    "cleared_while_running": (
        RunWorkflowOperator,
        {
            "workflow_definition_id": "{{ dag_run.conf['slow'] }}",
            "wait_for_completion": True,
            "deferrable": False,
        },
    ),
    "cleared_while_deferred": (
        RunWorkflowOperator,
        {
            "workflow_definition_id": "{{ dag_run.conf['slow'] }}",
            "wait_for_completion": True,
            "deferrable": True,
        },
    ),
}

for name, (operator, arguments) in ROWS.items():
    with DAG(f"durable_{name}", schedule=None, catchup=False):
        case = CreateCaseOperator(task_id="case")
        operator(
            **{
                "task_id": "run",
                "workflow_definition_id": DEFINITION,
                "case_id": case.output,
                "poll_interval": 0.5,
                "max_poll_interval": 0.5,
                "retries": 3,
                "retry_delay": timedelta(seconds=1),
                **arguments,
            }
        )
