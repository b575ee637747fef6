"""A batch whose results go into a table: each key once, with typed columns, and what is said where they cannot."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed, DatabaseFailed, InvalidInput
from airflow_provider_workflows.database.table_writer import TableWriter
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sql import SqlTable
from tests.unit.batch_task import RUN_CALL, BatchTask
from tests.unit.database.conftest import CONN_ID, Warehouse, postgresql, warehouse, warehouse_of

pytestmark = pytest.mark.thorough

__all__ = ["postgresql", "warehouse", "warehouse_of"]
PEOPLE = [{"key": f"c{number}", "first_name": f"Ada{number}"} for number in range(1, 4)]
COLUMNS = "customer_no, outcome, status, decision, score"
SELECT = {"decision": "decision", "score": ("score", "number")}


def table(**arguments: Any) -> SqlTable:
    return SqlTable("results", CONN_ID, **{"key": "customer_no", "select": SELECT} | arguments)


@pytest.fixture
def scored(batch: BatchTask, connected: Sandbox) -> BatchTask:
    """A batch whose runs have a decision and a score."""
    connected.define(batch.definition_id, seconds=0.0, result={"decision": "PASS", "score": 0.5})
    return batch


def rows_of(warehouse: Warehouse, columns: str = COLUMNS) -> list[tuple[Any, ...]]:
    return warehouse.execute(f"SELECT {columns} FROM results ORDER BY 1")


class TestMerge:
    def test_makes_the_table_and_adds_each_row(self, scored: BatchTask, warehouse: Warehouse) -> None:
        scored.run(PEOPLE, result_table=table())

        assert rows_of(warehouse) == [(row["key"], "succeeded", "COMPLETED", "PASS", 0.5) for row in PEOPLE]

    def test_changes_what_is_there_and_leaves_the_columns_of_others(
        self, scored: BatchTask, warehouse: Warehouse
    ) -> None:
        scored.run(PEOPLE[:2], result_table=table())
        warehouse.execute(
            "ALTER TABLE results ADD COLUMN note VARCHAR(20)",
            "UPDATE results SET note = 'mine', decision = 'OLD'",
            "INSERT INTO results (customer_no, outcome, note) VALUES ('x9', 'earlier', 'other')",
        )
        scored.clear()

        scored.run(PEOPLE, result_table=table())

        assert rows_of(warehouse, "customer_no, decision, note") == [
            ("c1", "PASS", "mine"),
            ("c2", "PASS", "mine"),
            ("c3", "PASS", None),
            ("x9", None, "other"),
        ]

    def test_writes_rows_that_have_failed_before_the_task_fails(
        self, batch: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        connected.define(batch.definition_id, seconds=0.0, status="FAILED")

        with pytest.raises(BatchFailed):
            batch.run(PEOPLE, result_table=table())

        assert [row[:4] for row in rows_of(warehouse)] == [
            (row["key"], "failed", "FAILED", None) for row in PEOPLE
        ]

    def test_leaves_out_skipped_rows(self, scored: BatchTask, warehouse: Warehouse) -> None:
        rows = [*PEOPLE, {"key": "c1", "first_name": "Twice"}, {"key": "c9"}]

        scored.run(rows, result_table=table(), on_bad_row="skip")

        assert [row[0] for row in rows_of(warehouse)] == ["c1", "c2", "c3"]

    def test_has_times_as_timestamps(self, scored: BatchTask, warehouse: Warehouse) -> None:
        scored.run(PEOPLE, result_table=table())

        later = "submitted_at + interval '1 hour' > ended_at"
        if warehouse.kind == "sqlite":
            later = "julianday(submitted_at) + 1 / 24.0 > julianday(ended_at)"
        assert warehouse.execute(f"SELECT count(*) FROM results WHERE {later}") == [(3,)]

    def test_takes_names_that_are_words_of_sql_and_have_capitals(
        self, scored: BatchTask, warehouse: Warehouse
    ) -> None:
        names = SqlTable(
            "main.Order" if warehouse.kind != "postgresql" else "public.Order", CONN_ID, key="select"
        )

        scored.run(PEOPLE, result_table=names)

        assert warehouse.execute('SELECT "select" FROM "Order" ORDER BY 1') == [("c1",), ("c2",), ("c3",)]

    def test_needs_a_key_in_each_row(
        self, scored: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        with pytest.raises(InvalidInput, match="merges by key"):
            scored.run([{"first_name": "Ada"}], result_table=table())

        assert connected.counts.requests[RUN_CALL] == 0


def test_append_adds_the_rows_of_each_batch_once(scored: BatchTask, warehouse: Warehouse) -> None:
    scored.run(PEOPLE, result_table=table(mode="append"))
    scored.clear()
    scored.run(PEOPLE, result_table=table(mode="append"))
    scored.ti.run_id = "scheduled__2026-02-01"
    scored.store.stored.clear()
    scored.ti.try_number = 1

    scored.run(PEOPLE[:1], result_table=table(mode="append"))

    assert [row[0] for row in rows_of(warehouse)] == ["c1", "c1", "c2", "c3"]


def test_replace_leaves_the_rows_of_this_batch_alone(scored: BatchTask, warehouse: Warehouse) -> None:
    scored.run(PEOPLE[:2], result_table=table(mode="replace"))
    warehouse.execute("UPDATE results SET customer_no = 'x9' WHERE customer_no = 'c2'")
    scored.clear()

    scored.run(PEOPLE, result_table=table(mode="replace"))

    assert [row[0] for row in rows_of(warehouse)] == ["c1", "c2", "c3"]


class TestTypes:
    def test_are_those_that_are_asked_for(
        self, batch: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        result = {
            "decision": "PASS",
            "n": 7,
            "amount": "12.50",
            "flag": True,
            "at": "2026-01-31T12:00:00.250Z",
            "day": "2026-01-31",
            "list": [1, {"a": None}],
        }
        connected.define(batch.definition_id, seconds=0.0, result=result)
        select = {
            "n": ("n", "integer"),
            "amount": ("amount", "decimal"),
            "flag": ("flag", "boolean"),
            "at_time": ("at", "timestamp"),
            "on_day": ("day", "date"),
            "items": ("list", "json"),
            "nothing": ("missing", "number"),
            "as_text": "list",
        }

        batch.run(PEOPLE[:1], result_table=table(select=select))

        (row,) = rows_of(warehouse, ", ".join(f'"{name}"' for name in select))
        n, amount, flag, at, day, items, nothing, as_text = row
        assert (n, float(amount), bool(flag), nothing) == (7, 12.5, True, None)
        assert (str(at)[:10], str(day), as_text) == ("2026-01-31", "2026-01-31", '[1,{"a":null}]')
        assert items in ('[1,{"a":null}]', [1, {"a": None}])

    def test_that_a_result_does_not_have_are_named_without_the_value(
        self, batch: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        connected.define(batch.definition_id, seconds=0.0, result={"decision": "Kowalski"})

        with pytest.raises(
            InvalidInput, match="row 1 has a text for the column 'score', which is number"
        ) as raised:
            batch.run(PEOPLE, result_table=table(select={"score": ("decision", "number")}))

        assert "Kowalski" not in str(raised.value)
        assert batch.outcomes == ["succeeded"] * 3
        assert batch.output[0]["result"] is not None
        connected.counts.reset()
        warehouse.execute("DROP TABLE results")
        batch.clear()
        batch.run(PEOPLE, result_table=table(select={"score": "decision"}))
        assert connected.counts.requests[RUN_CALL] == 0
        assert rows_of(warehouse, "score") == [("Kowalski",)] * 3


class TestPreparation:
    def test_says_what_creates_a_table_before_anything_is_sent(
        self, scored: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        with pytest.raises(
            InvalidInput, match=r"create it: CREATE TABLE IF NOT EXISTS .results. \("
        ) as raised:
            scored.run(PEOPLE, result_table=table(create_table=False))

        assert connected.counts.requests[RUN_CALL] == 0
        warehouse.execute(str(raised.value).rpartition("create it: ")[2])
        scored.clear()
        scored.run(PEOPLE, result_table=table(create_table=False))
        assert len(rows_of(warehouse)) == 3

    def test_says_what_adds_a_column_that_is_missing(
        self, scored: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        scored.run(PEOPLE, result_table=table(select=None))
        scored.clear()
        connected.counts.reset()

        with pytest.raises(InvalidInput, match="lacks columns; add them: ") as raised:
            scored.run(PEOPLE, result_table=table())

        warehouse.execute(*str(raised.value).rpartition("add them: ")[2].split("; "))
        scored.clear()
        scored.run(PEOPLE, result_table=table())
        assert rows_of(warehouse, "decision") == [("PASS",)] * 3
        assert connected.counts.requests[RUN_CALL] == 0


def test_what_a_database_says_of_a_row_is_not_repeated(
    scored: BatchTask,
    warehouse: Warehouse,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    scored.run(PEOPLE[:1], result_table=table(select=None))
    warehouse.execute("DROP TABLE results")
    warehouse.execute(
        "CREATE TABLE results (customer_no VARCHAR(200) CHECK (customer_no <> 'c2'), outcome VARCHAR, "
        "status VARCHAR, case_id VARCHAR, workflow_id VARCHAR, submitted_at VARCHAR, ended_at VARCHAR, "
        "error_code VARCHAR, error VARCHAR, batch_id VARCHAR)"
    )
    scored.clear()
    rows = [{"key": "c2", "first_name": "Kowalski"}, {"key": "c7", "first_name": "Ada"}]

    with pytest.raises((DatabaseFailed, InvalidInput), match="its own words are left out") as raised:
        scored.run(rows, result_table=table(select=None))

    assert "c2" not in str(raised.value).replace(CONN_ID, "")
    assert "Failing row" not in caplog.text + capsys.readouterr().out
    assert rows_of(warehouse, "customer_no") == []


def test_a_database_that_fails_is_written_by_the_next_try_and_nothing_runs_again(
    scored: BatchTask, connected: Sandbox, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ConnectionResetError("the row of Kowalski")

    with monkeypatch.context() as broken:
        broken.setattr(TableWriter, "_move", failing)
        with pytest.raises(DatabaseFailed):
            scored.run(PEOPLE, result_table=table())
    assert rows_of(warehouse) == []
    assert all(row["result"] for row in scored.output)
    scored.ti.try_number += 1

    scored.run(PEOPLE, result_table=table())

    assert len(rows_of(warehouse)) == 3
    assert connected.counts.requests[RUN_CALL] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "upsert"}, "mode of the result table must be"),
        ({"key": "outcome"}, "another of its columns"),
        ({"key": 'a"b'}, "a name without quotes"),
        ({"key": "number "}, "without blanks around it"),
        ({"select": ["decision"]}, "must be a dict of column and expression"),
        ({"select": {"error": "x"}}, "another of its columns"),
        ({"select": {"a": "x["}}, "not a JMESPath expression"),
        ({"select": {"a": ("x", "varchar")}}, "must be 'text' or 'integer'"),
        ({"create_table": "yes"}, "True or False"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        table(**arguments)


def test_only_a_table_is_a_result_table(batch: BatchTask) -> None:
    with pytest.raises(InvalidInput, match="result_table must be a SqlTable, not str"):
        batch.operator(PEOPLE, result_table="results")
