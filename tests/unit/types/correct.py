"""What ``mistakes.py`` would be without its mistakes: a type checker has nothing to say of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, TriggerRule

from airflow_provider_workflows.decorators import run_workflow, workflows_batch
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.shards import merge, shard
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

D = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
ALERT = WorkflowsNotifier("chat")

with DAG("correct") as dag:
    case = CreateCaseOperator(
        task_id="case", first_name="Ada", personal_number="85010112345", workflows_conn_id="other", pool="few"
    )
    parameters = CreateParametersOperator(
        task_id="parameters", workflow_definition_id=D, parameters={"depth": 1}, doc_md="Few."
    )
    run = RunWorkflowOperator(
        task_id="run",
        workflow_definition_id=D,
        case_id=case.output,
        parameters_id=parameters.output,
        on_clear="start_over",
        poll_interval=timedelta(seconds=5),
        execution_timeout=timedelta(hours=1),
        retries=3,
        retry_policy=WorkflowsRetryPolicy(),
        on_failure_callback=[ALERT],
        dag=dag,
    )
    wait = WorkflowStatusSensor(
        task_id="wait",
        workflow_id=run.output,
        poke_interval=5,
        timeout=600,
        mode="reschedule",
        soft_fail=True,
    )
    result = GetWorkflowResultOperator(
        task_id="result",
        workflow_id=run.output,
        output_path="s3://bucket/x",
        trigger_rule=TriggerRule.ALL_DONE,
        on_success_callback=ALERT,
    )
    RunWorkflowBatchOperator(
        task_id="batch",
        workflow_definition_id=D,
        items=[{"key": "1", "first_name": "Ada"}],
        output_path="/x",
        on_bad_row="skip",
        outlets=[Asset("results")],
    )
    shards = shard("s3://bucket/cases.csv", size=100, zero_pad={"personal_number": 11})
    batches = RunWorkflowBatchOperator.partial(
        task_id="batches", workflow_definition_id=D, output_path="/x"
    ).expand(items=shards)
    merge(batches.output, "s3://bucket/x", shards)
    wait >> result

    @run_workflow(workflow_definition_id=D, wait_for_completion=True, retries=3)
    def check(name: str) -> dict[str, Any]:
        """Return a case."""
        return {"first_name": name}

    @workflows_batch(workflow_definition_id=D, output_path="/x", on_bad_row="skip")
    def check_many(names: list[str]) -> list[dict[str, Any]]:
        """Return rows."""
        return [{"first_name": name} for name in names]

    check("Ada") >> check_many(["Ada"])
    check.expand(name=["Ada"])


def run_by_hand(case_id: str) -> str:
    """Return the id of a run."""
    return WorkflowsHook("workflows_default").get_conn().run_workflow(D, case_id).id
