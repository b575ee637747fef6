"""A type in ``field_types`` that no column of the input has a field for is named once, in a warning."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.batch.input.items import Items, read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.sharding import references
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sandbox.connections import CONNECTION_IDS
from airflow_provider_workflows.sandbox.tables import TYPED_TABLE
from tests.unit.batch_task import BatchTask

TYPES: dict[str, Any] = {"born": "date", "count": "integer"}
GOOD = {"record.born": "1990-01-31", "record.count": 3}


def warnings_of(items: Items, **options: Any) -> list[str]:
    """Return what is warned of as the items are read."""
    warnings: list[str] = []
    rows = list(read_items(items, InputOptions(field_types=TYPES, **options), warn=warnings.append))
    assert rows
    return warnings


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("file", [None, "people.csv", "people.jsonl"])
def test_a_type_whose_name_no_column_has_is_named(file: str | None, tmp_path: Path) -> None:
    row = {"record.brn": "1990-01-31"}
    texts = {"people.csv": "record.brn\n1990-01-31\n", "people.jsonl": json.dumps(row)}
    items: Any = [row] * 20 if file is None else written(tmp_path / file, texts[file])

    (warning,) = warnings_of(items)

    assert warning.startswith(
        "field_types has born, count, and no column of items gives such a field of a record, as record.born"
    )


@pytest.mark.parametrize(
    "items",
    [
        [GOOD],
        [{"record.born": "1990-01-31"}, {"record.count": 3}],
        [{"record": {"born": "1990-01-31"}}, {"record": {"count": 3}}],
        [{"record.born": "", "record.count": None, "record.name": "Ada"}],
        [{"record.born": "yesterday", "record.count": "three"}],
    ],
    ids=["all", "in parts", "as a whole", "without values", "bad rows"],
)
def test_what_some_column_gives_is_not(items: Items) -> None:
    assert warnings_of(items) == []


def test_a_column_of_a_file_gives_it_though_all_its_cells_are_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "people.csv", "record.name,Born,record.count\n" + "Ada,,\n" * 20)

    assert warnings_of(path, columns={"Born": "record.born"}) == []


def test_a_column_that_a_function_makes_gives_it() -> None:
    rows: list[dict[str, Any]] = [{"name": "Ada"}]

    assert warnings_of(rows, transform=lambda _: GOOD) == []


def test_shard_says_it_once_for_all_shards(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [{"record.name": "Ada", "record.born": "1990-01-31"}] * 3

    shards = references(items, 1, options=InputOptions(field_types=TYPES), folder=str(tmp_path))

    assert [shard_warnings for shard in shards if (shard_warnings := warnings_of(shard))] == []
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [text for text in warned if text.startswith("field_types has count")] == warned
    assert len(warned) == 1


@pytest.mark.thorough
def test_a_batch_says_it_in_its_log_and_goes_on(
    batch: BatchTask, connected: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    types = {"born": "date", "cnt": "integer"}

    batch.run([GOOD], table_id=TYPED_TABLE, field_types=types, workflows_conn_id=CONNECTION_IDS[3])

    assert batch.outcomes == ["succeeded"]
    warned = [record.message for record in caplog.records if "field_types" in record.message]
    assert len(warned) == 1
    assert "field_types has cnt," in warned[0]
