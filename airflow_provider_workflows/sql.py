"""Rows from a query, and results into a table: ``items=SqlQuery(...)``, ``result_table=SqlTable(...)``."""

from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.sql_table import SqlTable

__all__ = ["SqlQuery", "SqlTable"]
