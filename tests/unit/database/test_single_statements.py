"""Appending and replacing by one statement, where a database has no transactions: run here on DuckDB."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_workflows.database import table_writer
from airflow_provider_workflows.database.dialects import DIALECTS
from airflow_provider_workflows.database.table_statements import TableLayout
from airflow_provider_workflows.database.table_writer import TableWriter

duckdb = pytest.importorskip("duckdb")

LAYOUT = TableLayout("results", "id", "batch_id", (("id", "key"), ("n", "integer"), ("batch_id", "key")))
#: Another batch has a key of this one's, and there is a row of nobody's.
OTHERS = [("k1", 100, "b0"), ("k9", 900, "b0"), ("k8", 800, None)]
ROWS = [["k1", 1, "b1"], ["k2", 2, "b1"], ["k3", 3, "b1"]]
WRITTEN = [tuple(row) for row in ROWS]


class Killed(BaseException):
    """The process has ended."""


class Connection:
    """A connection of DuckDB, in which each statement is a transaction of its own, until the process is killed.

    :param connection: of DuckDB
    :param statements: how many are executed before that; None for all
    """

    def __init__(self, connection: Any, statements: int | None) -> None:
        self._connection = connection
        self._left = statements

    def cursor(self) -> Connection:
        return self

    def execute(self, statement: str, values: Any = ()) -> None:
        if self._left == 0:
            raise Killed
        self._connection.execute(statement, values)
        if self._left is not None:
            self._left -= 1

    @property
    def description(self) -> Any:
        return self._connection.description

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass

    def close(self) -> None:
        pass


class Hook(DbApiHook):
    """A hook of a database without transactions, in which MERGE is as in BigQuery and Databricks SQL."""

    conn_name_attr = "conn_id"
    conn_type = "databricks"

    def __init__(self, connection: Connection) -> None:
        super().__init__(conn_id="warehouse")
        self._duckdb = connection

    def get_conn(self) -> Any:
        return self._duckdb


@pytest.fixture(autouse=True)
def duckdb_for_databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the statements of Databricks SQL, with the names of types and the quotes that DuckDB has."""
    like = DIALECTS["duckdb"]
    mixed = dataclasses.replace(DIALECTS["databricks"], types=like.types, quotes=like.quotes)
    monkeypatch.setattr(table_writer, "dialect_of", lambda _: mixed)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "databricks://")


@pytest.fixture
def database() -> Iterator[Any]:
    with contextlib.closing(duckdb.connect()) as connection:
        connection.execute("CREATE TABLE results (id VARCHAR, n BIGINT, batch_id VARCHAR)")
        connection.executemany("INSERT INTO results VALUES (?, ?, ?)", OTHERS)
        yield connection


def write(database: Any, mode: str, rows: Any = ROWS, statements: int | None = None) -> None:
    hook = Hook(Connection(database, statements))
    TableWriter(hook, LAYOUT, mode=mode, batch_id="b1").write(rows, lambda: None)


def rows_in(database: Any) -> list[tuple[Any, ...]]:
    return sorted(database.execute("SELECT * FROM results").fetchall(), key=lambda row: row[:2])


def expected(mode: str, written: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted([*(OTHERS if mode == "append" else []), *written], key=lambda row: row[:2])


@pytest.mark.parametrize("mode", ["append", "replace"])
class TestOneStatement:
    def test_adds_each_row_once_however_often_it_comes(self, database: Any, mode: str) -> None:
        for _ in range(3):
            write(database, mode)

        assert rows_in(database) == expected(mode, WRITTEN)

    def test_takes_the_place_of_rows_that_the_batch_has_written_before(
        self, database: Any, mode: str
    ) -> None:
        write(database, mode)

        write(database, mode, [["k2", 22, "b1"], ["k4", 4, "b1"]])

        assert rows_in(database) == expected(mode, [("k2", 22, "b1"), ("k4", 4, "b1")])

    def test_of_no_rows_leaves_none_of_the_batch(self, database: Any, mode: str) -> None:
        write(database, mode)

        write(database, mode, [])

        assert rows_in(database) == expected(mode, [])

    #: The staging table is created, filled, and moved; then it is dropped.
    @pytest.mark.parametrize("statements", [0, 1, 2, 3])
    def test_leaves_the_table_as_it_was_or_whole_when_the_process_is_killed_and_a_retry_makes_it_whole(
        self, database: Any, mode: str, statements: int
    ) -> None:
        with pytest.raises(Killed):
            write(database, mode, statements=statements)

        left = rows_in(database)
        write(database, mode)

        assert left == (expected(mode, WRITTEN) if statements == 3 else expected("append", []))
        assert rows_in(database) == expected(mode, WRITTEN)
        assert database.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("results",)]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_only_one_statement_changes_the_table(
    database: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    execute: Callable[..., None] = Connection.execute

    def noted(self: Connection, statement: str, *values: Any) -> None:
        asked.append(statement.split(maxsplit=1)[0])
        execute(self, statement, *values)

    monkeypatch.setattr(Connection, "execute", noted)

    write(database, mode)

    assert asked == ["CREATE", "INSERT", "MERGE", "DROP"]
