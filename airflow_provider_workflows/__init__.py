"""Apache Airflow provider for TransactionLink's Workflows API."""

__version__ = "0.1.0"
