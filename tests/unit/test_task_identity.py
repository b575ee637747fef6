"""How a task instance is named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_workflows.task_identity import TaskIdentity


@pytest.mark.parametrize(
    ("map_index", "read", "words"),
    [
        (None, -1, "task 'run' of DAG 'nightly', run 'r1'"),
        (-1, -1, "task 'run' of DAG 'nightly', run 'r1'"),
        (3, 3, "task 'run' of DAG 'nightly', run 'r1', map index 3"),
    ],
)
def test_names_a_task_instance(map_index: int | None, read: int, words: str) -> None:
    ti = SimpleNamespace(dag_id="nightly", run_id="r1", task_id="run", map_index=map_index)

    task = TaskIdentity.of(ti)

    assert task == TaskIdentity("nightly", "r1", "run", read)
    assert str(task) == words
