"""Rows in by a query and results out into a table, with the process killed in between: each key is there once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import SyncToAsync

from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sql import SqlQuery, SqlTable
from tests.unit.batch_task import BatchTask
from tests.unit.database.conftest import CONN_ID, Warehouse, postgresql, warehouse_of
from tests.unit.operators.test_batch_kills import CONCURRENCY, kill_at, killed
from tests.unit.operators.test_batch_stop import FileStore

__all__ = ["postgresql", "warehouse_of"]
pytestmark = pytest.mark.thorough

ROWS = 300
MANY_ROWS = 20_000
CONCURRENCY_OF_MANY = 32
QUERY = SqlQuery("SELECT customer_no, first_name FROM people", CONN_ID, key="customer_no")

#: What is under way at the kill: the name of a function, which of its calls, and whether the call is over.
POINTS = [
    ("batch.input.kept_rows:KeptRows.of", 1, True),
    ("batch.journal:Journal._append", 10, True),
    ("database.table_statements:TableStatements.insert", 2, True),
    ("database.table_writer:TableWriter._move", 1, False),
    ("database.table_writer:TableWriter._move", 1, True),
    ("operators.batch_ending:BatchEnding._write_table", 1, True),
]


def arguments(mode: str, concurrency: int = CONCURRENCY) -> dict[str, Any]:
    table = SqlTable("results", CONN_ID, mode, key="customer_no", select={"decision": "decision"})  # type: ignore[arg-type]
    return {
        "result_table": table,
        "deferrable": False,
        "max_concurrency": concurrency,
        "max_failed_share": 1.0,
        "max_poll_interval": 0.5,
    }


def run_try(
    task: BatchTask, mode: str, point: tuple[str, int], concurrency: int = CONCURRENCY, *, is_over: bool
) -> None:
    """Run a try that kills itself at a point."""
    SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)
    kill_at(point, is_over=is_over)
    task.operator(QUERY, **arguments(mode, concurrency)).execute(task.context)
    os._exit(0)


@pytest.fixture
def task(batch: BatchTask, connected: Sandbox, tmp_path: Path) -> BatchTask:
    batch.store = FileStore(tmp_path / "store.json")  # type: ignore[assignment]
    connected.define(batch.definition_id, seconds=0.0, result={"decision": "PASS"})
    return batch


def fill(warehouse: Warehouse, rows: int) -> None:
    values = [f"('c{number:05}', 'Ada{number}')" for number in range(rows)]
    people = "CREATE TABLE people (customer_no VARCHAR(20), first_name VARCHAR(40))"
    parts = [values[begin : begin + 1000] for begin in range(0, rows, 1000)]
    warehouse.execute(people, *(f"INSERT INTO people VALUES {', '.join(part)}" for part in parts))


def require_each_once(
    task: BatchTask, warehouse: Warehouse, service: Sandbox, rows: int, most_unknown: int
) -> None:
    written = warehouse.execute("SELECT customer_no, outcome, decision FROM results ORDER BY customer_no")
    outcomes = Counter(outcome for _, outcome, _ in written)
    unknown = outcomes["unknown"]
    assert [key for key, _, _ in written] == [f"c{number:05}" for number in range(rows)]
    assert outcomes["succeeded"] == rows - unknown
    assert unknown <= most_unknown
    assert {decision for _, outcome, decision in written if outcome == "succeeded"} == {"PASS"}
    runs = service.counts.runs_per_case
    assert set(runs.values()) == {1}
    assert rows - unknown <= len(runs) <= rows
    assert [row["key"] for row in task.output] == [key for key, _, _ in written]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0].partition(':')[2]} {point[2]}")
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        pytest.param("sqlite", "merge", marks=pytest.mark.slow),
        pytest.param("sqlite", "append", marks=pytest.mark.slow),
        pytest.param("sqlite", "replace", marks=pytest.mark.slow),
        pytest.param("duckdb", "merge", marks=pytest.mark.slow),
        pytest.param("duckdb", "replace", marks=pytest.mark.slow),
        pytest.param("postgresql", "merge", marks=pytest.mark.slow),
        pytest.param("postgresql", "append", marks=pytest.mark.slow),
    ],
)
def test_the_next_try_writes_each_key_once(
    task: BatchTask,
    connected: Sandbox,
    warehouse_of: Callable[[str], Warehouse],
    kind: str,
    mode: str,
    point: tuple[str, int, bool],
) -> None:
    warehouse = warehouse_of(kind)
    fill(warehouse, ROWS)
    name, number, is_over = point
    killed(run_try, task, mode, (name, number), is_over=is_over)
    task.ti.try_number += 1

    task.run(QUERY, **arguments(mode))

    require_each_once(task, warehouse, connected, ROWS, most_unknown=CONCURRENCY)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["postgresql", "duckdb"])
def test_twenty_thousand_rows_are_in_the_table_once_after_five_kills(
    task: BatchTask, connected: Sandbox, warehouse_of: Callable[[str], Warehouse], kind: str
) -> None:
    warehouse = warehouse_of(kind)
    fill(warehouse, MANY_ROWS)
    for name, number, is_over in [*POINTS[:3], POINTS[4], POINTS[5]]:
        point = (name, number * 10 if "journal" in name else number)
        killed(run_try, task, "merge", point, CONCURRENCY_OF_MANY, is_over=is_over, within_seconds=600)
        task.ti.try_number += 1

    task.run(QUERY, **arguments("merge", CONCURRENCY_OF_MANY))

    require_each_once(task, warehouse, connected, MANY_ROWS, most_unknown=CONCURRENCY_OF_MANY)
