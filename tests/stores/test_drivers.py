"""What statements become in the drivers of databases that cannot be run here: each value is bound with its type."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_provider_workflows.database.connections import database_hook
from airflow_provider_workflows.database.dialects import COLUMN_TYPES
from airflow_provider_workflows.database.table_statements import TableLayout
from airflow_provider_workflows.database.table_writer import TableWriter

LAYOUT = TableLayout(
    "kyc.results",
    "id",
    "batch_id",
    (("id", "key"), *((f"a_{kind}", kind) for kind in COLUMN_TYPES), ("batch_id", "key")),
)
NOW = dt.datetime(2026, 11, 28, tzinfo=dt.timezone.utc)
VALUES = ["k1", "Łódź '%s'", 7, 0.5, Decimal("1.5"), True, NOW, NOW.date(), "{}", "b1"]
NONE = ["k2", *[None] * len(COLUMN_TYPES), "b1"]


class TestBigQuery:
    TYPES = "STRING STRING INT64 FLOAT64 NUMERIC BOOL TIMESTAMP DATE STRING STRING"

    class Client:
        """Google's client, which keeps what it is asked to run."""

        def __init__(self) -> None:
            self.asked: list[tuple[str, Any]] = []

        def query_and_wait(self, query: str, *, job_config: Any, **_: Any) -> Any:
            self.asked.append((query, job_config.query_parameters))
            return SimpleNamespace(schema=(), total_rows=0, num_dml_affected_rows=0)

    class Hook(DbApiHook):
        """What Airflow's hook of BigQuery has beside its own cursor."""

        conn_name_attr = "conn_id"
        conn_type = "gcpbigquery"
        project_id, location = "p", "EU"

        def __init__(self, client: Any) -> None:
            super().__init__(conn_id="warehouse")
            self._client = client

        def get_client(self, project_id: str, location: str | None) -> Any:
            assert (project_id, location) == (self.project_id, self.location)
            return self._client

    @pytest.mark.parametrize("mode", ["merge", "append", "replace"])
    def test_each_value_is_bound_with_the_type_of_its_column(
        self, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("google.cloud.bigquery.dbapi")
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "gcpbigquery://")
        client = self.Client()

        TableWriter(self.Hook(client), LAYOUT, mode=mode, batch_id="b1").write([VALUES, NONE], lambda: None)

        (_, insert, move, _) = client.asked
        assert " ".join(each.type_ for each in insert[1]) == f"{self.TYPES} {self.TYPES}"
        assert [each.value for each in insert[1]] == [*VALUES, *NONE]
        assert insert[0].endswith(f"VALUES {', '.join(['(' + ', '.join('?' * len(VALUES)) + ')'] * 2)}")
        assert [(each.type_, each.value) for each in move[1]] == (
            [("STRING", "b1")] if mode == "append" else []
        )
        assert move[0].startswith("MERGE INTO `kyc`.`results`")


class TestDatabricks:
    def test_a_connection_leads_to_the_hook_of_sql(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = pytest.importorskip("airflow.providers.databricks.hooks.databricks_sql")
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "databricks://:token@host?http_path=%2Fsql%2F1")

        hook = database_hook("result_table", "warehouse")

        assert isinstance(hook, module.DatabricksSqlHook)
        assert hook.get_conn_id() == "warehouse"

    def test_a_connection_that_was_closed_is_not_given_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = pytest.importorskip("airflow.providers.databricks.hooks.databricks_sql")
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "databricks://:token@host?http_path=%2Fsql%2F1")
        opened: list[list[str]] = []

        def connect(*_: Any, **__: Any) -> Any:
            asked: list[str] = []
            opened.append(asked)

            def execute(statement: str, *_: Any) -> None:
                assert "closed" not in asked
                asked.append(statement.split(maxsplit=1)[0])

            cursor = SimpleNamespace(
                execute=execute, close=lambda: None, description=[("id",), ("batch_id",)]
            )
            return SimpleNamespace(
                cursor=lambda: cursor,
                commit=lambda: None,
                rollback=lambda: None,
                close=lambda: asked.append("closed"),
            )

        monkeypatch.setattr(module.sql, "connect", connect)
        layout = TableLayout("results", "id", "batch_id", (("id", "key"), ("batch_id", "key")))
        writer = TableWriter(database_hook("result_table", "warehouse"), layout, mode="append", batch_id="b1")

        writer.prepare(create=True)
        writer.write([["k1", "b1"]], lambda: None)

        assert opened == [["SELECT", "closed"], ["CREATE", "INSERT", "MERGE", "DROP", "closed"]]

    def test_its_driver_takes_values_by_position_and_knows_the_type_of_each(self) -> None:
        native = pytest.importorskip("databricks.sql.parameters.native")

        parameters = [native.dbsql_parameter_from_primitive(value) for value in [*VALUES, None]]

        names = " ".join(type(each).__name__.removesuffix("Parameter") for each in parameters)
        assert names == "String String Integer Double Decimal Boolean Timestamp Date String String Void"
