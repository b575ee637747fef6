"""What the event that ends a wait means for the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.expiry import EXPIRED_ADVICE
from airflow_provider_workflows.api.status import EXPIRED_STATUS, Outcome, Statuses


def success(event: Mapping[str, Any], workflow_id: str, statuses: Statuses) -> str:
    """Return the status that ended a wait, if it means success.

    :param event: the event of the wait
    :raises WorkflowFailed: for a failure status
    :raises DeadlineReached: when the wait ended before the workflow
    :raises WorkflowsError: the one that ended the wait
    """
    if "error" in event:
        raise errors.error_from_json(event["error"])
    status: str = event["status"]
    if event.get("timed_out"):
        raise errors.DeadlineReached(
            f"The wait for workflow {workflow_id} has timed out, its status is {status}. The workflow itself "
            "goes on, for the API has no call that cancels it.",
            workflow_status=status,
        )
    if statuses.outcome(status) is Outcome.FAILURE and status == EXPIRED_STATUS:
        raise errors.WorkflowFailed(
            f"Workflow {workflow_id} has expired (status {status}) before it was completed. {EXPIRED_ADVICE}",
            workflow_status=status,
        )
    if statuses.outcome(status) is Outcome.FAILURE:
        raise errors.WorkflowFailed(
            f"Workflow {workflow_id} ended in the failure status {status}.", workflow_status=status
        )
    return status
