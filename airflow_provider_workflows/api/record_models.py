"""The bodies of responses about the service's tables."""

from __future__ import annotations

from airflow_provider_workflows.api.models import KeptBody, ResponseId


class Record(KeptBody):
    """A record: free fields, and those of the service."""

    id: ResponseId
