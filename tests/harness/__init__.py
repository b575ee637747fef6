"""What starts real Airflow, PostgreSQL and Redis for tests, demos and benchmarks, and removes them again."""
