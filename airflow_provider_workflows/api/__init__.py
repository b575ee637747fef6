"""The Workflows API, without Airflow: usable and testable alone."""

from __future__ import annotations

from airflow_provider_workflows.api.client import AsyncWorkflowsClient, WorkflowsClient
from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.api.status import Outcome, Statuses

__all__ = ["AsyncWorkflowsClient", "Outcome", "Settings", "Statuses", "WorkflowsClient"]
