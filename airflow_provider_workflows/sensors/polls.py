"""The polls of a sensor, each by its connection as it is then."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.api.polling import (
    WARNING_INTERVAL_SECONDS,
    PollSchedule,
    reconnected,
    waiting_out,
)
from airflow_provider_workflows.api.retry import Retry
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.sensors.outage import failing_since

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator, Context

    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.counted_wait import CountedWait

    _Sensor = BaseSensorOperator
else:
    _Sensor = object


class SensorPolls(_Sensor):
    """What a sensor does to poll a run; to stand before ``BaseSensorOperator``."""

    # What the sensor sets.
    workflow_id: str
    workflows_conn_id: str
    deferrable: bool
    _schedule: PollSchedule

    _is_rejected = False
    _warning_due = float("-inf")

    @functools.cached_property
    def hook(self) -> WorkflowsHook:
        """The hook of the sensor's connection."""
        return WorkflowsHook(self.workflows_conn_id)

    def _poll_once(self, context: Context, wait: CountedWait) -> dict[str, object] | None:
        client = self._client()
        try:
            workflow = client.read_workflow(self.workflow_id)
        except WorkflowsError as error:
            now = time.time()
            if self.reschedule and not self.deferrable:
                interval = self._schedule.interval(now - wait.started, float("inf"), 0.0)
                wait.failing_since = failing_since(context, now, interval, self.log)
            self._is_rejected = error.retry is Retry.AFTER_NEW_CREDENTIALS
            event = wait.record_error(error, now)
            if event is not None:
                self.log.warning("%s", error)
            elif now >= self._warning_due:
                self._warning_due = now + WARNING_INTERVAL_SECONDS
                self.log.warning("%s", waiting_out(error, wait.outage_end))
            return event
        if workflow.status != wait.status:
            self.log.info("Workflow %s: %s.", self.workflow_id, workflow.status)
        return wait.record_workflow(workflow, client.settings.statuses, time.time())

    def _client(self) -> WorkflowsClient:
        """Return the client, for what the connection says by now if the key was rejected."""
        client = self.hook.get_conn()
        if self._is_rejected and not client.seconds_until_authorize():
            self._is_rejected = False
            client = reconnected(client, self.hook.reconnect)
        return client
