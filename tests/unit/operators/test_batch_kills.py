"""A batch whose process is killed at any point: the next try goes on, and no row runs twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string
from asgiref.sync import SyncToAsync

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask
from tests.unit.operators.test_batch_stop import FileStore

pytestmark = pytest.mark.thorough

ROWS = 40
CONCURRENCY = 4
PROCESSES = multiprocessing.get_context("fork")
PACKAGE = "airflow_provider_workflows"

#: What is under way at the kill: the name of a function, and which of its calls.
POINTS = [
    ("batch.input.items:read_items", 1),
    ("batch.manifest:_line", 1),
    ("batch.manifest:_line", 20),
    ("batch.repair:begin_journal", 1),
    ("batch.place:BatchFile.write", 1),
    ("batch.place:BatchFile.write", 2),
    ("batch.place:BatchFile.write", 3),
    *(("operators.records:TaskStateRecordStore.write", number) for number in (1, 2, 3, 4, 5)),
    *(("batch.journal:Journal._append", number) for number in (1, 2, 3, 10, 30)),
    ("batch.watch:BatchWatch._write", 1),
    ("batch.output:_JsonLines.write", 1),
    ("batch.output:_JsonLines.write", 20),
    ("batch.unknown_rows:write", 1),
    ("batch.failure_policy:FailurePolicy.evaluate", 1),
    ("operators.batch_submission:BatchSubmission.remove_earlier", 1),
    ("lineage.events:emit", 1),
]


def run_try(task: BatchTask, rows: Any, point: tuple[str, int], *, is_over: bool) -> None:
    """Run a try that kills itself at a point, before the call or once it is over."""
    SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)
    name, number = point
    module, _, path = name.partition(":")
    owner: Any = import_string(f"{PACKAGE}.{module}.{path.partition('.')[0]}")
    *_, attribute = path.split(".")
    function = getattr(owner, attribute) if "." in path else owner
    calls = 0

    def killing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not is_over:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    if "." in path:
        setattr(owner, attribute, killing)
    else:
        _replace_everywhere(function, killing)
    task.operator(rows, deferrable=False, max_concurrency=CONCURRENCY).execute(task.context)
    os._exit(0)


def _replace_everywhere(function: Callable[..., Any], by: Callable[..., Any]) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE):
            for attribute, value in list(vars(module).items()):
                if value is function:
                    setattr(module, attribute, by)


@pytest.fixture
def task(batch: BatchTask, connected: Sandbox, tmp_path: Path) -> BatchTask:
    batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
    return batch


@pytest.mark.parametrize("is_clear", [False, True], ids=["retry", "clear"])
@pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0].partition(':')[2]} {point[1]}")
def test_the_next_try_goes_on_and_no_row_runs_twice(
    task: BatchTask, connected: Sandbox, point: tuple[str, int], is_over: bool, is_clear: bool
) -> None:
    rows = [{"key": f"K{number}", "first_name": f"Ada{number}"} for number in range(ROWS)]
    process = PROCESSES.Process(target=run_try, args=(task, rows, point), kwargs={"is_over": is_over})
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, "it has not come to that point"
    if is_clear:
        task.clear()
    else:
        task.ti.try_number += 1

    task.run(rows, deferrable=False, max_failed_share=1.0)

    unknown = task.outcomes.count("unknown")
    assert [row["key"] for row in task.output] == [row["key"] for row in rows]
    assert set(task.outcomes) <= {"succeeded", "unknown"}
    assert unknown <= CONCURRENCY
    assert set(connected.counts.runs_per_case.values()) == {1}
    assert ROWS - unknown <= sum(connected.counts.runs_per_case.values()) <= ROWS
    assert not list(task.folder.glob("*.part"))
    assert len(task.state_folders) == 1
