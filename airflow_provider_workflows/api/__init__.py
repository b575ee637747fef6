"""The Workflows API, without Airflow: usable and testable alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.api.status import Outcome, Statuses

if TYPE_CHECKING:
    from airflow_provider_workflows.api.async_client import AsyncWorkflowsClient
    from airflow_provider_workflows.api.client import WorkflowsClient

__all__ = ["AsyncWorkflowsClient", "Outcome", "Settings", "Statuses", "WorkflowsClient"]

#: Each client brings an HTTP library: requests, and aiohttp with 60 modules. Parsing a DAG needs neither.
_CLIENT_MODULES = {"AsyncWorkflowsClient": "async_client", "WorkflowsClient": "client"}


def __getattr__(name: str) -> object:
    if name in _CLIENT_MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_CLIENT_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
