"""The flow in each mode, a batch, a task that webhooks resume, and a task whose process is killed.

It uses nothing that some supported version of Airflow lacks.
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_workflows.airflow_internals.xcom import is_live
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import FAILING_DEFINITION
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

OFTEN: dict[str, Any] = {"poll_interval": 0.5, "max_poll_interval": 0.5}
#: The wait for a webhook must not end by a poll instead.
SELDOM: dict[str, Any] = {"poll_interval": 300, "max_poll_interval": 300}
#: A first try that fails is a fault of ours, but where its process is killed.
ONCE: dict[str, Any] = {"retries": 0}
RUN: dict[str, Any] = {
    "task_id": "run",
    "workflow_definition_id": "{{ params.definition }}",
    "case_id": "{{ params.case_id }}",
}
PARAMS = {"definition": "", "case_id": "", "output": "", "connection": "workflows_default"}
DAG_ARGUMENTS: dict[str, Any] = {"schedule": None, "catchup": False, "params": PARAMS}


class KilledOnceTheIdIsStored(RunWorkflowOperator):
    """The process of the first try is gone before it waits."""

    def call(self, client: Any, context: Any) -> str:
        self.wait_for_completion = context["ti"].try_number > 1
        workflow_id = super().call(client, context)
        if context["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return workflow_id


with DAG("flow_on_worker", **DAG_ARGUMENTS):
    case = CreateCaseOperator(task_id="case", first_name="Ada", **ONCE)
    parameters = CreateParametersOperator(
        task_id="parameters",
        workflow_definition_id="{{ params.definition }}",
        parameters={"limit": 5},
        **ONCE,
    )
    run = RunWorkflowOperator(
        **RUN | {"case_id": case.output, "parameters_id": parameters.output},
        wait_for_completion=True,
        deferrable=False,
        **OFTEN,
        **ONCE,
    )
    GetWorkflowResultOperator(task_id="result", workflow_id=run.output, **ONCE)

with DAG("flow_in_triggerer", **DAG_ARGUMENTS):
    run = RunWorkflowOperator(**RUN, wait_for_completion=True, deferrable=True, **OFTEN, **ONCE)
    GetWorkflowResultOperator(task_id="result", workflow_id=run.output, **ONCE)

with DAG("flow_that_fails", **DAG_ARGUMENTS):
    failing = RUN | {"workflow_definition_id": FAILING_DEFINITION}
    RunWorkflowOperator(**failing, wait_for_completion=True, deferrable=False, **OFTEN, **ONCE)

with DAG("flow_with_sensors", **DAG_ARGUMENTS):
    run = RunWorkflowOperator(**RUN, **ONCE)
    for mode, arguments in {
        "poke": {"deferrable": False},
        "reschedule": {"deferrable": False, "mode": "reschedule"},
        "defer": {"deferrable": True},
    }.items():
        WorkflowStatusSensor(task_id=mode, workflow_id=run.output, poke_interval=2, **arguments, **ONCE)

with DAG("flow_with_webhook", **DAG_ARGUMENTS):
    RunWorkflowOperator(
        **RUN,
        workflows_conn_id="{{ params.connection }}",
        wait_for_completion=True,
        deferrable=True,
        **SELDOM,
        **ONCE,
    )

for name, intervals in {
    "batch": OFTEN,
    # Below Airflow 3.3 a batch is polled as without webhooks.
    "batch_with_webhooks": SELDOM if is_live() else OFTEN,
}.items():
    with DAG(f"flow_of_{name}", **DAG_ARGUMENTS):
        RunWorkflowBatchOperator(
            task_id="run",
            workflow_definition_id="{{ params.definition }}",
            workflows_conn_id="{{ params.connection }}",
            items=[{"first_name": f"Ada{number}"} for number in range(20)],
            output_path="{{ params.output }}",
            **intervals,
            **ONCE,
        )

with DAG("flow_with_kill", **DAG_ARGUMENTS):
    KilledOnceTheIdIsStored(**RUN, deferrable=False, retries=1, retry_delay=timedelta(seconds=1), **OFTEN)
