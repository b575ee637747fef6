"""A table of results after a write that broke off halfway: it is as it was before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.database.table_statements import TableLayout
from airflow_provider_workflows.database.table_writer import TableWriter
from tests.unit.database.conftest import Warehouse

LAYOUT = TableLayout("results", "id", "batch_id", (("id", "key"), ("n", "integer"), ("batch_id", "key")))
BATCH_ID = "b1"
#: A row of an earlier try, and one of another batch.
BEFORE = [("k1", 1, BATCH_ID), ("k9", 9, "b0")]
#: The row of the earlier try changes, and the new one is of a number that the table refuses.
REFUSED = [["k1", 11, BATCH_ID], ["k2", 100, BATCH_ID]]


@pytest.mark.parametrize("mode", ["merge", "append", "replace"])
@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        pytest.param("duckdb", marks=pytest.mark.thorough),
        pytest.param("postgresql", marks=pytest.mark.thorough),
    ],
)
def test_a_statement_that_is_refused_takes_those_before_it_back(
    warehouse_of: Callable[[str], Warehouse], kind: str, mode: str
) -> None:
    warehouse = warehouse_of(kind)
    warehouse.execute(
        "CREATE TABLE results (id VARCHAR(20), n INTEGER CHECK (n < 100), batch_id VARCHAR(20))",
        f"INSERT INTO results VALUES {', '.join(map(str, BEFORE))}",
    )
    writer = TableWriter(warehouse.hook, LAYOUT, mode=mode, batch_id=BATCH_ID)

    with pytest.raises(WorkflowsError, match="result_table"):
        writer.write(REFUSED, lambda: None)

    assert warehouse.execute("SELECT * FROM results ORDER BY id") == BEFORE
