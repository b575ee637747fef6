"""Which errors of a database another try would meet again."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator

import pytest

from airflow_provider_workflows.api.errors import DatabaseFailed, InvalidInput
from airflow_provider_workflows.database.failures import database_failure


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A database with a table and a view of it."""
    opened = sqlite3.connect(":memory:")
    opened.executescript("CREATE TABLE people (key TEXT); CREATE VIEW names AS SELECT key FROM people")
    yield opened
    opened.close()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sqlite3 has the names of SQLite's errors since 3.11")
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DELETE FROM names", "says: cannot modify names because it is a view"),
        ("SELECT key FROM results.people", "says: no such table: results.people"),
        ("CREATE TABLE results.people (key TEXT)", "says: unknown database results"),
        ("WITH gone AS (SELECT 1) DELETE FROM people RETURNING key ORDER BY key", "refused the statement"),
        ("SELECT 'Kowalska' FORM people", "refused the statement"),
    ],
)
def test_what_sqlite_would_refuse_again_is_no_matter_of_another_try(
    connection: sqlite3.Connection, sql: str, words: str
) -> None:
    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.execute(sql)

    error = database_failure("result_table", "warehouse", raised.value)

    assert isinstance(error, InvalidInput)
    assert words in str(error)
    assert "Kowalska" not in str(error)


def test_a_database_that_another_program_has_locked_is_for_another_try() -> None:
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorname = "SQLITE_BUSY"  # type: ignore[misc, attr-defined, unused-ignore]

    assert isinstance(database_failure("result_table", "warehouse", locked), DatabaseFailed)
