"""A batch whose results go into a table: each key once, with typed columns, and what is said where they cannot."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import BatchFailed, DatabaseFailed, InvalidInput
from airflow_provider_workflows.database.table_writer import TableWriter
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import READY_RECORD
from airflow_provider_workflows.sql import SqlTable
from airflow_provider_workflows.xcom_keys import SUMMARY_KEY
from tests.unit.batch_task import RESULT_CALL, RESULT_PATH, RUN_CALL, BatchTask
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

    def test_has_record_and_versions_of_runs_of_generation_3(
        self, batch: BatchTask, connected: Sandbox, warehouse: Warehouse
    ) -> None:
        connected.define(batch.definition_id, seconds=0.0, revision=7)
        rows = [{"key": "c1", "record_id": READY_RECORD}]

        batch.run(rows, result_table=table(), workflows_conn_id=CONNECTION_IDS[3])

        names = "record_id, revision, execution_version"
        assert rows_of(warehouse, names) == [(READY_RECORD, "7", "1")]

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


class TestTryAfterAFailedWrite:
    """What a try does whose predecessor has written the output, and not the table."""

    @pytest.fixture
    def fail(
        self, scored: BatchTask, warehouse: Warehouse, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., None]:
        """Return a function that runs a try whose table cannot be written."""

        def failing(*_: object) -> None:
            raise ConnectionResetError

        def run(items: Any = PEOPLE, **arguments: Any) -> None:
            with monkeypatch.context() as broken:
                broken.setattr(TableWriter, "_move", failing)
                with pytest.raises(DatabaseFailed):
                    scored.run(items, result_table=table(), **arguments)
            connected.counts.reset()
            scored.ti.try_number += 1

        return run

    @pytest.mark.parametrize("deferrable", [True, False])
    @pytest.mark.parametrize("rows_per_file", [None, 2])
    def test_writes_the_table_from_the_output_and_fetches_no_result(
        self,
        scored: BatchTask,
        connected: Sandbox,
        warehouse: Warehouse,
        fail: Callable[..., None],
        deferrable: bool,
        rows_per_file: int | None,
    ) -> None:
        arguments: Any = {"deferrable": deferrable, "output_rows_per_file": rows_per_file}
        fail(**arguments)
        fail(**arguments)

        summary = scored.run(PEOPLE, result_table=table(), **arguments)

        assert connected.counts.requests[RESULT_CALL] == 0
        assert connected.counts.requests[RUN_CALL] == 0
        assert rows_of(warehouse) == [(row["key"], "succeeded", "COMPLETED", "PASS", 0.5) for row in PEOPLE]
        assert (summary["outcomes"], summary["statuses"]) == ({"succeeded": 3}, {"COMPLETED": 3})

    def test_counts_rows_that_were_skipped_or_have_failed_as_before(
        self,
        scored: BatchTask,
        connected: Sandbox,
        warehouse: Warehouse,
        fail: Callable[..., None],
    ) -> None:
        connected.define(scored.definition_id, seconds=0.0, status="FAILED")
        rows = [*PEOPLE, {"key": "c9"}]
        fail(rows, on_bad_row="skip")

        with pytest.raises(BatchFailed, match="3 of 4 rows did not succeed"):
            scored.run(rows, result_table=table(), on_bad_row="skip")

        assert [row[:2] for row in rows_of(warehouse)] == [(row["key"], "failed") for row in PEOPLE]
        assert scored.ti.xcoms[SUMMARY_KEY]["outcomes"] == {"failed": 3, "skipped": 1}

    @pytest.mark.parametrize(
        "change",
        [
            lambda batch: batch.clear(),
            lambda batch: (batch.folder / "results.jsonl").write_text(""),
            lambda batch: (batch.folder / "results.jsonl").unlink(),
        ],
        ids=["clear", "cut", "removed"],
    )
    def test_fetches_the_results_after_a_clear_and_where_the_output_is_another(
        self,
        scored: BatchTask,
        connected: Sandbox,
        warehouse: Warehouse,
        fail: Callable[..., None],
        change: Callable[[BatchTask], object],
    ) -> None:
        fail()
        change(scored)

        scored.run(PEOPLE, result_table=table())

        assert connected.counts.requests[RESULT_CALL] == 3
        assert len(rows_of(warehouse)) == len(scored.output) == 3

    @pytest.mark.parametrize(
        "arguments",
        [
            {"output_format": "csv"},
            {"output_rows_per_file": 2},
            {"hash_personal_numbers": True},
            {"output_path": "elsewhere"},
        ],
        ids=lambda arguments: next(iter(arguments)),
    )
    def test_fetches_the_results_where_the_output_is_to_be_written_otherwise(
        self,
        scored: BatchTask,
        connected: Sandbox,
        warehouse: Warehouse,
        fail: Callable[..., None],
        arguments: dict[str, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        extra = {
            **connected.connection["extra"],
            "hash_secret": "a secret of more than thirty-two characters",
        }
        monkeypatch.setenv(
            "AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connected.connection | {"extra": extra})
        )
        if "output_path" in arguments:
            arguments = {"output_path": str(tmp_path / "elsewhere")}
        fail()
        warehouse.execute("DROP TABLE results")

        scored.run(PEOPLE, result_table=table(), **arguments)

        assert connected.counts.requests[RESULT_CALL] == 3
        assert len(rows_of(warehouse)) == 3

    def test_fetches_the_results_where_one_was_missing(
        self,
        scored: BatchTask,
        connected: Sandbox,
        warehouse: Warehouse,
        fail: Callable[..., None],
    ) -> None:
        connected.fault("forbidden", path=RESULT_PATH)
        fail()
        connected.clear_faults()

        scored.run(PEOPLE, result_table=table())

        assert connected.counts.requests[RESULT_CALL] == 3
        assert [row[3] for row in rows_of(warehouse)] == ["PASS"] * 3


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
