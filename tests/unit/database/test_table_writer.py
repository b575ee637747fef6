"""Writing results into a table: what is left of the staging table, and whose error it is where that fails."""

from __future__ import annotations

import errno
import tempfile
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_workflows.api.errors import DatabaseFailed, InternalError, InvalidInput, WorkflowsError
from airflow_provider_workflows.batch.input.kept_rows import KeptRows
from airflow_provider_workflows.database.connections import connected
from airflow_provider_workflows.database.failures import database_failure
from airflow_provider_workflows.database.table_statements import TableLayout
from airflow_provider_workflows.database.table_writer import TableWriter

LAYOUT = TableLayout("results", "id", "batch_id", (("id", "key"), ("batch_id", "key")))
ROWS = [["c1", "7"], ["c2", "7"]]
FULL = OSError(errno.ENOSPC, "No space left on device")


class Recording:
    """A connection of DB-API that keeps what it is asked, and refuses statements that begin with given words."""

    def __init__(self, *refused: str) -> None:
        self.statements: list[str] = []
        self._refused = refused

    def cursor(self) -> Recording:
        return self

    def execute(self, statement: str, _: object = None) -> None:
        self.statements.append(" ".join(statement.split()[:2]))
        if self._refused and statement.startswith(self._refused):
            raise ConnectionResetError("the row of Kowalski")

    def commit(self) -> None:
        self.statements.append("COMMIT")

    def rollback(self) -> None:
        self.statements.append("ROLLBACK")

    def close(self) -> None:
        pass


class RecordedHook(DbApiHook):
    """A hook of a database without temporary tables, as Databricks SQL is."""

    conn_name_attr = "conn_id"
    conn_type = "databricks"

    def __init__(self, connection: Recording) -> None:
        super().__init__(conn_id="warehouse")
        self._recording = connection

    def get_conn(self) -> Any:
        return self._recording


@pytest.fixture(autouse=True)
def connection_in_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connection, which the hook asks how a bound value is spelled."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "databricks://")


def write(connection: Recording, rows: Any = ROWS, require_owner: Callable[[], None] = lambda: None) -> int:
    writer = TableWriter(RecordedHook(connection), LAYOUT, mode="merge", batch_id="7")
    return writer.write(rows, require_owner)


def raising(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def broken_output(error: Exception) -> Iterator[list[str]]:
    yield ROWS[0]
    raise error


@pytest.mark.parametrize("error", [WorkflowsError("another try"), FULL, SystemExit(1)])
def test_a_staging_table_that_outlives_its_connection_is_dropped_after_an_error(error: BaseException) -> None:
    connection = Recording()

    with pytest.raises((WorkflowsError, SystemExit)):
        write(connection, require_owner=raising(error))

    assert connection.statements == ["CREATE OR", "INSERT INTO", "DROP TABLE", "COMMIT", "ROLLBACK"]


def test_an_error_shows_although_the_staging_table_cannot_be_dropped_either() -> None:
    with pytest.raises(WorkflowsError, match="another try has taken over"):
        write(Recording("DROP"), require_owner=raising(WorkflowsError("another try has taken over")))


def test_a_staging_table_is_dropped_once_the_table_has_its_rows() -> None:
    connection = Recording()

    assert write(connection) == 2

    assert connection.statements[-4:] == ["COMMIT", "DROP TABLE", "COMMIT", "ROLLBACK"]


def test_an_output_that_cannot_be_read_is_not_taken_for_a_failure_of_the_database() -> None:
    with pytest.raises(WorkflowsError, match=r"reading the batch's output failed.*No space left") as raised:
        write(Recording(), broken_output(FULL))

    assert not isinstance(raised.value, DatabaseFailed)
    assert raised.value.is_retryable()


def test_what_a_storage_says_of_a_failure_is_not_in_the_log() -> None:
    error = PermissionError("Access Denied: hunter2")

    with pytest.raises(WorkflowsError) as raised:
        write(Recording(), broken_output(error))

    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_mistake_in_code_beside_the_database_is_said_to_be_one() -> None:
    with pytest.raises(InternalError, match="a mistake in code"):
        write(Recording(), broken_output(KeyError("c1")))


def test_a_full_disk_of_the_worker_is_not_taken_for_a_failure_of_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", raising(FULL))

    with (
        pytest.raises(WorkflowsError, match=r"worker's disk \(TMPDIR\) failed.*No space left") as raised,
        connected("items", RecordedHook(Recording())),
    ):
        KeptRows.of(["id"], [["c1"]])

    assert not isinstance(raised.value, DatabaseFailed)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("A string literal cannot contain NUL (0x00) characters."),
        UnicodeEncodeError("latin-1", "Łoś", 0, 1, "ordinal not in range(256)"),
    ],
)
def test_a_text_that_a_driver_cannot_send_is_a_failure_that_lasts(error: ValueError) -> None:
    failure = database_failure("result_table", "warehouse", error)

    assert isinstance(failure, InvalidInput)
    assert not failure.is_retryable()
