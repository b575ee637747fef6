"""What the example DAGs do without Airflow, and without the events that they are made for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_workflows.sandbox import Sandbox
from tests.harness.local_airflow import EXAMPLE_DAGS
from tests.unit.operators.test_run_modes import drive
from tests.unit.tasks import TaskInstance, TaskStateStore

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """Import the file of an example."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLE_DAGS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_the_examples_are_in_the_package_with_what_they_read() -> None:
    folder = files("airflow_provider_workflows.example_dags")

    examples = {entry.name for entry in folder.iterdir() if entry.name.startswith("workflows_")}
    assert "workflows_single_case.py" in examples
    assert len(examples) >= 10
    assert {entry.name for entry in (folder / "data").iterdir()} == {"nightly_cases.csv", "person.json"}


@pytest.mark.skipif(
    not (CHECKOUT / ".git").exists(), reason="no checkout: a source distribution has no links"
)
def test_dags_in_a_checkout_shows_the_same_files() -> None:
    assert (CHECKOUT / "dags").samefile(EXAMPLE_DAGS)


@pytest.mark.parametrize(
    ("partition_key", "statuses", "reason"),
    [
        (None, [], "No webhook has started this run"),
        ("6313", ["COMPLETED"], None),
        # As a test, or a person who enters a partition key, starts it.
        ("6313", [], None),
        ("6313", ["FAILED"], "The workflow has ended FAILED"),
    ],
)
def test_a_run_on_completion_is_skipped_where_there_is_no_result(
    example: Callable[[str], ModuleType], partition_key: str | None, statuses: list[str], reason: str | None
) -> None:
    module = example("workflows_on_completion")
    events = [SimpleNamespace(extra={"status": status}) for status in statuses]
    context: dict[str, Any] = {
        "dag_run": SimpleNamespace(partition_key=partition_key),
        "triggering_asset_events": {module.COMPLETED: events} if events else {},
    }

    if reason is None:
        module.skip_without_result(context)
    else:
        with pytest.raises(AirflowSkipException, match=reason):
            module.skip_without_result(context)


class Tasks(TaskInstance):
    """What the tasks of a run have returned, by their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.returned: dict[str, Any] = {}

    def xcom_pull(self, *, task_ids: Any, **_: Any) -> Any:
        return self.returned[task_ids]


def test_a_record_goes_through_a_workflow_of_generation_3(
    example: Callable[[str], ModuleType],
    connected: Sandbox,
    short_pauses: None,
    context: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dag = example("workflows_record").record.dag
    connected.define(dag.params["definition"], seconds=0.0, result={"decision": "PASS"})
    params = {**dag.params.dump(), "output": str(tmp_path)}
    tasks = Tasks()

    for task_id in ("create_record", "run_workflow", "get_result", "print_result"):
        task = dag.get_task(task_id)
        given = {**context, "ti": tasks, "task_state_store": TaskStateStore(), "params": params, "task": task}
        task.render_template_fields(given)  # type: ignore[arg-type]
        tasks.returned[task_id] = drive(lambda task=task: task, given)  # type: ignore[misc]

    (workflow,) = connected.workflows
    assert (workflow.generation, workflow.record_id) == (3, tasks.returned["create_record"])
    assert workflow.parameters == {"limit": 1.5, "strict": True}
    assert set(connected.counts.requests) == {
        "POST /tables/{tableId}/records",
        "POST /workflows",
        "GET /workflows/{workflowId}",
        "GET /workflows/{workflowId}/result",
    }
    assert "'decision': 'PASS'" in capsys.readouterr().out


@pytest.mark.thorough
def test_a_table_goes_through_a_workflow_of_generation_3_with_a_record_for_each_row(
    example: Callable[[str], ModuleType],
    connected: Sandbox,
    short_pauses: None,
    context: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dag = example("workflows_record_batch").batch.dag
    connected.define(dag.params["definition"], seconds=0.0, result={"decision": "PASS"})
    params = {**dag.params.dump(), "output": str(tmp_path)}
    tasks = Tasks()

    for task_id in ("run_batch", "count_passes"):
        task = dag.get_task(task_id)
        given = {**context, "ti": tasks, "params": params, "run_id": "manual", "task": task}
        task.render_template_fields(given)  # type: ignore[arg-type]
        tasks.returned[task_id] = drive(lambda task=task: task, given)  # type: ignore[misc]

    outcomes = tasks.returned["run_batch"]["outcomes"]
    assert connected.counts.records == outcomes["succeeded"] > 20
    assert set(connected.counts.runs_per_record.values()) == {1}
    assert {workflow.generation for workflow in connected.workflows} == {3}
    assert (
        f"{outcomes['succeeded']} of {outcomes['succeeded']} records have passed." in capsys.readouterr().out
    )
