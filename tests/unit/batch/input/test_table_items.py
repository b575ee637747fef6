"""Tables that Python has in memory as items: each value is what a file of rows would have given."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.item_sources import require_items_or_template
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.input.table_items import TableItems, described_rows, items_of_table
from airflow_provider_workflows.batch.sharding import references
from airflow_provider_workflows.tables import write_items

ROWS: list[dict[str, Any]] = [
    {"key": "00001", "first_name": "Ada", "personal_number": "02070803628"},
    {"key": "00002", "first_name": "Łucja", "personal_number": None},
]
COLUMNS = ("key", "first_name", "personal_number")


def polars() -> Any:
    return pytest.importorskip("polars", reason="polars is not installed")


def generator() -> Iterator[dict[str, Any]]:
    yield from ROWS


def cursor() -> sqlite3.Cursor:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE people (key TEXT, first_name TEXT, personal_number TEXT)")
    database.executemany("INSERT INTO people VALUES (:key, :first_name, :personal_number)", ROWS)
    return database.execute("SELECT * FROM people ORDER BY key")


Person = namedtuple("Person", COLUMNS)  # type: ignore[misc]  # noqa: PYI024

#: The same rows, as a function may return them.
TABLES: dict[str, Callable[[], Any]] = {
    "list": lambda: ROWS,
    "tuple": lambda: tuple(ROWS),
    "generator": generator,
    "dict view": lambda: dict(enumerate(ROWS)).values(),
    "named tuples": lambda: [Person(**row) for row in ROWS],
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas, Arrow types": lambda: pd.DataFrame(ROWS).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, categories": lambda: pd.DataFrame(ROWS).astype("category"),
    "polars": lambda: polars().DataFrame(ROWS),
    "pyarrow": lambda: pa.Table.from_pylist(ROWS),
    "record batch": lambda: pa.RecordBatch.from_pylist(ROWS),
    "reader": lambda: pa.Table.from_pylist(ROWS).to_reader(),
    "dictionary columns": lambda: pa.table(
        {name: pa.array([row[name] for row in ROWS]).dictionary_encode() for name in COLUMNS}
    ),
    "cursor": cursor,
    "described rows": lambda: described_rows(
        [tuple(row.values()) for row in ROWS], [(name, None) for name in COLUMNS]
    ),
}


def read(value: Any, **options: Any) -> list[Row | BadRow]:
    items: Any = items_of_table(value)
    require_items_or_template(items)
    first, again = [list(read_items(items, InputOptions(**options))) for _ in range(2)]
    # A batch reads its items several times.
    assert first == again
    return first


@pytest.mark.parametrize("kind", TABLES)
def test_each_kind_of_table_has_the_rows_of_a_list(kind: str) -> None:
    rows = read(TABLES[kind]())

    assert [row.key for row in rows] == ["00001", "00002"]
    assert rows == list(read_items(ROWS))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "cursor", "described rows"])
def test_columns_of_a_table_are_checked_before_its_rows(kind: str) -> None:
    with pytest.raises(InvalidInput, match="items has more than one column for 'key'"):
        read(TABLES[kind](), columns={"personal_number": "key"})


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table, lambda columns: polars().DataFrame(columns)])
def test_whole_decimals_are_numbers_and_days_are_text(make: Callable[..., Any]) -> None:
    table = make(
        {
            "key": [Decimal(7), Decimal(8)],
            "first_name": ["Ada", "Ala"],
            "last_name": [dt.date(2026, 1, 31), dt.date(2026, 2, 1)],
        }
    )

    items: Any = items_of_table(table)

    assert [row.key for row in read(table)] == ["7", "8"]
    assert [row["last_name"] for row in items] == ["2026-01-31", "2026-02-01"]


def records(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def written(suffix: str) -> Callable[[dict[str, list[Any]], Path], Any]:
    """Return what writes columns to a file, and returns its URI."""
    return lambda columns, folder: write_items(records(columns), str(folder / f"items{suffix}"))


def sharded(columns: dict[str, list[Any]], folder: Path) -> Any:
    return references(records(columns), 10, folder=str(folder), on_bad_row="skip")[0]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("company_name", Decimal("1.50"), {"companyName": "1.50"}),
        ("company_name", Decimal("1E-7"), {"companyName": "0.0000001"}),
        ("company_name", Decimal("12345678901234567.25"), {"companyName": "12345678901234567.25"}),
        ("company_name", Decimal("7.00"), "must be text, not int"),
        ("key", Decimal("1.50"), "1.50"),
        ("key", Decimal("7.00"), "7"),
        ("record.amount", Decimal("1.50"), {"amount": 1.5}),
        ("phone", Decimal("1.50"), "is a number, so a + or zeros in front may be lost"),
        ("personal_number", Decimal("1.50"), "is a number, so its leading zeros may be lost"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda columns, _: records(columns),
        lambda columns, _: pd.DataFrame(columns),
        lambda columns, _: polars().DataFrame(columns),
        lambda columns, _: pa.table(columns),
        lambda columns, _: described_rows(zip(*columns.values(), strict=True), [(name,) for name in columns]),
        written(".parquet"),
        sharded,
    ],
    ids=["list", "pandas", "polars", "Arrow", "cursor", "Parquet", "shard"],
)
def test_a_fraction_becomes_the_same_whatever_the_source(
    make: Callable[..., Any], field: str, value: Decimal, expected: Any, tmp_path: Path
) -> None:
    columns = {field: [value]} if field.startswith("record") else {field: [value], "last_name": ["Ada"]}

    (row,) = read(make(columns, tmp_path))

    if isinstance(row, BadRow):
        assert [(column, reason.startswith(expected)) for column, reason in row.problems] == [(field, True)]
    elif field == "key":
        assert row.key == expected
    else:
        assert row.record == expected or row.case == {"lastName": "Ada"} | expected


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table, lambda columns: polars().DataFrame(columns)])
def test_days_and_decimals_within_an_object_are_those_of_a_file(make: Callable[..., Any]) -> None:
    limits = {"day": dt.date(2026, 1, 31), "limit": Decimal("1.50"), "days": [dt.date(2026, 1, 31)]}
    table = make({"first_name": ["Ada"], "parameters": [limits]})

    (row,) = read(table)

    assert isinstance(row, Row)
    assert row.parameters == {"day": "2026-01-31", "limit": 1.5, "days": ["2026-01-31"]}


def test_numbers_where_digits_count_make_bad_rows_as_from_a_file() -> None:
    frame = pd.DataFrame({"first_name": ["Ada", "Ala"], "personal_number": [2070803628, 44051401359]})

    assert all(isinstance(row, BadRow) for row in read(frame))
    padded = read(frame, zero_pad={"personal_number": 11})
    assert [row.case["personalNumber"] for row in padded if isinstance(row, Row)] == [
        "02070803628",
        "44051401359",
    ]


def test_json_in_text_is_read_as_in_a_file() -> None:
    frame = pd.DataFrame({"first_name": ["Ada"], "parameters": ['{"limit": 7}']})

    (row,) = read(frame)

    assert isinstance(row, Row)
    assert row.parameters == {"limit": 7}


def test_nested_columns_of_arrow_are_objects() -> None:
    table = pa.table({"first_name": ["Ada"], "parameters": [{"limit": 7, "names": ["a", "b"]}]})

    (row,) = read(table)

    assert isinstance(row, Row)
    assert row.parameters == {"limit": 7, "names": ["a", "b"]}


def test_maps_of_arrow_are_objects_as_in_a_file() -> None:
    parameters = pa.array([[("limit", Decimal(7))]], pa.map_(pa.string(), pa.decimal128(3, 0)))

    (row,) = read(pa.table({"first_name": ["Ada"], "parameters": parameters}))

    assert isinstance(row, Row)
    assert row.parameters == {"limit": 7}


def test_the_index_of_pandas_is_no_column() -> None:
    frame = pd.DataFrame(ROWS, index=["x", "y"])

    assert [row.key for row in read(frame)] == ["00001", "00002"]


def test_a_table_shows_no_value() -> None:
    items = items_of_table(pd.DataFrame(ROWS))

    assert repr(items) == "<2 rows of 3 columns>"


def test_a_large_table_is_read_row_by_row() -> None:
    frame = pd.DataFrame({"key": [f"{number:05}" for number in range(2500)], "first_name": "Ada"})

    items: Any = items_of_table(frame)

    assert isinstance(items, TableItems)
    assert len(items) == 2500
    assert (items[0]["key"], items[-1]["key"], items[2499]["key"]) == ("00000", "02499", "02499")
    assert [row["key"] for row in items[998:1002]] == ["00998", "00999", "01000", "01001"]
    assert [row.key for row in read(frame)] == frame["key"].tolist()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pd.Series(["Ada"]), "items must be a table, .* not Series"),
        (lambda: np.array([["Ada"]]), "items must be a table, .* not ndarray"),
        (lambda: pa.array(["Ada"]), "items must be a table, .* not StringArray"),
        (lambda: pa.chunked_array([["Ada"]]), "items must be a table, .* not ChunkedArray"),
        (
            lambda: polars().DataFrame(ROWS).lazy(),
            r"a LazyFrame, which has no rows yet: return frame.collect\(\)",
        ),
        (lambda: {"Ada"}, "items must be a list of rows, .* not set"),
        (lambda: pd.DataFrame([["Ada", "Nowak"]]), "a column whose name is not text, but int"),
        (lambda: pd.DataFrame([["Ada", "Ala"]], columns=["a", "a"]), "more than one column 'a'"),
        (
            lambda: [("Ada", "Nowak")],
            r"without the names of their columns, .* described_rows\(rows, description\)",
        ),
        (
            lambda: described_rows([("Ada",)], [("a",), ("b",)]),
            "row 1 has 1 values where the description has 2",
        ),
        (lambda: described_rows([("Ada",)], []), "description is empty"),
    ],
)
def test_what_is_no_table_is_refused_and_not_shown(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as raised:
        read(make())

    assert "Ada" not in str(raised.value)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow", "record batch"])
def test_through_airflow_a_table_is_refused_with_the_way_that_works(kind: str) -> None:
    table = TABLES[kind]()

    for refuses in (require_items_or_template, lambda items: references(items, 10)):
        with pytest.raises(
            InvalidInput, match=r"rows do not go through Airflow's database.*write_items\(table"
        ):
            refuses(table)
