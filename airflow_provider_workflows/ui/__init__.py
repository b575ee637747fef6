"""What Airflow's API server runs for people: the pages of tasks, the page Workflows, and their data."""
