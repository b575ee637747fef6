"""One workflow, with alerts: a message when a task fails, and one when a run is not done within an hour.

The messages go to the incoming webhook of a chat service, whose address is the password of the connection
``workflows_alerts``. Without that connection the DAG runs all the same, and an error in the log says what was not
sent. The runs of this DAG succeed, so that it sends nothing: ``workflows_fails_on_purpose`` shows an alert.
"""

from __future__ import annotations

from datetime import timedelta

# Airflow's type stub lacks three of these.
from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, Param  # type: ignore[attr-defined]

from airflow_provider_workflows.notifications.workflows import WorkflowsNotifier
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator

# Two definitions that are ready in the sandbox: the runs of one succeed, those of the other fail.
DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
FAILING_DEFINITION = "f1d0a6c2-7b34-4c0e-9d58-2a6e4b91c7d3"

with DAG(
    "workflows_alerts",
    schedule=None,
    catchup=False,
    tags=["workflows"],
    params={
        "definition": Param(
            DEFINITION,
            type="string",
            examples=[DEFINITION, FAILING_DEFINITION],
            description="id of the workflow definition",
        ),
    },
    default_args={"on_failure_callback": WorkflowsNotifier("workflows_alerts")},
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=AsyncCallback(WorkflowsNotifier, {"alert_conn_id": "workflows_alerts"}),
    ),
    doc_md=__doc__,
):
    case = CreateCaseOperator(task_id="create_case", first_name="Johanna", last_name="Nowakowska")
    RunWorkflowOperator(
        task_id="run_workflow",
        workflow_definition_id="{{ params.definition }}",
        case_id=case.output,
        wait_for_completion=True,
        deferrable=True,
    )
