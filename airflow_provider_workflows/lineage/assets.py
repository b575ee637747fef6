"""The assets that completions of workflows are events of."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.sdk import Asset

from airflow_provider_workflows.api.models import identifier
from airflow_provider_workflows.api.settings import DEFAULT_HOST


def completed_uri(host: str) -> str:
    """Return the URI of the asset that every completion of a host is an event of.

    :param host: base URL of the service
    """
    return f"workflows://{urlsplit(host).netloc}/completed"


def definition_uri(host: str, workflow_definition_id: str) -> str:
    """Return the URI of the asset that the completions of one workflow definition are events of."""
    return f"workflows://{urlsplit(host).netloc}/definitions/{workflow_definition_id}"


def completed(host: str = DEFAULT_HOST) -> Asset:
    """Return the asset of all completions, of which webhooks make events.

    Each event has the workflow's id as its partition key, and ``workflow_id``, ``case_id`` and ``status`` as its
    ``extra``: schedule a DAG on it with a ``PartitionedAssetTimetable``, which gives one run for each.

    :param host: base URL of the service, as the connection has it
    """
    return Asset(completed_uri(host))


def definition(workflow_definition_id: str, host: str = DEFAULT_HOST) -> Asset:
    """Return the asset of one workflow definition's completions; as ``completed``, where webhooks name it.

    :raises InvalidInput: when the id is none
    """
    return Asset(definition_uri(host, identifier("workflow_definition_id", workflow_definition_id).lower()))
