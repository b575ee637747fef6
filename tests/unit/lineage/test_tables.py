"""The tables of a query and of results, as OpenLineage names them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_workflows.lineage.openlineage import operator_lineage
from airflow_provider_workflows.lineage.tables import table_written, tables_read
from airflow_provider_workflows.lineage.task import TaskLineage
from tests.unit.database.conftest import Warehouse, postgresql, warehouse_of

__all__ = ["postgresql", "warehouse_of"]
pytestmark = pytest.mark.thorough


@pytest.fixture
def namespace(warehouse_of: Callable[[str], Warehouse]) -> str:
    """The namespace of the database that the connection ``warehouse`` leads to."""
    connection = warehouse_of("postgresql").hook.connection
    return f"postgres://{connection.host}:{connection.port}"


@pytest.fixture
def database(warehouse_of: Callable[[str], Warehouse]) -> str:
    return str(warehouse_of("postgresql").hook.connection.schema)


def names(datasets: list[object]) -> set[tuple[str, str]]:
    return {(dataset.namespace, dataset.name) for dataset in datasets}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM people", ["public.people"]),
        ("SELECT * FROM crm.people p JOIN due ON due.id = p.id", ["crm.people", "public.due"]),
        ("SELECT * FROM (SELECT id FROM due) AS d WHERE day = %(day)s", ["public.due"]),
        ("SELECT * FROM due WHERE day = %s AND at::date = ? AND n = :name", ["public.due"]),
    ],
)
def test_the_tables_of_a_query_are_inputs(namespace: str, database: str, sql: str, tables: list[str]) -> None:
    assert names(list(tables_read("warehouse", sql))) == {
        (namespace, f"{database}.{table}") for table in tables
    }


@pytest.mark.parametrize(("table", "name"), [("results", "public.results"), ("kyc.results", "kyc.results")])
def test_the_table_of_results_is_an_output(namespace: str, database: str, table: str, name: str) -> None:
    assert names(list(table_written("warehouse", table))) == {(namespace, f"{database}.{name}")}


def test_an_event_names_both_beside_the_output(namespace: str, database: str) -> None:
    lineage = TaskLineage(
        "https://api.example",
        output="/data/results.jsonl",
        query=("warehouse", "SELECT * FROM due"),
        table=("warehouse", "results"),
    )

    event = operator_lineage(lineage)

    assert names(list(event.inputs)) == {(namespace, f"{database}.public.due")}
    assert names(list(event.outputs)) == {
        ("file", "/data/results.jsonl"),
        (namespace, f"{database}.public.results"),
    }


def test_tables_that_another_task_has_read_are_inputs_beside_its_file() -> None:
    lineage = TaskLineage(
        "https://api.example",
        inputs=("/run/items.jsonl",),
        tables=(("postgres://host:5432", "bank.public.due"),),
    )

    event = operator_lineage(lineage)

    assert names(list(event.inputs)) == {
        ("file", "/run/items.jsonl"),
        ("postgres://host:5432", "bank.public.due"),
    }


def test_what_cannot_be_told_is_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    assert tables_read("nowhere", "SELECT * FROM due") == []
    assert "tables of connection nowhere cannot be told" in caplog.text
