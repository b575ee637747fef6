"""Tasks made by decorators, of which some are killed in their first try once all is submitted."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task, task_group
from airflow.sdk.bases.decorator import task_decorator_factory

from airflow_provider_workflows.decorators.run_workflow import RunWorkflowTask
from airflow_provider_workflows.decorators.workflows_batch import WorkflowsBatchTask
from airflow_provider_workflows.sandbox import DEFINITION

OFTEN: dict[str, Any] = {"poll_interval": 0.5, "max_poll_interval": 0.5, "deferrable": True}


def kill_the_first_try() -> None:
    if get_current_context()["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


class KilledRun(RunWorkflowTask):
    """The id is stored, and the process is gone before it waits."""

    def defer(self, **arguments: Any) -> Any:
        kill_the_first_try()
        return super().defer(**arguments)


class KilledBatch(WorkflowsBatchTask):
    """All rows are submitted, and the process is gone before it waits."""

    def defer(self, **arguments: Any) -> Any:
        kill_the_first_try()
        return super().defer(**arguments)


def person(name: str, number: int) -> dict[str, Any]:
    """Return the fields of a case."""
    return {"first_name": name, "last_name": f"{get_current_context()['run_id']}-{number}"}


# A busy scheduler fails a task whose trigger fires soon after it was deferred (apache/airflow issue 72716): its
# next try takes the run over, so that each case is still run once.
with DAG(
    "taskflow",
    schedule=None,
    catchup=False,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
):

    @task
    def names() -> list[str]:
        """Return who is checked."""
        return ["Ada", "Bea", "Cleo"]

    @task.workflows_batch(
        workflow_definition_id=DEFINITION, output_path="{{ dag_run.conf['output'] }}/batch", **OFTEN
    )
    def batch(given: list[str], run_id: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each."""
        return [{"key": name, "first_name": name, "last_name": f"{run_id}-batch"} for name in given]

    @task.run_workflow(workflow_definition_id=DEFINITION, wait_for_completion=True, **OFTEN)
    def single(name: str) -> dict[str, Any]:
        """Return a case with parameters."""
        return {**person(name, 0), "parameters": {"depth": 1}}

    @task.run_workflow(workflow_definition_id=DEFINITION, wait_for_completion=True, deferrable=False)
    def each(name: str) -> dict[str, Any]:
        """Return a case."""
        return person(name, 1)

    @task_group
    def group(name: str) -> None:
        """Run one for each."""
        each.override(task_id="in_group")(name)

    found = names()
    batch(found)
    single("Ada")
    each.expand(name=found)
    group.expand(name=found)

with DAG("taskflow_killed", schedule=None, catchup=False):
    RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=1)}

    def run_once() -> dict[str, Any]:
        return person("Ada", 0)

    def batch_once() -> list[dict[str, Any]]:
        return [person(name, 0) for name in ("Ada", "Bea", "Cleo")]

    for function, operator, arguments in (
        (run_once, KilledRun, {"wait_for_completion": True}),
        (batch_once, KilledBatch, {"output_path": "{{ dag_run.conf['output'] }}/killed"}),
    ):
        decorated: Any = task_decorator_factory(
            decorated_operator_class=operator,
            multiple_outputs=False,
            workflow_definition_id=DEFINITION,
            **OFTEN,
            **RETRIES,
            **arguments,
        )
        decorated(function)()
