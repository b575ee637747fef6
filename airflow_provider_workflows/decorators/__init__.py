"""TaskFlow: ``@task.workflows_batch`` and ``@task.run_workflow``, and the same decorators for type checkers."""

from __future__ import annotations

from airflow_provider_workflows.decorators.run_workflow import run_workflow
from airflow_provider_workflows.decorators.workflows_batch import workflows_batch

__all__ = ["run_workflow", "workflows_batch"]
