"""The assets of workflows, whose events are completions, results and batches.

``workflows://<host>/definitions/<workflow definition id>`` and ``workflows://<host>/completed``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import Asset

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.ids import require_id
from airflow_provider_workflows.api.settings import DEFAULT_HOST

if TYPE_CHECKING:
    from urllib.parse import SplitResult


def completed_uri(host: str) -> str:
    """Return the URI of the asset of all completions of a host.

    :param host: base URL of the service
    """
    return f"workflows://{urlsplit(host).netloc.lower()}/completed"


def definition_uri(host: str, workflow_definition_id: str) -> str:
    """Return the URI of the asset of one workflow definition.

    :param host: base URL of the service
    :param workflow_definition_id: id of the workflow definition
    """
    return f"workflows://{urlsplit(host).netloc.lower()}/definitions/{workflow_definition_id.lower()}"


def completed(host: str = DEFAULT_HOST) -> Asset:
    """Return the asset of all completions; webhooks add its events.

    Each event has the workflow's id as its partition key, and ``workflow_id``, ``case_id`` and ``status`` as its
    ``extra``: schedule a DAG on it with a ``PartitionedAssetTimetable``, which gives one run for each.

    :param host: base URL of the service, as the connection has it
    """
    return Asset(completed_uri(host))


def definition(workflow_definition_id: str, host: str = DEFAULT_HOST) -> Asset:
    """Return the asset of one workflow definition.

    Its events are of two kinds. Tasks that have waited for a run, fetched a result or run a batch make events
    without a partition key, for DAGs with ``schedule=[definition(...)]``; a batch has one when it is given one.
    Webhooks that name the definition add events as those of ``completed``, for a ``PartitionedAssetTimetable``.

    :param workflow_definition_id: id of the workflow definition
    :param host: base URL of the service, as the connection has it

    :raises InvalidInput: if the id is not a UUID
    """
    return Asset(definition_uri(host, require_id("workflow_definition_id", workflow_definition_id)))


def create_asset(*, host: str, workflow_definition_id: str, extra: dict[str, Any] | None = None) -> Asset:
    """Return the asset of one workflow definition, as Airflow's hook lineage asks for it (scheme ``workflows``).

    :param host: the service's host, with its port where that is not the default, or its base URL
    :raises InvalidInput: if the id is not a UUID
    """
    base_url = host if "://" in host else f"https://{host}"
    uri = definition_uri(base_url, require_id("workflow_definition_id", workflow_definition_id))
    return Asset(uri, extra=extra or {})


def normalized_uri(parts: SplitResult) -> SplitResult:
    """Return a URI of the scheme ``workflows`` in the one spelling that its events have.

    :raises ValueError: with the form of such URIs, if this is not one
    """
    kind, _, name = parts.path.strip("/").partition("/")
    if not parts.netloc or (kind, bool(name)) not in (("definitions", True), ("completed", False)):
        raise ValueError(
            "An asset of workflows is workflows://<host>/definitions/<workflow definition id> or "
            f"workflows://<host>/completed, and not {parts.geturl()}"
        )
    path = "/completed" if kind == "completed" else f"/definitions/{_definition_id(name)}"
    return parts._replace(netloc=parts.netloc.lower(), path=path, query="", fragment="")


def _definition_id(value: str) -> str:
    try:
        return require_id("workflow_definition_id", value).lower()
    except InvalidInput as error:
        raise ValueError(str(error)) from None
