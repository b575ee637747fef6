"""Tables written for a batch: what is read from the file is what was in the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.table_items import items_of_table
from airflow_provider_workflows.tables import write_items
from tests.unit.batch.input.test_table_items import ROWS, TABLES
from tests.unit.failing_storage import attached_store


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("kind", TABLES)
def test_what_is_read_from_the_file_is_what_was_in_the_table(tmp_path: Path, kind: str, suffix: str) -> None:
    uri = write_items(TABLES[kind](), str(tmp_path / f"items{suffix}"))

    rows = list(read_items(uri))

    expected = list(read_items(ROWS))
    assert [(row.key, row.number) for row in rows] == [("00001", 1), ("00002", 2)]
    assert [getattr(row, "case", None) for row in rows] == [getattr(row, "case", None) for row in expected]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_that_have_other_columns_than_the_first_keep_them(tmp_path: Path, suffix: str) -> None:
    uri = write_items(
        [{"first_name": "Ada"}, {"key": "7", "last_name": "Nowak"}], str(tmp_path / f"items{suffix}")
    )

    rows = list(read_items(uri))

    assert [row.key for row in rows] == ["1", "7"]
    assert [getattr(row, "case", None) for row in rows] == [{"firstName": "Ada"}, {"lastName": "Nowak"}]


def as_dicts(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("make", [pd.DataFrame, as_dicts])
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_missing_values_decimals_and_days_are_read_as_from_the_table(
    tmp_path: Path, suffix: str, make: Callable[..., Any]
) -> None:
    table = make(
        {
            "key": [Decimal(7), Decimal(8)],
            "first_name": ["Ada", "Ala"],
            "last_name": [float("nan"), None],
            "company_name": [dt.date(2026, 1, 31), dt.date(2026, 2, 1)],
        }
    )

    uri = write_items(table, str(tmp_path / f"items{suffix}"))

    assert [(row.key, getattr(row, "case", None)) for row in read_items(uri)] == [
        ("7", {"firstName": "Ada", "companyName": "2026-01-31"}),
        ("8", {"firstName": "Ala", "companyName": "2026-02-01"}),
    ]


def test_the_file_is_for_its_owner_alone_and_the_folder_is_made(tmp_path: Path) -> None:
    uri = write_items(ROWS, str(tmp_path / "new" / "items.jsonl"))

    assert Path(uri).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["items.jsonl"]


def test_it_is_written_to_an_object_store() -> None:
    with attached_store() as store:
        uri = write_items(pd.DataFrame(ROWS), "s3://bucket/state/items.jsonl")

        assert uri == "s3://bucket/state/items.jsonl"
        assert store.cat_file("/bucket/state/items.jsonl").count(b"\n") == 2


def test_a_value_that_cannot_be_written_leaves_the_earlier_file_and_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write_items(ROWS, str(path))
    before = path.read_bytes()

    with pytest.raises(
        InvalidInput, match="row 2 has a complex in the column 'note', which JSON cannot hold"
    ):
        write_items([{"note": "x"}, {"note": 7 + 3j}], str(path))

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("table", "uri", "words"),
    [
        (ROWS, "/tmp/items.xlsx", r"uri must be a file in .jsonl or .parquet; /tmp/items.xlsx is not"),
        (ROWS, "items.jsonl", "uri is a relative path"),
        ("Ada", "/tmp/items.jsonl", "table must be a table or rows, not str"),
        (7, "/tmp/items.jsonl", "table must be a table or rows, not int"),
        (["Ada"], "/tmp/items.jsonl", "row 1 must be a dict, not str"),
        ([{1: "Ada"}], "/tmp/items.jsonl", "row 1 has a column whose name is not text, but int"),
        ([{"a": 1}, {"a": "Ada"}], "/tmp/items.parquet", "a column with values of more than one type"),
        ([{"a": 10**30}], "/tmp/items.parquet", "a number that is too large"),
        ([{"Ada": "\ud800"}], "/tmp/items.parquet", "half a character"),
        ([{"\ud800Ada": 1}], "/tmp/items.parquet", "half a character"),
        (pd.DataFrame({"Ada": [1j]}), "/tmp/items.parquet", "one that Parquet does not have"),
        ([{"Ada": {}}], "/tmp/items.parquet", "one that Parquet does not have"),
        ([{"note": b"Ada\xff"}], "/tmp/items.jsonl", "row 1: the value in the column 'note' is binary data"),
        (pd.DataFrame([["Ada", 1]]), "/tmp/items.parquet", "a column whose name is not text, but int"),
        (
            pd.DataFrame([["Ada", 1]], columns=["a", "a"]),
            "/tmp/items.parquet",
            "more than one column 'a': rename",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_and_not_shown(table: Any, uri: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as raised:
        write_items(table, uri)

    assert "Ada" not in str(raised.value)


DAY = dt.date(2026, 1, 31)
USUAL_TABLES: dict[str, Callable[[], Any]] = {
    "categories of polars": lambda: pl.DataFrame(
        {"first_name": ["Ada", "Ala"], "company_name": ["ACME", "Zorza"]},
        schema_overrides={"first_name": pl.Categorical, "company_name": pl.Enum(["ACME", "Zorza"])},
    ),
    "lists of objects of polars": lambda: pl.DataFrame(
        {"first_name": ["Ada", "Ala"], "documents": [[{"resource_id": "d-1"}], [{"resource_id": "d-2"}]]}
    ),
    "large numbers of polars": lambda: pl.DataFrame(
        {"first_name": ["Ada", "Ala"], "key": [1, 2]}, schema_overrides={"key": pl.Int128}
    ),
    "objects of polars": lambda: pl.DataFrame(
        {"first_name": ["Ada", "Ala"], "company_name": [DAY, DAY]},
        schema_overrides={"company_name": pl.Object},
    ),
    "a relation of DuckDB": lambda: duckdb.sql(
        "SELECT * FROM (VALUES ('Ada', '1'), ('Ala', '2')) t(first_name, key)"
    ),
    "sparse columns of pandas": lambda: pd.DataFrame(
        {"first_name": ["Ada", "Ala"], "key": pd.arrays.SparseArray([1, 2])}
    ),
    "arrays in a column of pandas": lambda: pd.DataFrame(
        {
            "first_name": ["Ada", "Ala"],
            "documents": [np.array([{"resource_id": "d-1"}]), np.array([{"resource_id": "d-2"}])],
        }
    ),
}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("kind", USUAL_TABLES)
def test_a_usual_table_is_written_as_it_is_read_in_memory(tmp_path: Path, kind: str, suffix: str) -> None:
    uri = write_items(USUAL_TABLES[kind](), str(tmp_path / f"items{suffix}"))

    rows = list(read_items(uri))

    in_memory = list(read_items(items_of_table(USUAL_TABLES[kind]())))  # type: ignore[arg-type]
    assert [getattr(row, "problems", ()) for row in rows] == [(), ()]
    assert rows == in_memory
