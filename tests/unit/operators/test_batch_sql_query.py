"""A batch whose items are a query: how it is rendered and shown, and what its tries make of tables that change."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.helpers import serialize_template_field

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.decorators.workflows_batch import workflows_batch
from airflow_provider_workflows.operators.batch import RunWorkflowBatchOperator
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sql import SqlQuery
from airflow_provider_workflows.xcom_keys import REPORT_KEY
from tests.unit.batch_task import RUN_CALL, BatchTask

pytestmark = pytest.mark.thorough

DEFINITION = "3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"
ROWS = 5
ITEMS = SqlQuery("SELECT customer_no, first_name FROM people", "warehouse", key="customer_no")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """A database with people, that the connection ``warehouse`` leads to."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"sqlite://{path}")
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("CREATE TABLE people (customer_no TEXT, first_name TEXT)")
    people = [(f"c{number}", f"Ada{number}") for number in range(1, ROWS + 1)]
    database.executemany("INSERT INTO people VALUES (?, ?)", people)
    return database


def rendered(items: SqlQuery, folder: Path, context: dict[str, Any]) -> SqlQuery:
    """Return the items of a task once its templates are rendered."""
    with DAG("checks", template_searchpath=[str(folder)]):
        task = RunWorkflowBatchOperator(
            task_id="run", workflow_definition_id=DEFINITION, items=items, output_path="/tmp/results"
        )
    task.render_template_fields(context)  # type: ignore[arg-type]
    assert isinstance(task.items, SqlQuery)
    return task.items


class TestTemplates:
    def test_are_rendered_in_the_query_its_parameters_and_its_connection(self, tmp_path: Path) -> None:
        items = SqlQuery("SELECT {{ columns }} FROM t", "{{ where }}", {"risk": "{{ risk }}"}, key="id")

        query = rendered(items, tmp_path, {"columns": "id", "where": "warehouse", "risk": 7})

        assert (query.sql, query.conn_id, query.parameters) == ("SELECT id FROM t", "warehouse", {"risk": 7})
        assert items.sql == "SELECT {{ columns }} FROM t"

    def test_are_read_from_a_file_of_the_dag_and_rendered(self, tmp_path: Path) -> None:
        (tmp_path / "due.sql").write_text("SELECT id\nFROM t WHERE day = '{{ ds }}'")

        query = rendered(SqlQuery("due.sql", "warehouse", key="id"), tmp_path, {"ds": "2026-01-31"})

        assert query.sql == "SELECT id\nFROM t WHERE day = '2026-01-31'"

    def test_show_the_query_and_no_value_of_a_parameter(self, tmp_path: Path) -> None:
        items = SqlQuery("SELECT id FROM t WHERE n = %(name)s", "warehouse", {"name": "{{ name }}"}, key="id")

        query = rendered(items, tmp_path, {"name": "Ada"})

        assert (
            serialize_template_field(query, "items")
            == str(query)
            == ("SELECT id FROM t WHERE n = %(name)s with name=*** on warehouse, by id")
        )
        assert "Ada" not in repr(query)

    def test_of_another_tasks_output_as_a_parameter_are_refused(self) -> None:
        with DAG("checks"):
            other = RunWorkflowBatchOperator(
                task_id="other", workflow_definition_id=DEFINITION, items=ITEMS, output_path="/tmp/results"
            )

            with pytest.raises(InvalidInput, match="xcom_pull"):
                SqlQuery("SELECT 1", "warehouse", [other.output], key="id")


def test_rows_of_a_query_are_run_and_have_their_keys(
    batch: BatchTask, connected: Sandbox, database: sqlite3.Connection
) -> None:
    batch.run(ITEMS)

    assert [row["key"] for row in batch.output] == [f"c{number}" for number in range(1, ROWS + 1)]
    assert batch.outcomes == ["succeeded"] * ROWS
    assert batch.ti.xcoms[REPORT_KEY]["input"] == "a query on warehouse"


def test_rows_that_change_during_a_try_are_sent_as_they_were_checked(
    batch: BatchTask, connected: Sandbox, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = batch.operator(ITEMS, deferrable=False)
    tries = operator._tries

    def changing(context: Any) -> Any:
        found = tries(context)
        open_batch = found.open

        def opening(items: Any, begun_at: float) -> Any:
            opened = open_batch(items, begun_at)
            database.execute("UPDATE people SET first_name = 'Eve'")
            database.execute("INSERT INTO people VALUES ('c0', 'Zoe')")
            return opened

        monkeypatch.setattr(found, "open", opening)
        return found

    monkeypatch.setattr(operator, "_tries", changing)

    operator.execute(batch.context)

    with connected.client() as client:
        cases = [client.read_case(row["case_id"]).party_details for row in batch.output]
    assert [case and case.personal for case in cases] == [
        {"firstName": f"Ada{number}"} for number in range(1, ROWS + 1)
    ]


def test_a_later_try_submits_what_has_changed_and_keeps_what_is_as_before(
    batch: BatchTask, connected: Sandbox, database: sqlite3.Connection
) -> None:
    batch.run(ITEMS)
    connected.counts.reset()
    database.execute("UPDATE people SET first_name = 'Eve' WHERE customer_no = 'c2'")
    database.execute("INSERT INTO people VALUES ('c0', 'Zoe')")
    database.execute("DELETE FROM people WHERE customer_no = 'c3'")

    batch.clear()
    batch.run(ITEMS)

    assert [row["key"] for row in batch.output] == ["c0", "c1", "c2", "c4", "c5"]
    assert connected.counts.requests[RUN_CALL] == 2


def test_a_function_may_return_a_query(
    batch: BatchTask, connected: Sandbox, database: sqlite3.Connection
) -> None:
    with DAG("checks"):

        @workflows_batch(
            workflow_definition_id=batch.definition_id,
            output_path=str(batch.folder),
            poll_interval=0.02,
            deferrable=False,
        )
        def run() -> SqlQuery:
            return ITEMS

        task: Any = run().operator

    task.execute(batch.context)

    assert batch.outcomes == ["succeeded"] * ROWS
