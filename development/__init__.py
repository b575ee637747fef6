"""What the developers of this provider run: a local Airflow, the demo, an Airflow to click around in."""
