"""Mistakes that a type checker finds before a DAG is parsed, each on the line that says so.

Nothing imports this file. Without the mistakes it would be ``correct.py``.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_workflows.decorators import run_workflow
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.operators.shards import merge, shard
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor

D = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"

with DAG("mistakes"):
    # Names of arguments
    CreateCaseOperator(task_id="a", firstname="Ada")  # mistake 1
    CreateCaseOperator(task_id="a", workflow_conn_id="other")  # mistake 2
    CreateParametersOperator(task_id="a", workflow_definition_id=D, parameter={})  # mistake 3
    RunWorkflowOperator(task_id="a", workflow_definition_id=D, case_id="c", wait_for_complete=True)  # mistake 4
    RunWorkflowOperator(task_id="a", workflow_definition_id=D, case_id="c", retrys=3)  # mistake 5
    RunWorkflowOperator(workflow_definition_id=D, case_id="c")  # mistake 6
    RunWorkflowOperator(task_id="a", case_id="c")  # mistake 7
    GetWorkflowResultOperator(task_id="a", workflow_id="w", output="s3://bucket/x")  # mistake 8
    RunWorkflowBatchOperator(task_id="a", workflow_definition_id=D, items=[], output_path="/x", key="id")  # mistake 9
    WorkflowStatusSensor(task_id="a", workflow_id="w", poll_intervall=5)  # mistake 10
    WorkflowStatusSensor(task_id="a", workflow_id="w", timeouts=600)  # mistake 11
    shard("s3://bucket/cases.csv", rows=100)  # mistake 12
    merge("s3://bucket/x", summaries=[])  # mistake 13
    # Types and words
    CreateCaseOperator(task_id="a", personal_number=85010112345)  # mistake 14
    CreateParametersOperator(task_id="a", workflow_definition_id=D, parameters=["x"])  # mistake 15
    RunWorkflowOperator(task_id="a", workflow_definition_id=D, case_id="c", on_clear="restart")  # mistake 16
    RunWorkflowOperator(task_id="a", workflow_definition_id=D, case_id="c", poll_interval="5s")  # mistake 17
    RunWorkflowOperator(task_id="a", workflow_definition_id=D, case_id="c", execution_timeout=600)  # mistake 18
    GetWorkflowResultOperator(task_id="a", workflow_id=7)  # mistake 19
    RunWorkflowBatchOperator(task_id="a", workflow_definition_id=D, items=[], output_path="/x", on_bad_row="drop")  # mistake 20
    WorkflowStatusSensor(task_id="a", workflow_id="w", deferrable="yes")  # mistake 21
    WorkflowsNotifier("chat", title="Failed")  # mistake 22
    # Decorators, and what comes back
    run_workflow(workflow_definition_id=D, wait=True)  # mistake 23
    WorkflowsHook("workflows_default").get_conn().run(D)  # mistake 24
