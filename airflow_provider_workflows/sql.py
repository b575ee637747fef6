"""Rows from a query: ``items=SqlQuery(...)``."""

from airflow_provider_workflows.batch.input.sql_query import SqlQuery

__all__ = ["SqlQuery"]
