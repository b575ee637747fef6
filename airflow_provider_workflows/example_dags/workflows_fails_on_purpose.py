"""A workflow that always fails in the sandbox, to see what a failure shows: the log, the page and an alert.

This is the only one of the examples that ends red. The alert goes where ``workflows_alerts`` describes.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator

# A definition that is ready in the sandbox, whose runs end FAILED.
FAILING_DEFINITION = "f1d0a6c2-7b34-4c0e-9d58-2a6e4b91c7d3"

with DAG(
    "workflows_fails_on_purpose",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    default_args={"on_failure_callback": WorkflowsNotifier("workflows_alerts")},
    doc_md=__doc__,
):
    case = CreateCaseOperator(task_id="create_case", first_name="Johanna", last_name="Nowakowska")
    RunWorkflowOperator(
        task_id="run_workflow",
        workflow_definition_id=FAILING_DEFINITION,
        case_id=case.output,
        wait_for_completion=True,
        deferrable=True,
    )
