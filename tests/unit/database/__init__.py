"""Rows out of a database, and results into one."""
