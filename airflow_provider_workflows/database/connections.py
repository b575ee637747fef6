"""Connections to databases, by the hook of Airflow's ``common.sql`` that an Airflow connection has."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowNotFoundException
from airflow_provider_workflows.api.errors import InvalidInput, WorkflowsError
from airflow_provider_workflows.database.failures import database_failure

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


def database_hook(argument: str, conn_id: str) -> DbApiHook:
    """Return the hook of a connection to a database.

    :param argument: name of the argument that asks for it, for the errors
    :param conn_id: id of the connection
    :raises InvalidInput: if there is no such connection, or it leads to no database
    """
    from airflow.sdk import BaseHook  # noqa: PLC0415  (not while parsing)

    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InvalidInput(
            f"{argument} asks for a database, which needs Airflow's provider for SQL: "
            "pip install 'airflow-provider-workflows[sql]'"
        ) from None
    problem = ""
    try:
        hook = BaseHook.get_hook(conn_id)
    except AirflowNotFoundException:
        problem = f"there is no connection {conn_id!r}"
    except ImportError:
        problem = f"the provider of connection {conn_id!r} is not installed"
    except Exception as error:  # noqa: BLE001  (Airflow's own text may hold the connection's URI)
        problem = f"the hook of connection {conn_id!r} cannot be made ({type(error).__name__})"
    if problem:
        raise InvalidInput(f"{argument}: {problem}")
    if not isinstance(hook, DbApiHook) and hook.conn_type == "databricks":
        # A connection of that type leads to the hook of jobs; that of SQL takes the same connection.
        module = import_module("airflow.providers.databricks.hooks.databricks_sql")
        hook = module.DatabricksSqlHook(conn_id)
    if not isinstance(hook, DbApiHook):
        raise InvalidInput(
            f"{argument}: connection {conn_id!r} leads to no database, but to {hook.conn_type!r}; give one whose "
            "hook is a DbApiHook"
        )
    return hook


def _open(hook: DbApiHook) -> Any:
    if hook.conn_type == "gcpbigquery":
        # The hook's own cursor takes no values by position, writes values into the statement's text, which BigQuery
        # keeps, and speaks legacy SQL unless the connection says otherwise. Google's own binds them.
        client = hook.get_client(project_id=hook.project_id, location=hook.location)
        return import_module("google.cloud.bigquery.dbapi").connect(client, prefer_bqstorage_client=False)
    # The hook of Databricks keeps its connection, and gives it again when it is closed.
    return copy.copy(hook).get_conn()


@contextlib.contextmanager
def connected(argument: str, hook: DbApiHook) -> Iterator[Any]:
    """Yield a connection of DB-API in a transaction, which is rolled back unless the block commits it.

    :param argument: name of the argument that asks for it, for the errors
    :param hook: what ``database_hook`` returned
    :raises InvalidInput: where the database refuses what it is asked, and would again
    :raises DatabaseFailed: where it cannot be reached, or anything else goes wrong in the block, which says by
        ``not_of_the_database`` what is not the database's
    """
    failure: WorkflowsError | None = None
    connection: Any = None
    try:
        try:
            connection = _open(hook)
            if hook.supports_autocommit:
                hook.set_autocommit(connection, False)
            yield connection
        finally:
            if connection is not None:
                # A connection that is broken cannot be closed either; what went wrong first says more.
                with contextlib.suppress(Exception):
                    connection.rollback()
                with contextlib.suppress(Exception):
                    connection.close()
    except WorkflowsError:
        raise
    except Exception as error:  # noqa: BLE001  (each driver has its own)
        failure = database_failure(argument, hook.get_conn_id(), error)
    if failure is not None:
        # The driver's error, which repeats values of rows, must not show beside ours.
        raise failure from None
