"""A batch from a query into a table where all goes well: its lineage, the table's columns, and its log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from airflow_provider_workflows.lineage.tables import table_written, tables_read
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sql import SqlQuery, SqlTable
from tests.unit.batch_task import BatchTask
from tests.unit.database.conftest import CONN_ID, Warehouse, postgresql, warehouse, warehouse_of

pytestmark = pytest.mark.thorough

__all__ = ["postgresql", "warehouse", "warehouse_of"]
PEOPLE = (
    "CREATE TABLE people (customer_no VARCHAR(20), first_name VARCHAR(40), parameters VARCHAR(80))",
    """INSERT INTO people VALUES ('c1', 'Brunhilde', '{"risk": 1}'), ('c2', 'Eustachy', NULL)""",
)
SQL = "SELECT customer_no, first_name, parameters FROM people"
QUERY = SqlQuery(SQL, CONN_ID, key="customer_no")
TABLE = SqlTable("results", CONN_ID, key="customer_no", select={"decision": "decision"})


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Have each logger say all, that of a hook too, which is structlog's."""
    before = structlog.get_config()
    caplog.set_level(logging.DEBUG)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    yield
    structlog.configure(**before)


def named(datasets: list[Any]) -> set[tuple[str, str]]:
    return {(each.namespace, each.name) for each in datasets}


def test_the_lineage_names_the_tables_of_the_query_and_of_the_results(
    batch: BatchTask, connected: Sandbox, warehouse_of: Callable[[str], Warehouse]
) -> None:
    warehouse_of("postgresql").execute(*PEOPLE)
    operator = batch.operator(QUERY, result_table=TABLE, deferrable=False)

    operator.execute(batch.context)

    lineage = operator.get_openlineage_facets_on_complete(batch.ti)
    read, written = tables_read(CONN_ID, SQL), table_written(CONN_ID, "results")
    assert len(read) == len(written) == 1
    assert named(lineage.inputs) == named(read)
    assert named(lineage.outputs) > named(written)


def test_the_table_has_the_ids_and_the_errors_of_the_output(
    batch: BatchTask, connected: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.execute(*PEOPLE)
    connected.define(batch.definition_id, seconds=0.0, needs_parameters=True)

    batch.run(QUERY, result_table=TABLE, max_failed_share=1.0)

    names = ("case_id", "workflow_id", "error_code", "error")
    rows = warehouse.execute(f"SELECT {', '.join(names)} FROM results ORDER BY customer_no")
    assert batch.outcomes == ["succeeded", "not_submitted"]
    assert rows == [tuple(row[name] for name in names) for row in batch.output]
    assert all(rows[0][:2])
    assert all(rows[1][2:])


def test_the_log_has_nothing_of_a_row_or_a_parameter(
    batch: BatchTask,
    connected: Sandbox,
    warehouse: Warehouse,
    debug: None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    warehouse.execute(*PEOPLE)
    connected.define(batch.definition_id, seconds=0.0, result={"decision": "under-suspicion"})
    mark = "%s" if warehouse.kind == "postgresql" else "?"
    query = SqlQuery(f"{SQL} WHERE first_name <> {mark}", CONN_ID, ["Zygmunt"], key="customer_no")

    batch.run(query, result_table=TABLE)

    logged = caplog.text + "".join(capfd.readouterr())
    assert batch.outcomes == ["succeeded"] * 2
    assert "2 rows" in logged
    assert not [word for word in ("Brunhilde", "Eustachy", "under-suspicion", "Zygmunt") if word in logged]
