"""A batch of each generation that is killed, tried again, cleared and exported anew: no row is paid twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask
from tests.unit.operators.test_batch_generations import KINDS, Kind
from tests.unit.operators.test_batch_kills import CONCURRENCY, killed, run_try
from tests.unit.operators.test_batch_stop import FileStore

pytestmark = [pytest.mark.thorough, pytest.mark.slow]

ROWS = 24
#: What is under way at the kill: the name of a function, and which of its calls.
POINTS = [
    ("batch.input_check:_line", 1),
    ("batch.place:BatchFile.write", 1),
    *(("batch.journal:Journal._append", number) for number in (1, 2, 3, 6, 9)),
    ("operators.records:TaskStateRecordStore.write", 4),
    ("batch.watch:BatchWatch._write", 1),
    ("batch.output_formats:JsonLines.write", 10),
]
SLOW = ("2: cases", "2: given records", "2: nobody")


@pytest.fixture
def task(batch: BatchTask, connected: Sandbox, tmp_path: Path) -> BatchTask:
    batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
    return batch


def exported(kind: Kind, folder: Path, *, is_reversed: bool) -> str:
    """Write the rows as a file of JSON Lines, as an export has them at one time, and return its path."""
    rows: list[Mapping[str, Any]] = kind.rows(ROWS)
    path = folder / "people.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in (reversed(rows) if is_reversed else rows)))
    return str(path)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, kind in KINDS.items()
    ],
)
@pytest.mark.parametrize("what", ["retry", pytest.param("clear", marks=pytest.mark.slow), "export again"])
@pytest.mark.parametrize("is_over", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0].partition(':')[2]} {point[1]}")
def test_no_row_is_paid_twice_in_any_generation(
    task: BatchTask,
    connected: Sandbox,
    tmp_path: Path,
    kind: Kind,
    what: str,
    point: tuple[str, int],
    is_over: bool,
) -> None:
    rows = exported(kind, tmp_path, is_reversed=False)
    killed(run_try, task, rows, point, kind.given(), is_over=is_over)
    if what == "retry":
        task.ti.try_number += 1
    else:
        task.clear()
    if what == "export again":
        rows = exported(kind, tmp_path, is_reversed=True)

    task.run(rows, **kind.given(deferrable=False, max_failed_share=1.0))

    unknown = task.outcomes.count("unknown")
    paid = connected.counts.runs_per_parameter("limit")
    assert {row["key"] for row in task.output} == {f"K{number}" for number in range(1, ROWS + 1)}
    assert set(task.outcomes) <= {"succeeded", "unknown"}
    assert unknown <= CONCURRENCY
    assert set(paid.values()) == {1}
    assert ROWS - unknown <= sum(paid.values()) <= ROWS
