"""What people and scripts ask of batches and connections on the command line: ``airflow workflows``."""
