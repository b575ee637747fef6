"""The tables that a task has read and written, as OpenLineage names them."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from airflow_provider_workflows.airflow_internals.openlineage import tables_in_sql
from airflow_provider_workflows.database.connections import database_hook

if TYPE_CHECKING:
    from openlineage.client.event_v2 import Dataset

log = logging.getLogger(__name__)

#: How drivers spell a bound value, which is no SQL.
_BOUND_VALUE = re.compile(r"%s|%\(\w+\)s|\?|(?<!:):[A-Za-z_]\w*")


def tables_read(conn_id: str, sql: str) -> list[Dataset]:
    """Return the datasets of the tables that a query reads; none where they cannot be told.

    :param conn_id: id of the connection to the database
    :param sql: the query
    """
    return _tables(conn_id, _BOUND_VALUE.sub("1", sql))[0]


def table_written(conn_id: str, table: str) -> list[Dataset]:
    """Return the dataset of a table that results were written into; none where it cannot be told.

    :param conn_id: id of the connection to the database
    :param table: its name, with its schema before a dot where that is not the connection's own
    """
    return _tables(conn_id, f"INSERT INTO {table} VALUES (1)")[1]  # noqa: S608  (it is only parsed)


def _tables(conn_id: str, sql: str) -> tuple[list[Dataset], list[Dataset]]:
    try:
        found = tables_in_sql(database_hook("lineage", conn_id), sql, conn_id)
    except Exception as error:  # noqa: BLE001  (lineage that lacks a table must not fail a task)
        log.warning(
            "The tables of connection %s cannot be told for lineage: %s.", conn_id, type(error).__name__
        )
        return [], []
    return ([], []) if found is None else (list(found.inputs), list(found.outputs))
