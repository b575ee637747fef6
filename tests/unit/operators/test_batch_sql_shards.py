"""A query in shards: its rows are written once, and each try of each batch task reads the same."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.sharding import read_index, references, write_index
from airflow_provider_workflows.lineage.tables import tables_read
from airflow_provider_workflows.operators.shards import shard
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sql import SqlQuery
from tests.unit.batch_task import CASE_CALL, RUN_CALL, BatchTask
from tests.unit.database.conftest import CONN_ID, Warehouse, postgresql, warehouse, warehouse_of

pytestmark = pytest.mark.thorough

__all__ = ["postgresql", "warehouse", "warehouse_of"]
PEOPLE = (
    """
    CREATE TABLE people (
        customer_no VARCHAR(20), first_name VARCHAR(40), personal_number VARCHAR(20), parameters VARCHAR(80),
        note VARCHAR(20)
    )
    """,
    """
    INSERT INTO people VALUES
        ('c3', 'Ann', '00010112345', NULL, 'n'), ('c1', 'Bob', NULL, NULL, NULL), ('c4', 'Dan', NULL, NULL, NULL),
        ('c5', 'Zoë', NULL, '{"risk": 1}', 'n'), ('c2', 'Cid', '44051401359', NULL, 'secret-note')
    """,
)
SQL = "SELECT customer_no, first_name, personal_number, parameters, note FROM people"
COLUMNS = {"note": None}
OPTIONS = InputOptions(columns=COLUMNS)
KEYS = ["c1", "c2", "c3", "c4", "c5"]


def query(sql: str = SQL, **arguments: Any) -> SqlQuery:
    return SqlQuery(sql, CONN_ID, **{"key": "customer_no"} | arguments)


@pytest.fixture
def people(warehouse: Warehouse) -> Warehouse:
    """A database with five people."""
    warehouse.execute(*PEOPLE)
    return warehouse


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the rows of a query are written."""
    return tmp_path / "shards"


@pytest.fixture
def tasks(batch: BatchTask, tmp_path: Path) -> list[BatchTask]:
    """The mapped batch tasks of three shards."""
    mapped = [BatchTask(tmp_path / "output", batch.definition_id) for _ in range(3)]
    for index, task in enumerate(mapped):
        task.ti.map_index = index
    return mapped


def in_shards(shards: list[dict[str, Any]], options: InputOptions = OPTIONS) -> list[Row | BadRow]:
    return [row for each in shards for row in read_items(json.loads(json.dumps(each)), options)]


def without_lines(rows: list[Row | BadRow]) -> list[tuple[Any, ...]]:
    return [
        (row.number, row.key, row.has_key, row.case, row.parameters)
        if isinstance(row, Row)
        else (row.number, row.key, row.has_key, [field for field, _ in row.problems])
        for row in rows
    ]


class TestRows:
    @pytest.mark.parametrize("size", [1, 2, 5, 100])
    def test_are_those_that_one_batch_task_would_read(
        self, people: Warehouse, folder: Path, size: int
    ) -> None:
        shards = references(query(), size, options=OPTIONS, folder=str(folder))

        rows = in_shards(shards)

        assert without_lines(rows) == without_lines(list(read_items(query(), OPTIONS)))
        assert [row.key for row in rows] == KEYS
        assert rows[4].parameters == {"risk": 1}

    def test_without_a_key_are_bad_in_their_shard_as_well(self, people: Warehouse, folder: Path) -> None:
        people.execute("INSERT INTO people VALUES (NULL, 'Nobody', NULL, NULL, NULL)")
        with pytest.raises(InvalidInput, match="customer_no: is empty, and each row must have its key there"):
            references(query(), 2, options=OPTIONS, folder=str(folder))

        shards = references(query(), 2, options=OPTIONS, folder=str(folder), on_bad_row="skip")

        rows = in_shards(shards)
        assert [row.key for row in rows if isinstance(row, BadRow)] == [""]
        assert sorted(row.key for row in rows) == ["", *KEYS]

    def test_stay_as_they_were_while_the_table_changes(self, people: Warehouse, folder: Path) -> None:
        shards = references(query(), 2, options=OPTIONS, folder=str(folder))
        before = in_shards(shards)

        people.execute("UPDATE people SET first_name = 'Eve'", "DELETE FROM people WHERE customer_no = 'c1'")

        assert in_shards(shards) == before

    def test_have_no_value_of_a_column_that_is_left_out(self, people: Warehouse, folder: Path) -> None:
        references(query(), 2, options=OPTIONS, folder=str(folder))

        file = folder / "items.jsonl"
        assert "secret-note" not in file.read_text()
        assert "Zoë" in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [*folder.iterdir()] == [file]

    def test_go_to_functions_by_the_columns_of_the_query(self, people: Warehouse, folder: Path) -> None:
        options = InputOptions(
            columns=COLUMNS,
            where=lambda row: row["customer_no"] != "c2" and row["note"] != "other",
            transform=lambda row: row | {"first_name": row["customer_no"]},
        )
        shards = references(query(), 2, options=options, folder=str(folder))

        rows = in_shards(shards, options)

        assert without_lines(rows) == without_lines(list(read_items(query(), options)))
        assert [row.key for row in rows] == ["c1", "c3", "c4", "c5"]

    def test_that_are_padded_with_zeros_are_those_of_one_batch_task(
        self, people: Warehouse, folder: Path
    ) -> None:
        people.execute(
            "CREATE TABLE numbers (customer_no VARCHAR(20), personal_number BIGINT)",
            "INSERT INTO numbers VALUES ('c1', 10112345)",
        )
        options = InputOptions(zero_pad={"personal_number": 11})
        items = query("SELECT customer_no, personal_number FROM numbers")

        (row,) = in_shards(references(items, 2, options=options, folder=str(folder)), options)

        assert isinstance(row, Row)
        assert row.case == {"personalNumber": "00010112345"}

    def test_that_are_bad_are_so_in_their_shard(self, people: Warehouse, folder: Path) -> None:
        people.execute("UPDATE people SET first_name = NULL, parameters = '[' WHERE customer_no = 'c3'")

        with pytest.raises(InvalidInput, match="row 3: parameters"):
            references(query(), 2, options=OPTIONS, folder=str(folder))
        assert not (folder / "items.jsonl").exists()
        shards = references(query(), 2, options=OPTIONS, folder=str(folder), on_bad_row="skip")

        rows = in_shards(shards)
        assert [row.number for row in rows if isinstance(row, BadRow)] == [3]

    def test_need_a_folder(self, people: Warehouse) -> None:
        with pytest.raises(InvalidInput, match="items is a query: give a folder"):
            references(query(), 2)


class TestBatchTasks:
    def test_run_each_row_once_and_their_outputs_are_merged(
        self, people: Warehouse, tasks: list[BatchTask], connected: Sandbox, folder: Path, tmp_path: Path
    ) -> None:
        shards = references(query(), 2, options=OPTIONS, folder=str(folder))

        summaries = [task.run(each, columns=COLUMNS) for task, each in zip(tasks, shards, strict=True)]

        index = write_index(summaries, str(tmp_path / "index"), shards)
        assert [row["key"] for row in read_index(index["index"])] == KEYS
        assert connected.counts.requests[RUN_CALL] == 5

    def test_send_nothing_once_the_file_has_changed(
        self, people: Warehouse, tasks: list[BatchTask], connected: Sandbox, folder: Path
    ) -> None:
        shards = references(query(), 2, options=OPTIONS, folder=str(folder))
        file = folder / "items.jsonl"
        file.write_text(file.read_text().replace("Zoë", "Eve"))

        tasks[0].run(shards[0], columns=COLUMNS)
        with pytest.raises(InvalidInput, match="the rows of this shard are not those that `shard` has read"):
            tasks[2].run(shards[2], columns=COLUMNS)

        assert connected.counts.requests[CASE_CALL] == connected.counts.requests[RUN_CALL] == 2

    def test_keep_their_runs_after_shard_was_cleared_and_the_table_has_grown(
        self, people: Warehouse, tasks: list[BatchTask], connected: Sandbox, folder: Path
    ) -> None:
        for task, each in zip(
            tasks, references(query(), 2, options=OPTIONS, folder=str(folder)), strict=True
        ):
            task.run(each, columns=COLUMNS)
        people.execute("INSERT INTO people VALUES ('c0', 'New', NULL, NULL, NULL)")

        again = references(query(), 2, options=OPTIONS, folder=str(folder), again=True)
        for task, each in zip(tasks, again, strict=True):
            task.clear()
            task.run(each, columns=COLUMNS)

        assert connected.counts.requests[RUN_CALL] == 6


class TestTask:
    def run(self, operator: Any, **context: Any) -> Any:
        given: Any = {"ds": "2026-01-31"} | context
        operator.render_template_fields(given)
        return operator.execute(given)

    def test_renders_the_query_anew_in_each_run_and_shows_no_parameter(
        self, people: Warehouse, folder: Path
    ) -> None:
        mark = "%s" if people.kind == "postgresql" else "?"
        items = query(f"{SQL} WHERE first_name = {mark}", parameters=["{{ who }}"])
        with DAG("nightly"):
            operators = [
                shard.override(task_id=name)(items, columns=COLUMNS, folder=str(folder / name)).operator
                for name in ("first", "second")
            ]

        found = [self.run(operator, who=who) for operator, who in zip(operators, ("Ann", "Bob"), strict=True)]

        assert [in_shards(each)[0].key for each in found] == ["c3", "c1"]
        shown = str([_serialize_rendered_fields(operator) for operator in operators])
        assert "on warehouse, by customer_no" in shown
        assert "Ann" not in shown
        assert items.parameters == ["{{ who }}"]

    def test_is_stored_with_the_dag(self) -> None:
        with DAG("nightly") as dag:
            shard(query(parameters=["Kowalski"]), folder="/run")

        stored = json.dumps(DagSerialization.to_dict(dag))

        assert "SELECT customer_no" in stored
        assert "Kowalski" not in stored

    def test_needs_no_openlineage(
        self, people: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("openlineage", "openlineage.client.facet_v2"):
            monkeypatch.setitem(sys.modules, name, None)
        for name in ("lineage.tables", "airflow_internals.openlineage"):
            monkeypatch.delitem(sys.modules, f"airflow_provider_workflows.{name}", raising=False)
        with DAG("nightly"):
            operator = shard(query(), columns=COLUMNS, folder=str(folder)).operator

        found = self.run(operator)

        assert [row.key for row in in_shards(found)] == KEYS
        assert not any("tables" in each for each in found)

    def test_names_the_tables_of_the_query_to_the_lineage_of_the_batch_tasks(
        self,
        warehouse_of: Callable[[str], Warehouse],
        tasks: list[BatchTask],
        connected: Sandbox,
        folder: Path,
    ) -> None:
        warehouse_of("postgresql").execute(*PEOPLE)
        with DAG("nightly"):
            shards = self.run(shard(query(), columns=COLUMNS, folder=str(folder)).operator)
        operator = tasks[0].operator(shards[0], columns=COLUMNS, deferrable=False)

        operator.execute(tasks[0].context)

        read = operator.get_openlineage_facets_on_complete(tasks[0].ti).inputs
        tables = {(table.namespace, table.name) for table in tables_read(CONN_ID, SQL)}
        assert len(tables) == 1
        assert {(each.namespace, each.name) for each in read} == {
            ("file", str(folder / "items.jsonl")),
            *tables,
        }
