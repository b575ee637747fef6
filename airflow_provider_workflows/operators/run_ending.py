"""How the wait for a single run ends: what is stored, reported and emitted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowTaskTimeout
from airflow_provider_workflows.api.errors import DeadlineReached, WorkflowFailed
from airflow_provider_workflows.api.wait_end import success
from airflow_provider_workflows.lineage.events import emit
from airflow_provider_workflows.operators.run_record import RunPhase
from airflow_provider_workflows.operators.run_try import RunTry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context


class RunEnding(RunTry):
    """What ``RunWorkflowOperator`` does once its run has ended, or the wait for it has."""

    def _end(self, context: Context, workflow_id: str, event: Mapping[str, Any]) -> str:
        self.lineage = self._lineage(workflow_id, event.get("status"))
        if self._reporting is not None:
            self._reporting.polled(event)
        try:
            status = success(event, workflow_id, self.hook.settings.statuses)
        except WorkflowFailed as error:
            self._store_end(context, self._record(RunPhase.FAILED, workflow_id, error.workflow_status))
            raise
        except DeadlineReached as error:
            raise AirflowTaskTimeout(str(error)) from error
        self._store_end(context, self._record(RunPhase.SUCCEEDED, workflow_id, status))
        return self._succeed(context, workflow_id, status)

    def _succeed(self, context: Context, workflow_id: str, status: str) -> str:
        self.lineage = self._lineage(workflow_id, status)
        self.log.info("Workflow %s: %s.", workflow_id, status)
        if self._reporting is not None:
            self._reporting.succeeded(status)
        emit(self, context, self.lineage)
        return workflow_id
