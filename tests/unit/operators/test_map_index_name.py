"""What Airflow shows for a mapped task in place of its number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import task_group
from airflow.sdk.execution_time.task_runner import _render_map_index

from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.operators.case import CreateCaseOperator
from airflow_provider_workflows.operators.parameters import CreateParametersOperator
from airflow_provider_workflows.operators.result import GetWorkflowResultOperator
from airflow_provider_workflows.operators.run import RunWorkflowOperator
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sensors.workflow_status import WorkflowStatusSensor
from tests.unit.operators.test_data import Run

CASE = "7c1f2a90-3d5e-4b86-9a17-0e4c8b52d6f1"
SHARD = {"items": "s3://aws_default@bucket/in/cases.csv", "first_row": 5001, "rows": 5000}


@pytest.fixture
def run(connected: Sandbox) -> Run:
    return Run(connected)


def shown(run: Run, task: Any) -> str | None:
    """What Airflow shows, as it renders it before a task begins."""
    task = run.rendered(task)
    run.ti.task = task  # type: ignore[attr-defined]
    return _render_map_index(run.context, run.ti, task.log)  # type: ignore[arg-type]


#: What is mapped, and what the first of its tasks is called.
NAMES: dict[str, tuple[Callable[[Run], Any], str]] = {
    "batches of definitions": (
        lambda _: RunWorkflowBatchOperator.partial(
            task_id="t", items="/in/cases.csv", output_path="/out"
        ).expand(workflow_definition_id=[DEFINITION]),
        f"{DEFINITION}: cases.csv",
    ),
    "batches of files": (
        lambda run: _batches_of(run, ["s3://aws_default@bucket/in/monday.csv"]),
        f"{DEFINITION}: monday.csv",
    ),
    "batches of shards": (
        lambda run: _batches_of(run, [SHARD]),
        f"{DEFINITION}: rows 5,001 to 10,000 of cases.csv",
    ),
    "batches of rows": (lambda run: _batches_of(run, [[{"first_name": "Ada"}]]), DEFINITION),
    "runs": (
        lambda _: RunWorkflowOperator.partial(task_id="t", workflow_definition_id=DEFINITION).expand(
            case_id=[CASE]
        ),
        f"{DEFINITION}: case {CASE}",
    ),
    "parameters": (
        lambda _: CreateParametersOperator.partial(task_id="t", parameters={}).expand(
            workflow_definition_id=[DEFINITION]
        ),
        DEFINITION,
    ),
    "waits": (
        lambda _: WorkflowStatusSensor.partial(task_id="t").expand(workflow_id=[CASE]),
        f"workflow {CASE}",
    ),
    "results": (
        lambda _: GetWorkflowResultOperator.partial(task_id="t").expand(workflow_id=[CASE]),
        f"workflow {CASE}",
    ),
}


def _batches_of(run: Run, items: Any) -> Any:
    return RunWorkflowBatchOperator.partial(
        task_id="t", workflow_definition_id=DEFINITION, output_path="/out"
    ).expand(items=run.output(items))


@pytest.mark.parametrize("mapped", NAMES)
def test_a_mapped_task_is_called_by_what_it_works_on(run: Run, mapped: str) -> None:
    make, name = NAMES[mapped]
    with run.dag:
        task = make(run)

    assert shown(run, task) == name


def test_the_author_of_a_dag_may_call_it_otherwise(run: Run) -> None:
    with run.dag:
        task = RunWorkflowOperator.partial(
            task_id="t", workflow_definition_id=DEFINITION, map_index_template="mine: {{ task.case_id }}"
        ).expand(case_id=[CASE])

    assert shown(run, task) == f"mine: {CASE}"


def test_a_mapped_case_keeps_its_number_because_its_values_are_personal(run: Run) -> None:
    with run.dag:
        task = CreateCaseOperator.partial(task_id="t").expand(first_name=["Ada"])

    assert shown(run, task) is None


def test_a_task_that_is_not_mapped_has_no_such_name(connected: Sandbox) -> None:
    run = Run(connected)
    run.ti.map_index = -1
    with run.dag:
        task = RunWorkflowOperator(task_id="t", workflow_definition_id=DEFINITION, case_id=CASE)

    assert shown(run, task) is None


def test_a_name_is_cut_off_where_airflow_has_no_room_for_more(run: Run) -> None:
    with run.dag:
        task = WorkflowStatusSensor.partial(task_id="t").expand(workflow_id=["x" * 300])

    assert len(shown(run, task) or "") == 250


def test_what_a_name_is_made_of_is_no_template(run: Run) -> None:
    with run.dag:
        task = WorkflowStatusSensor.partial(task_id="t").expand(workflow_id=run.output(["{{ 7 * 7 }}"]))

    assert shown(run, task) == "workflow {{ 7 * 7 }}"


def test_a_task_in_a_mapped_group_has_a_name_too(run: Run) -> None:
    with run.dag:

        @task_group
        def one(case_id: Any) -> None:
            RunWorkflowOperator(task_id="t", workflow_definition_id=DEFINITION, case_id=case_id)

        one.expand(case_id=run.output([CASE]))

    assert shown(run, run.dag.get_task("one.t")) == f"{DEFINITION}: case {CASE}"
