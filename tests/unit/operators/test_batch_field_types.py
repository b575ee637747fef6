"""A batch with ``field_types``: the fields of its records are checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.sharding import references
from airflow_provider_workflows.decorators.workflows_batch import workflows_batch
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import TYPED_TABLE
from tests.unit.batch_task import BatchTask

TYPES: dict[str, Any] = {"born": "date", "count": "integer", "amount": "number", "active": "checkbox"}
ARGUMENTS: dict[str, Any] = {
    "table_id": TYPED_TABLE,
    "field_types": TYPES,
    "workflows_conn_id": CONNECTION_IDS[3],
}
GOOD = {"record.born": "1990-01-31", "record.count": 3, "record.active": True}
SECRET = "Brunhilde"
EACH_WRONG_VALUE = pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"record.born": SECRET}, "record.born: must be a date such as 2026-01-31, and its text is another"),
        ({"record.count": SECRET}, "record.count: must be a whole number, not str"),
        ({"record.count": 1.5}, "record.count: must be a whole number, not float"),
        ({"record.active": 1}, "record.active: must be True or False, not int"),
        ({"record": {"born": SECRET}}, "record: record.born must be a date such as 2026-01-31"),
        (
            {"record.born": SECRET, "record.count": SECRET},
            "record.born: must be a date such as 2026-01-31, and its text is another; record.count: must be",
        ),
    ],
    ids=str,
)


@EACH_WRONG_VALUE
def test_a_value_of_another_type_makes_a_bad_row_that_names_the_column(
    batch: BatchTask, connected: Sandbox, row: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        batch.run([GOOD, row], **ARGUMENTS)

    assert f"row 2: {words}" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert not connected.counts.requests


@EACH_WRONG_VALUE
def test_shard_refuses_it_as_well(row: Mapping[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        references([GOOD, row], 10, options=InputOptions(field_types=TYPES), folder=str(tmp_path / "items"))

    assert f"row 2: {words}" in str(refused.value)


def test_a_bad_row_names_the_column_as_the_file_does(
    batch: BatchTask, connected: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"Name,Birth date\nAda,1990-01-31\nEve,{SECRET}\n", encoding="utf-8")

    with pytest.raises(InvalidInput) as refused:
        batch.run(str(path), columns={"Name": "record.name", "Birth date": "record.born"}, **ARGUMENTS)

    assert "row 2 (line 3 of the file): Birth date: must be a date such as" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.thorough
@pytest.mark.parametrize("is_sharded", [False, True])
def test_rows_of_these_types_become_records(
    batch: BatchTask, connected: Sandbox, tmp_path: Path, *, is_sharded: bool
) -> None:
    given = {"record.born": date(1990, 1, 31), "record.amount": Decimal("1.5"), "record.count": 3}
    items: Any = [given, {"record": {"born": "1991-01-31", "amount": 2, "count": Decimal(4)}}]
    if is_sharded:
        options = InputOptions(field_types=TYPES)
        (items,) = references(items, 10, options=options, folder=str(tmp_path / "items"))
    batch.run(items, **ARGUMENTS)

    with connected.client(api_generation=3) as client:
        records = [client.read_record(TYPED_TABLE, row["record_id"]).json_object() for row in batch.output]
    assert [(record["born"], record["amount"], record["count"]) for record in records] == [
        ("1990-01-31", 1.5, 3),
        ("1991-01-31", 2, 4),
    ]


@pytest.mark.thorough
def test_with_skip_the_bad_row_alone_is_left_out(batch: BatchTask, connected: Sandbox) -> None:
    batch.run([GOOD, {"record.count": SECRET}], on_bad_row="skip", **ARGUMENTS)

    assert batch.outcomes == ["succeeded", "skipped"]
    assert SECRET not in json.dumps(batch.output)


@pytest.mark.thorough
def test_other_field_types_make_no_row_due(batch: BatchTask, connected: Sandbox) -> None:
    batch.run([GOOD], **ARGUMENTS)
    batch.clear()
    batch.run([GOOD], **ARGUMENTS | {"field_types": None})

    assert connected.counts.runs == 1


def test_a_type_that_there_is_not_is_refused_when_the_dag_is_parsed(batch: BatchTask) -> None:
    with pytest.raises(InvalidInput, match=r"field_types\.born must be one of date, "):
        batch.operator([GOOD], **ARGUMENTS | {"field_types": {"born": "day"}})


def test_types_without_a_table_are_refused_when_the_dag_is_parsed(batch: BatchTask) -> None:
    with pytest.raises(
        InvalidInput, match="field_types is for the fields of records, and table_id is missing"
    ):
        batch.operator([GOOD], **ARGUMENTS | {"table_id": None})


def test_the_decorator_takes_them() -> None:
    @workflows_batch(
        workflow_definition_id="3b2d8a4f-579f-4e2e-a51c-f859e532fe8c",
        output_path="/results",
        table_id=TYPED_TABLE,
        field_types=TYPES,
    )
    def check() -> list[dict[str, Any]]:
        return [GOOD]

    assert check().operator.field_types == TYPES
