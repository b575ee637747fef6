"""A batch whose process is killed at any point: the next try goes on, and no row runs twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.module_loading import import_string
from asgiref.sync import SyncToAsync

from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask
from tests.unit.operators.test_batch_stop import FileStore
from tests.unit.operators.test_run_stop import WAITS, Task

pytestmark = pytest.mark.thorough

ROWS = 40
CONCURRENCY = 4
PROCESSES = multiprocessing.get_context("fork")
PACKAGE = "airflow_provider_workflows"

#: What is under way at the kill: the name of a function, and which of its calls.
POINTS = [
    ("batch.input.items:read_together", 1),
    ("batch.input_check:_line", 1),
    ("batch.input_check:_lines", 1),
    ("batch.repair:begin_journal", 1),
    ("batch.place:BatchFile.write", 1),
    ("batch.place:BatchFile.write", 2),
    ("batch.place:BatchFile.write", 3),
    *(("operators.records:TaskStateRecordStore.write", number) for number in (1, 2, 3, 4, 5)),
    *(("batch.journal:Journal._append", number) for number in (1, 2, 3, 10, 30)),
    ("batch.watch:BatchWatch._write", 1),
    ("batch.output_formats:JsonLines.write", 1),
    ("batch.output_formats:JsonLines.write", 20),
    ("batch.unknown_rows:write", 1),
    ("batch.failure_policy:FailurePolicy.evaluate", 1),
    ("operators.batch_submission:BatchSubmission.remove_earlier", 1),
    ("lineage.events:emit", 1),
]

NOTHING: Mapping[str, Any] = MappingProxyType({})
#: Where the parts of an output are replaced.
PARTS = [
    ("batch.output_parts:PartsWriter._end", 2),
    ("batch.output_parts:_copy", 2),
    ("batch.output_parts:_write_list", 1),
    ("batch.output_parts:_remove_others", 1),
    ("batch.unknown_rows:write", 1),
]


def kill_at(point: tuple[str, int], *, is_over: bool) -> None:
    """Have this process kill itself at a point, before the call or once it is over."""
    name, number = point
    module, _, path = name.partition(":")
    of_class, _, attribute = path.rpartition(".")
    owner: Any = import_string(f"{PACKAGE}.{module}.{of_class}") if of_class else None
    function = getattr(owner, attribute) if of_class else import_string(f"{PACKAGE}.{module}.{attribute}")
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

    if of_class:
        setattr(owner, attribute, killing)
        return
    for module_name, loaded in list(sys.modules.items()):
        if module_name.startswith(PACKAGE) and getattr(loaded, attribute, None) is function:
            setattr(loaded, attribute, killing)


def run_try(
    task: BatchTask,
    rows: Any,
    point: tuple[str, int],
    arguments: Mapping[str, Any] = NOTHING,
    *,
    is_over: bool,
) -> None:
    """Run a try that kills itself at a point."""
    SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)
    kill_at(point, is_over=is_over)
    given = {"deferrable": False, "max_concurrency": CONCURRENCY, **arguments}
    task.operator(rows, **given).execute(task.context)
    os._exit(0)


def killed(target: Callable[..., None], *arguments: Any, is_over: bool, within_seconds: float = 60) -> None:
    """Run a function in a process that kills itself."""
    process = PROCESSES.Process(target=target, args=arguments, kwargs={"is_over": is_over})
    process.start()
    process.join(within_seconds)
    assert process.exitcode == -signal.SIGKILL, "it has not come to that point"


@pytest.fixture
def task(batch: BatchTask, connected: Sandbox, tmp_path: Path) -> BatchTask:
    batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
    return batch


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Any]:
    """Return the rows as a list, or a file of them."""

    def table(source: str) -> Any:
        rows = [{"key": f"K{number}", "first_name": f"Ada{number}"} for number in range(ROWS)]
        path = tmp_path / f"people.{source}"
        if source == "csv":
            lines = [f"{row['key']},{row['first_name']}\n" for row in rows]
            path.write_text("".join(["key,first_name\n", *lines]))
        elif source == "parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return rows if source == "list" else str(path)

    return table


@pytest.mark.costly(16)
@pytest.mark.parametrize(
    ("source", "is_clear"),
    [
        pytest.param("list", False, marks=pytest.mark.slow),
        ("csv", True),
        pytest.param("parquet", True, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0].partition(':')[2]} {point[1]}")
def test_the_next_try_goes_on_and_no_row_runs_twice(
    task: BatchTask,
    connected: Sandbox,
    table: Callable[[str], Any],
    source: str,
    point: tuple[str, int],
    is_over: bool,
    is_clear: bool,
) -> None:
    rows = table(source)
    killed(run_try, task, rows, point, is_over=is_over)
    if is_clear:
        task.clear()
    else:
        task.ti.try_number += 1

    task.run(rows, deferrable=False, max_failed_share=1.0)

    unknown = task.outcomes.count("unknown")
    assert [row["key"] for row in task.output] == [f"K{number}" for number in range(ROWS)]
    assert set(task.outcomes) <= {"succeeded", "unknown"}
    assert unknown <= CONCURRENCY
    assert set(connected.counts.runs_per_case.values()) == {1}
    assert ROWS - unknown <= sum(connected.counts.runs_per_case.values()) <= ROWS
    assert not list(task.folder.glob("*.part"))
    assert len(task.state_folders) == 1


@pytest.mark.costly(4)
@pytest.mark.parametrize(
    "output_format", ["jsonl", *(pytest.param(name, marks=pytest.mark.slow) for name in OUTPUT_FORMATS[1:])]
)
@pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", PARTS, ids=lambda point: point[0].partition(":")[2])
def test_parts_are_those_of_one_try_whenever_another_is_killed(
    task: BatchTask,
    table: Callable[[str], Any],
    output_format: str,
    point: tuple[str, int],
    is_over: bool,
) -> None:
    rows = table("list")
    form = {"output_format": output_format, "output_rows_per_file": 15}
    task.run(rows[:20], deferrable=False, **form)
    task.clear()

    killed(run_try, task, rows, point, form, is_over=is_over)
    between = [row["key"] for row in read_output(str(task.folder / "results"))]
    task.ti.try_number += 1
    summary = task.run(rows, deferrable=False, **form)

    assert between in ([row["key"] for row in rows[:20]], [row["key"] for row in rows])
    assert [row["key"] for row in read_output(summary["output"])] == [row["key"] for row in rows]
    names = sorted(path.name[:10] for path in (task.folder / "results").iterdir())
    assert names == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]


@pytest.mark.costly(8)
@pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_clear", [False, True], ids=["retry", "clear"])
@pytest.mark.parametrize(
    "point",
    [
        *(("operators.records:TaskStateRecordStore.write", number) for number in (1, 2, 3)),
        ("api.client:WorkflowsClient.start_run", 1),
        ("operators.run:set_link", 1),
        ("lineage.events:emit", 1),
    ],
    ids=lambda point: f"{point[0].partition(':')[2]} {point[1]}",
)
def test_a_single_run_is_started_once(
    connected: Sandbox,
    short_pauses: None,
    tmp_path: Path,
    point: tuple[str, int],
    is_over: bool,
    is_clear: bool,
) -> None:
    task = Task(connected, FileStore(tmp_path / "store.json"))
    killed(run_single, task, point, is_over=is_over)
    may_have_started = task.record.get("phase") == "submitting"
    if is_clear:
        task.context["ti"].clear()
    else:
        task.context["ti"].try_number += 1

    if may_have_started:
        with pytest.raises(AirflowFailException, match="nobody knows whether"):
            task.run(**WAITS)
        assert task.runs <= 1
    else:
        assert task.run(**WAITS) == task.record["workflow_id"]
        assert task.runs == 1


def run_single(task: Task, point: tuple[str, int], *, is_over: bool) -> None:
    """Run a try of a single run that kills itself at a point."""
    kill_at(point, is_over=is_over)
    task.run(**WAITS)
    os._exit(0)
