"""What Airflow's API server runs when the service delivers a webhook."""
