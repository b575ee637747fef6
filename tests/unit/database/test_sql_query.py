"""Rows of a query: what a batch makes of them, in which order, and what is said where they cannot be read."""

from __future__ import annotations

import datetime as dt
import logging
import os
import traceback
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from airflow.providers.postgres.hooks.postgres import PostgresHook
from sqlalchemy import make_url

from airflow_provider_workflows.api.errors import DatabaseFailed, InvalidInput
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.input.sql_cells import cell_of
from airflow_provider_workflows.batch.input.unreadable import Unreadable
from airflow_provider_workflows.database.queries import ordered_by, query_rows
from airflow_provider_workflows.sql import SqlQuery
from tests.unit.database.conftest import CONN_ID, Warehouse

PEOPLE = (
    "CREATE TABLE people (customer_no VARCHAR(20), first_name VARCHAR(40), personal_number VARCHAR(20))",
    "INSERT INTO people VALUES ('c3', 'Ann', '00010112345'), ('c1', 'Bob', NULL), ('c2', 'Cid', '44051401359')",
)
QUERY = "SELECT customer_no, first_name, personal_number FROM people"


def query(sql: str = QUERY, **arguments: Any) -> SqlQuery:
    return SqlQuery(sql, CONN_ID, **{"key": "customer_no"} | arguments)


def rows_of(items: SqlQuery, **options: Any) -> list[Row | BadRow]:
    return list(read_items(items, InputOptions(**options)))


class TestRows:
    def test_come_in_the_order_of_their_keys_and_keep_their_zeros(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)

        rows = rows_of(query())

        assert [(row.number, row.key, row.has_key) for row in rows] == [
            (1, "c1", True),
            (2, "c2", True),
            (3, "c3", True),
        ]
        assert [row.case for row in rows if isinstance(row, Row)] == [
            {"firstName": "Bob"},
            {"firstName": "Cid", "personalNumber": "44051401359"},
            {"firstName": "Ann", "personalNumber": "00010112345"},
        ]

    def test_are_those_of_bound_parameters_whatever_is_in_them(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)
        mark = "%s" if warehouse.kind == "postgresql" else "?"

        rows = rows_of(
            query(
                f"{QUERY} WHERE first_name = {mark} OR first_name = {mark}", parameters=["Ann", "' OR 1=1 --"]
            )
        )

        assert [row.key for row in rows] == ["c3"]

    def test_are_read_once_and_stay_as_they_were_while_the_tables_change(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)
        items = query()
        checked = rows_of(items)

        warehouse.execute(
            "UPDATE people SET first_name = 'Eve'", "DELETE FROM people WHERE customer_no = 'c1'"
        )

        assert rows_of(items) == checked
        assert [row.key for row in rows_of(items.copy())] == ["c2", "c3"]

    def test_are_found_by_columns_and_by_a_key_in_capitals(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)
        items = query('SELECT customer_no AS "CUSTOMER_NO", first_name AS "Imię" FROM people ORDER BY 1')

        rows = rows_of(items, columns={"Imię": "first_name"})

        assert [row.key for row in rows] == ["c1", "c2", "c3"]

    def test_that_repeat_a_key_are_bad(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE, "INSERT INTO people VALUES ('c1', 'Dan', NULL)")

        rows = rows_of(query())

        assert [row.number for row in rows if isinstance(row, BadRow)] == [2]

    @pytest.mark.parametrize("others", [0, 40])
    @pytest.mark.parametrize("empty", ["NULL", "''", "' '"])
    def test_without_a_key_are_bad_and_take_none(self, warehouse: Warehouse, empty: str, others: int) -> None:
        more = [f"INSERT INTO people VALUES ('{number}', 'Dan', NULL)" for number in range(1, 4 + others)]
        warehouse.execute(PEOPLE[0], *more, f"INSERT INTO people VALUES ({empty}, 'Eve', NULL)")

        rows = rows_of(query())

        (bad,) = [row for row in rows if isinstance(row, BadRow)]
        assert bad.problems == (("customer_no", "is empty, and each row must have its key there"),)
        assert (bad.key, bad.has_key) == ("", False)
        assert {row.key for row in rows} == {"", *map(str, range(1, 4 + others))}

    def test_whose_key_a_function_takes_away_are_bad(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)

        rows = rows_of(query(), transform=lambda row: {"first_name": row["first_name"]})

        assert {row.problems for row in rows if isinstance(row, BadRow)} == {
            (("", "lacks the column of its key"),)
        }

    def test_with_a_number_for_an_identifier_are_bad(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)
        items = query(
            "SELECT customer_no, CAST(personal_number AS DECIMAL(11, 0)) AS personal_number FROM people"
        )

        rows = rows_of(items)

        assert [isinstance(row, BadRow) for row in rows] == [True, True, True]
        assert [
            row.case for row in rows_of(items, zero_pad={"personal_number": 11}) if isinstance(row, Row)
        ] == [
            {"personalNumber": "44051401359"},
            {"personalNumber": "00010112345"},
        ]


@pytest.mark.thorough
def test_a_thousand_rows_and_more_are_all_read(warehouse: Warehouse) -> None:
    values = ", ".join(f"('c{number:05}', 'Jo')" for number in range(2500))
    warehouse.execute(
        "CREATE TABLE people (customer_no VARCHAR(20), first_name VARCHAR(40))",
        f"INSERT INTO people VALUES {values}",
    )

    rows = rows_of(query("SELECT * FROM people"))

    assert [row.key for row in rows] == [f"c{number:05}" for number in range(2500)]


@pytest.mark.thorough
def test_postgresql_keeps_the_rows_at_the_server(
    warehouse_of: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = warehouse_of("postgresql")
    warehouse.execute(*PEOPLE)
    items = query(
        "SELECT customer_no, (SELECT string_agg(name, ' ') FROM pg_cursors) AS first_name FROM people"
    )

    rows = rows_of(items)

    assert all(isinstance(row, Row) and row.case["firstName"].startswith("workflows_") for row in rows)


OUTSIDE = "that is infinity, 24:00 or outside of the years 1 to 9999: cast it to text in the query"


class HookOfPsycopg2(PostgresHook):
    """A hook whose connection is of psycopg2, as that of older releases of Airflow's provider is."""

    def get_conn(self) -> Any:
        url = make_url(os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"]).set(drivername="postgresql")
        return psycopg2.connect(url.render_as_string(hide_password=False))

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        conn.autocommit = autocommit


@pytest.mark.thorough
@pytest.mark.parametrize("hook_of", [PostgresHook, HookOfPsycopg2])
@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("date '2026-01-31'", "2026-01-31"),
        ("date 'infinity'", Unreadable(f"is a date {OUTSIDE}")),
        ("date '-infinity'", Unreadable(f"is a date {OUTSIDE}")),
        ("date '0044-03-15 BC'", Unreadable(f"is a date {OUTSIDE}")),
        ("timestamp '20000-01-01'", Unreadable(f"is a timestamp {OUTSIDE}")),
        ("timestamptz 'infinity'", Unreadable(f"is a timestamptz {OUTSIDE}")),
        ("time '24:00'", Unreadable(f"is a time {OUTSIDE}")),
        ("timetz '24:00+01'", Unreadable(f"is a timetz {OUTSIDE}")),
        ("interval '3000000 years'", Unreadable(f"is an interval {OUTSIDE}")),
        ("array[date '2026-01-31', null]", ["2026-01-31", None]),
        ("array[date 'infinity']", Unreadable(f"is a date {OUTSIDE}")),
        ("array[timestamptz '0044-03-15 BC']", Unreadable(f"is a timestamptz {OUTSIDE}")),
        ("date 'infinity'::text", "infinity"),
    ],
)
def test_postgresql_may_have_a_time_that_python_has_not(
    warehouse_of: Callable[[str], Warehouse],
    hook_of: type[PostgresHook],
    value: str,
    cell: Any,
) -> None:
    warehouse_of("postgresql")

    with query_rows("items", hook_of(CONN_ID), f"SELECT {value} AS since, 'after' AS next", None) as (
        _,
        rows,
    ):
        cells = [[cell_of(each) for each in row] for row in rows]

    assert cells == [[cell, "after"]]


@pytest.mark.thorough
def test_a_row_with_infinity_is_a_bad_row_and_the_others_are_read(
    warehouse_of: Callable[[str], Warehouse],
) -> None:
    warehouse_of("postgresql").execute(
        "CREATE TABLE people (customer_no text, company_name date, since date)",
        "INSERT INTO people VALUES ('c1', '2026-01-31', 'infinity'), ('c2', 'infinity', NULL)",
    )

    rows = rows_of(query("SELECT * FROM people"), columns={"since": None})

    assert [row.key for row in rows] == ["c1", "c2"]
    assert isinstance(rows[0], Row)
    assert isinstance(rows[1], BadRow)
    assert rows[1].problems == (("company_name", f"is a date {OUTSIDE}"),)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, None),
        ("Ann", "Ann"),
        (True, True),
        (7, 7),
        (Decimal(90010112345), 90010112345),
        (Decimal("7.00"), 7),
        (Decimal("7.50"), Decimal("7.50")),
        (Decimal("1E+400"), Unreadable("is a number of more than 300 digits")),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 12, tzinfo=dt.timezone.utc), "2026-01-31T12:00:00+00:00"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (b"Zo\xc3\xab", "Zoë"),
        (memoryview(b"abc"), "abc"),
        (bytearray(b"\xff"), Unreadable("is binary data and not text: decode it in the query")),
        ({"risk": Decimal("0.5"), "since": dt.date(2026, 1, 31)}, {"risk": 0.5, "since": "2026-01-31"}),
        ([Decimal(1), "a"], [1, "a"]),
        (dt.timedelta(1), Unreadable("is a timedelta, which no field holds: cast it to text in the query")),
    ],
)
def test_a_value_of_a_database_becomes_a_cell(value: Any, cell: Any) -> None:
    assert cell_of(value) == cell


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT a FROM t", "SELECT a FROM t\nORDER BY a"),
        ("select a from t;  ", "select a from t\nORDER BY a"),
        ("SELECT a FROM t -- all", "SELECT a FROM t\nORDER BY a"),
        ("WITH x AS (SELECT 1 AS a ORDER BY 1 LIMIT 3) SELECT a FROM x", None),
        ("SELECT a, row_number() OVER (ORDER BY b) FROM t", None),
        ("SELECT a FROM t UNION ALL SELECT a FROM u", None),
        ("SELECT a FROM t ORDER BY b, a", "SELECT a FROM t ORDER BY b, a"),
        ("SELECT a FROM t ORDER BY a LIMIT 5", "SELECT a FROM t ORDER BY a LIMIT 5"),
        ("SELECT 'ORDER BY; LIMIT' AS a FROM t", None),
    ],
)
def test_a_query_without_an_order_is_ordered_by_its_key(sql: str, ordered: str | None) -> None:
    assert ordered_by(sql, "a") == (ordered or f"{sql}\nORDER BY a")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT a FROM t LIMIT 10", r"\(LIMIT\) without an order.*ORDER BY a"),
        ("SELECT TOP 10 a FROM t", r"\(TOP\) without an order"),
        ("SELECT a FROM t FETCH FIRST 3 ROWS ONLY", r"\(FETCH\) without an order"),
        ("SELECT a FROM t FOR UPDATE", "none can be added"),
        ("DELETE FROM t", "must be a query"),
        ("SELECT 1; DELETE FROM t", "one query"),
        ("-- nothing", "must be a query"),
    ],
)
def test_a_query_whose_order_cannot_be_fixed_is_refused(sql: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ordered_by(sql, "a")


class TestErrors:
    def test_name_a_table_that_is_not_there(self, warehouse: Warehouse) -> None:
        with pytest.raises(InvalidInput, match="people") as raised:
            rows_of(query())

        assert "connection 'warehouse' says" in str(raised.value)

    def test_never_repeat_a_value(self, warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        warehouse.execute(*PEOPLE)
        sql = "SELECT customer_no, CAST(first_name AS INTEGER) / 0 AS first_name FROM people"
        if warehouse.kind == "sqlite":
            sql = "SELECT customer_no, abs(-9223372036854775808) AS first_name FROM people"

        with pytest.raises((InvalidInput, DatabaseFailed), match="its own words are left out") as raised:
            rows_of(query(sql))

        shown = f"{''.join(traceback.format_exception(raised.value))}{caplog.text}"
        assert not any(name in shown for name in ("Ann", "Bob", "Cid"))

    def test_list_the_columns_where_there_is_no_key(self, warehouse: Warehouse) -> None:
        warehouse.execute(*PEOPLE)

        with pytest.raises(
            InvalidInput, match="no column 'id', which is to be its key; its columns are 'customer_no'"
        ):
            rows_of(query(f"{QUERY} ORDER BY 1", key="id"))

    def test_say_that_a_connection_is_missing_or_no_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_FILES", "fs:///tmp")

        with pytest.raises(InvalidInput, match="no connection 'nowhere'"):
            rows_of(SqlQuery(QUERY, "nowhere", key="customer_no"))
        with pytest.raises(InvalidInput, match="'files' leads to no database"):
            rows_of(SqlQuery(QUERY, "files", key="customer_no"))

    @pytest.mark.thorough
    def test_of_a_server_that_is_away_are_retried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(
            "AIRFLOW_CONN_WAREHOUSE", "postgres://user:secret-word@127.0.0.1:9/db?connect_timeout=2"
        )

        with pytest.raises(DatabaseFailed) as raised:
            rows_of(query())

        assert raised.value.is_retryable()
        assert "secret-word" not in str(raised.value)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"sql": " "}, "sql is empty"),
            ({"key": ""}, "key must be"),
            ({"parameters": "Ann"}, "parameters of the query must be a dict or a list"),
            ({"parameters": 3}, "parameters of the query must be a dict or a list"),
        ],
    )
    def test_come_when_the_dag_is_parsed(self, arguments: dict[str, Any], words: str) -> None:
        with pytest.raises(InvalidInput, match=words):
            query(**arguments)
