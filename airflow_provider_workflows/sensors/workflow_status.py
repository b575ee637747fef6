"""Wait until a workflow has ended."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import WorkflowFailed, WorkflowsError, from_facts
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context


class WorkflowStatusSensor(BaseSensorOperator):
    """Wait until a workflow has succeeded (``GET /workflows/{workflowId}``), and return its final status.

    A failure status fails the task at once and without a retry, since looking again would not change it
    (with ``soft_fail`` the task is skipped). Which statuses mean what is said by the connection. Return
    value, errors, ``timeout`` and ``soft_fail`` are the same whether it pokes, reschedules or defers.

    :param workflow_id: id of the workflow (templated)
    :param workflows_conn_id: id of the connection (templated)
    :param deferrable: wait in the triggerer, which takes no worker slot; the default is Airflow's setting
        ``[operators] default_deferrable``
    :param poke_interval: seconds between two looks
    :param timeout: seconds after which the wait fails (``AirflowSensorTimeout``)
    :raises AirflowFailException: naming the failure status
    :raises WorkflowsError: what went wrong with a look
    """

    template_fields: Sequence[str] = ("workflow_id", "workflows_conn_id")
    ui_color = "#e3edf7"

    def __init__(
        self,
        *,
        workflow_id: str,
        workflows_conn_id: str = WorkflowsHook.default_conn_name,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.workflows_conn_id = workflows_conn_id
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False)
            if deferrable is None
            else deferrable
        )

    @functools.cached_property
    def hook(self) -> WorkflowsHook:
        """The hook of the sensor's connection."""
        return WorkflowsHook(self.workflows_conn_id)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        """Look once; when the workflow has not ended and the sensor is deferrable, defer."""
        status = self.hook.get_conn().read_workflow(self.workflow_id).status
        ended = self._has_succeeded(status)
        if not ended and self.deferrable:
            self._defer(deadline=time.time() + self.timeout)
        return PokeReturnValue(is_done=ended, xcom_value=status)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> str:  # noqa: ARG002
        """Return the final status that the trigger saw, or raise what poking would have raised."""
        if "error" in event:
            raise from_facts(event["error"])
        status: str = event["status"]
        if event.get("timed_out"):
            raise AirflowSensorTimeout(
                f"Sensor has timed out; workflow {self.workflow_id} was {status} "
                f"after the specified timeout of {self.timeout} seconds."
            )
        self._has_succeeded(status)
        return status

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as the base class does, and honour ``never_fail`` for our own errors as poking does."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except WorkflowsError as error:
            if self.never_fail:
                raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
            raise

    def _defer(self, deadline: float) -> None:
        self.log.info("Workflow %s has not ended, waiting in the triggerer.", self.workflow_id)
        self.defer(
            trigger=WorkflowStatusTrigger(
                self.workflow_id, self.workflows_conn_id, self.poke_interval, deadline
            ),
            method_name=self.execute_complete.__name__,
        )

    def _has_succeeded(self, status: str) -> bool:
        outcome = self.hook.settings.statuses.outcome(status)
        if outcome is Outcome.FAILURE:
            failed = WorkflowFailed(
                f"Workflow {self.workflow_id} ended in the failure status {status}.", workflow_status=status
            )
            raise AirflowFailException(str(failed)) from failed
        self.log.info("Workflow %s: %s.", self.workflow_id, status)
        return outcome is Outcome.SUCCESS
