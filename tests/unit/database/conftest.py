"""Databases to read from and to write into: PostgreSQL, SQLite and DuckDB, each behind its hook of Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook

from tests.harness.ports import free_ports
from tests.harness.stack.errors import StackUnavailable
from tests.harness.stack.postgresql import Database, empty_database

CONN_ID = "warehouse"


class Warehouse:
    """A database that the connection ``warehouse`` leads to.

    :param kind: of the database
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @property
    def hook(self) -> Any:
        return BaseHook.get_hook(CONN_ID)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute statements in one transaction, and return the rows of the last."""
        connection = self.hook.get_conn()
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
            connection.commit()
        finally:
            connection.close()
        return rows


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Database]:
    """A server of PostgreSQL with an empty database."""
    try:
        with empty_database(*free_ports(1)) as database:
            yield database
    except StackUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def warehouse_of(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Warehouse]:
    """Return a function that provides an empty database of a kind."""

    def provide(kind: str) -> Warehouse:
        if kind != "postgresql":
            pytest.importorskip({"sqlite": "airflow.providers.sqlite", "duckdb": "duckdb_provider"}[kind])
        if kind == "postgresql":
            database: Database = request.getfixturevalue("postgresql")
            database.execute("DROP SCHEMA public CASCADE")
            database.execute("CREATE SCHEMA public")
            uri = database.url.set(drivername="postgres").render_as_string(hide_password=False)
        else:
            uri = f"{kind}://{tmp_path / 'warehouse.db'}"
            if kind == "duckdb":
                uri = f"duckdb://%2F{str(tmp_path / 'warehouse.db')[1:].replace('/', '%2F')}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", uri)
        return Warehouse(kind)

    return provide


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("duckdb", marks=pytest.mark.slow),
        pytest.param("postgresql", marks=[pytest.mark.thorough]),
    ]
)
def warehouse(request: pytest.FixtureRequest, warehouse_of: Callable[[str], Warehouse]) -> Warehouse:
    """An empty database of each kind that runs here."""
    return warehouse_of(request.param)
