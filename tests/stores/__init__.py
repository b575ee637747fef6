"""Batches on object stores: Airflow's providers and the stores' own libraries, against emulators."""
