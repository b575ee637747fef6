"""A batch of a table that a function returns: what holds for a list of rows holds for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch.input.test_table_items import TABLES
from tests.unit.batch_task import RUN_CALL, BatchTask, Service
from tests.unit.decorators.test_workflows_batch import FunctionBatch

pytestmark = pytest.mark.thorough


@pytest.fixture
def batch(connected: Sandbox, short_pauses: None, tmp_path: Path) -> FunctionBatch:
    """A batch task whose workflows complete at once, in place of the operator's."""
    return FunctionBatch(tmp_path / "nightly", connected.define(seconds=0.0, result={"decision": "PASS"}))


@pytest.mark.parametrize(
    "kind", ["pandas", "polars", "pyarrow", "reader", "cursor", "generator", "named tuples"]
)
def test_each_row_of_the_table_is_run_under_its_key(
    batch: FunctionBatch, connected: Sandbox, kind: str
) -> None:
    summary = batch.run(TABLES[kind]())

    assert summary["outcomes"] == {"succeeded": 2}
    assert [row["key"] for row in batch.output] == ["00001", "00002"]
    assert connected.counts.requests[RUN_CALL] == 2


def test_a_repair_of_a_table_submits_what_failed_and_no_other_row(
    batch: FunctionBatch, connected: Sandbox
) -> None:
    service = Service(connected, batch.definition_id)
    frame = pd.DataFrame({"key": ["00001", "00002"], "first_name": ["Ada", "Ala"]})
    batch.run(frame)
    service.failed()
    batch.clear()
    longer = pd.concat([frame, pd.DataFrame({"key": ["00003"], "first_name": ["Ola"]})])
    with pytest.raises(BatchFailed):
        batch.run(longer)
    service.well()
    batch.clear()

    batch.run(longer)

    assert batch.outcomes == ["succeeded"] * 3
    assert connected.counts.requests[RUN_CALL] == 1


def test_bad_rows_of_a_table_are_listed_and_the_others_run(batch: FunctionBatch) -> None:
    frame = pd.DataFrame(
        {"first_name": ["Ada", "Ala"], "personal_number": pd.array([44051401359, None], dtype="Int64")}
    )

    summary = batch.run(frame, on_bad_row="skip")

    assert summary["outcomes"] == {"skipped": 1, "succeeded": 1}


def test_nothing_of_a_table_shows_in_the_view_of_rendered_templates(batch: FunctionBatch) -> None:
    operator = batch.operator(pd.DataFrame({"first_name": ["Kunegunda"]}))

    batch.run(pd.DataFrame({"first_name": ["Kunegunda"]}))

    assert "Kunegunda" not in str(_serialize_rendered_fields(operator))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (
            pd.DataFrame({"first_name": ["Ada"]}),
            r"items is a DataFrame, and rows do not go through .*write_items",
        ),
        (pa.table({"first_name": ["Ada"]}), r"items is a Table, and rows do not go through .*write_items"),
        ([["Ada", "Nowak"]], r"without the names of their columns, as a SQL operator returns it.*SqlQuery"),
    ],
)
def test_what_another_task_has_returned_is_refused_before_anything_is_sent(
    connected: Sandbox, tmp_path: Path, items: Any, words: str
) -> None:
    task = BatchTask(tmp_path / "nightly", connected.define(seconds=0.0))
    operator = task.operator("{{ rows }}")
    operator.items = items

    with pytest.raises(InvalidInput, match=words) as raised:
        operator.execute(task.context)

    assert "Ada" not in str(raised.value)
    assert connected.counts.total_requests == 0
