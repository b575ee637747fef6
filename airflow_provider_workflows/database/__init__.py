"""Databases behind Airflow's SQL hooks: rows of a query, and tables that rows go into."""
