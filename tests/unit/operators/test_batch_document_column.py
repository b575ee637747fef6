"""The column that names files to upload: it is read only where the DAG's author says so."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.sharding import references
from airflow_provider_workflows.sandbox import Sandbox
from airflow_provider_workflows.sql import SqlQuery
from tests.unit.batch_task import BatchTask

COLUMNS = {"document_files": "document_files"}


@pytest.mark.parametrize("column", ["document_files", "Document Files", "documentFiles"])
@pytest.mark.parametrize("is_table", [False, True], ids=["list", "file"])
def test_a_column_of_files_that_columns_does_not_name_is_not_read(
    batch: BatchTask, connected: Sandbox, tmp_path: Path, column: str, is_table: bool
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"first_name,{column}\nAda,/run/secrets/key.pem\n", encoding="utf-8")
    rows = [{"first_name": "Ada", column: "/run/secrets/key.pem"}]

    with pytest.raises(InvalidInput, match=r'say so with columns=\{"document_files"'):
        batch.run(str(path) if is_table else rows)

    assert not connected.counts.requests


@pytest.fixture
def card(tmp_path: Path) -> str:
    """Return the path of a file that may be uploaded."""
    path = tmp_path / "card.pdf"
    path.write_bytes(b"one")
    return str(path)


@pytest.fixture
def query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: str) -> SqlQuery:
    """A query for a row that names the file in a column ``document_files``."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"sqlite://{path}")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE people (number TEXT, first_name TEXT, document_files TEXT)")
        database.execute("INSERT INTO people VALUES ('c1', 'Ada', ?)", [card])
    return SqlQuery("SELECT * FROM people", "warehouse", key="number")


@pytest.fixture(params=["list", "file", "query"])
def given(request: pytest.FixtureRequest, tmp_path: Path, card: str) -> Any:
    """Items with a row that names the file in a column ``document_files``."""
    if request.param == "query":
        return request.getfixturevalue("query")
    if request.param == "list":
        return [{"first_name": "Ada", "document_files": card}]
    path = tmp_path / "people.csv"
    path.write_text(f"first_name,document_files\nAda,{card}\n", encoding="utf-8")
    return str(path)


def names_of_documents(sandbox: Sandbox) -> list[list[str]]:
    return [
        [document["resourceName"] for document in workflow.case["partyDetails"].get("documents") or []]
        for workflow in sandbox.workflows
    ]


def adds_files(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"document_files": "/run/secrets/key.pem", **row}


class TestShards:
    def test_of_a_table_whose_column_is_not_named_are_refused_before_there_are_any(
        self, given: Any, tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidInput, match=r'say so with columns=\{"document_files"'):
            references(given, 10, folder=str(tmp_path / "items"))

    def test_are_refused_by_a_batch_that_does_not_name_it(
        self, batch: BatchTask, connected: Sandbox, given: Any, tmp_path: Path
    ) -> None:
        (shard,) = references(
            given, 10, options=InputOptions(columns=COLUMNS), folder=str(tmp_path / "items")
        )

        with pytest.raises(InvalidInput):
            batch.run(shard)

        assert not connected.counts.requests

    @pytest.mark.thorough
    def test_upload_files_where_both_name_it(
        self, batch: BatchTask, connected: Sandbox, given: Any, tmp_path: Path
    ) -> None:
        (shard,) = references(
            given, 10, options=InputOptions(columns=COLUMNS), folder=str(tmp_path / "items")
        )

        batch.run(shard, columns=COLUMNS)

        assert names_of_documents(connected) == [["card.pdf"]]


class TestTransform:
    def test_may_name_no_file_where_columns_does_not_name_the_column(
        self, batch: BatchTask, connected: Sandbox, given: Any
    ) -> None:
        with pytest.raises(InvalidInput, match=r'say so with columns=\{"document_files"'):
            batch.run(given, transform=adds_files)

        assert not connected.counts.requests

    @pytest.mark.thorough
    def test_may_name_files_where_columns_names_it(
        self, batch: BatchTask, connected: Sandbox, given: Any
    ) -> None:
        batch.run(given, transform=adds_files, columns=COLUMNS)

        assert names_of_documents(connected) == [["card.pdf"]]


class TestQuery:
    def test_whose_column_columns_does_not_name_is_refused(
        self, batch: BatchTask, connected: Sandbox, query: SqlQuery
    ) -> None:
        with pytest.raises(InvalidInput, match=r'say so with columns=\{"document_files"'):
            batch.run(query)

        assert not connected.counts.requests

    @pytest.mark.thorough
    def test_uploads_files_where_columns_names_it(
        self, batch: BatchTask, connected: Sandbox, query: SqlQuery
    ) -> None:
        batch.run(query, columns=COLUMNS)

        assert names_of_documents(connected) == [["card.pdf"]]
