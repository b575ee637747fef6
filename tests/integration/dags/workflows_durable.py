"""A DAG for each row of the decision table: operators whose process is killed at one point of their first try."""

from __future__ import annotations

import os
import signal
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


class KilledBeforeTheIdIsStored(RunWorkflowOperator):
    """The response of the POST has come, and the process is gone."""

    def call(self, client: Any, context: Any) -> str:
        self._task_context = context
        return super().call(client, context)

    def _submit(self, client: Any) -> str:
        workflow_id = super()._submit(client)
        kill_the_first_try(self._task_context)
        return workflow_id


class KilledAfterTheIdIsStored(RunWorkflowOperator):
    """The id is stored, and the process is gone before it waits."""

    def _run(self, client: Any, context: Any) -> tuple[str, float]:
        found = super()._run(client, context)
        kill_the_first_try(context)
        return found


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
