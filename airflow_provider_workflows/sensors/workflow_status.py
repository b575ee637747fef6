"""Wait until a workflow has ended."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_workflows import configuration
from airflow_provider_workflows.airflow_internals.deferral import (
    OwnPokeInterval,
    can_resume,
    first_reschedule,
)
from airflow_provider_workflows.airflow_internals.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow_provider_workflows.airflow_internals.rendering import RendersArguments
from airflow_provider_workflows.airflow_internals.retries import failing_for_good, with_default_policy
from airflow_provider_workflows.api.counted_wait import CountedWait
from airflow_provider_workflows.api.errors import DeadlineReached, WorkflowFailed, WorkflowsError
from airflow_provider_workflows.api.ids import is_id, require_id
from airflow_provider_workflows.api.polling import (
    PollSchedule,
)
from airflow_provider_workflows.api.wait_end import success
from airflow_provider_workflows.arguments import seconds, templated_text
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.links import WorkflowLink, set_link
from airflow_provider_workflows.operators.base import is_deferrable
from airflow_provider_workflows.operators.mapped_options import ChecksMappedOptions
from airflow_provider_workflows.operators.run_reporting import RunReporting
from airflow_provider_workflows.retry_policy import WorkflowsRetryPolicy, is_lasting
from airflow_provider_workflows.run_report import RunReport
from airflow_provider_workflows.sensors.polls import SensorPolls
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context
    from typing_extensions import Unpack

    from airflow_provider_workflows.operators.base import Text
    from airflow_provider_workflows.operators.task_arguments import SensorArguments

#: The shortest time between two polls of a rescheduled sensor: each starts a process, which costs more than a poll.
RESCHEDULE_INTERVAL_SECONDS = 60.0
#: The shortest fixed interval, for a ``poke_interval`` of 0.
_SHORTEST_INTERVAL_SECONDS = 0.05


class WorkflowStatusSensor(
    RendersArguments, OwnPokeInterval, ChecksMappedOptions, SensorPolls, BaseSensorOperator
):
    """Wait until a workflow has succeeded (``GET /workflows/{workflowId}``), and return its final status.

    A failure status fails the task at once and without a retry, since another poll would not change it (with
    ``soft_fail`` the task is skipped). The connection says which status means what. Return value, errors, link,
    ``timeout``, ``execution_timeout`` and ``soft_fail`` are the same whether it pokes, reschedules or defers.

    :param workflow_id: id of the workflow (templated)
    :param workflows_conn_id: id of the connection (templated)
    :param deferrable: wait in the triggerer, which takes no worker slot; the default is Airflow's setting
        ``[operators] default_deferrable``
    :param poll_interval: the shortest time between two polls, in seconds or as a timedelta; in between, a poll is
        due after a fifth of the time that was waited. The default is ``[workflows] poll_interval``, or 5 seconds,
        and at least 60 if the sensor reschedules
    :param max_poll_interval: the longest time between two polls, in seconds or as a timedelta; the default is
        ``[workflows] max_poll_interval``, or 300 seconds, and grows with a run that has an expiry from its second
        day on
    :param poke_interval: a fixed time between two polls in place of both, in seconds or as a timedelta
    :param max_outage: how long polls may fail (lost connections, 5xx, 429) before the task does, in seconds or as a
        timedelta; the default is ``[workflows] max_outage``, or 1800 seconds
    :param timeout: Airflow's: how long to wait at most (``AirflowSensorTimeout``). Without it and without an
        ``execution_timeout``, a run with an expiry is waited for until ten minutes after that, which may be 30 days
    :return: the final status
    :raises InvalidInput: if an argument cannot be right, before anything is sent
    :raises AirflowFailException: naming the failure status
    :raises WorkflowsError: what went wrong with a poll
    """

    template_fields: Sequence[str] = ("workflow_id", "workflows_conn_id")
    operator_extra_links = (WorkflowLink(),)
    ui_color = "#e3edf7"

    def __init__(
        self,
        *,
        workflow_id: Text,
        workflows_conn_id: str = WorkflowsHook.default_conn_name,
        deferrable: bool | None = None,
        poll_interval: float | timedelta | None = None,
        max_poll_interval: float | timedelta | None = None,
        poke_interval: float | timedelta | None = None,
        max_outage: float | timedelta | None = None,
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        arguments: dict[str, Any] = {**kwargs}
        with_default_policy(arguments, WorkflowsRetryPolicy())
        if poke_interval is not None:
            arguments["poke_interval"] = seconds("poke_interval", poke_interval)
        super().__init__(**arguments)
        self.require_rendering()
        self.workflow_id = templated_text("workflow_id", workflow_id)
        self.workflows_conn_id = templated_text("workflows_conn_id", workflows_conn_id)
        self.deferrable = is_deferrable(deferrable)
        self.max_poll_interval = seconds(
            "max_poll_interval", max_poll_interval, configuration.max_poll_interval
        )
        if poke_interval is not None:
            self.poll_interval = max(self.poke_interval, _SHORTEST_INTERVAL_SECONDS)
            self.max_poll_interval = self.poll_interval
        elif poll_interval is None:
            often = self.deferrable or not self.reschedule
            shortest = configuration.poll_interval()
            self.poll_interval = shortest if often else max(shortest, RESCHEDULE_INTERVAL_SECONDS)
        else:
            self.poll_interval = seconds("poll_interval", poll_interval)
        self.max_poll_interval = max(self.poll_interval, self.max_poll_interval)
        self.max_outage = seconds("max_outage", max_outage, configuration.max_outage)
        self._schedule = PollSchedule(
            self.poll_interval,
            self.max_poll_interval,
            slows_down=max_poll_interval is None and poke_interval is None,
        )
        self._follows_expiry = arguments.get("timeout") is None and self.execution_timeout is None
        self._wait: CountedWait | None = None
        #: When the next poll is due, in seconds since the epoch, once a poll has not ended the wait.
        self._next_poll_at: float | None = None
        self._reporting: RunReporting | None = None

    @property
    def map_index_name(self) -> str:
        """What a mapped task is called: by its workflow."""
        return f"workflow {self.workflow_id}"

    def execute(self, context: Context) -> Any:
        """Poll until the workflow has ended, as the base class does; raises as the class says."""
        with failing_for_good(is_lasting):
            return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; if the workflow has not ended and the sensor is deferrable, defer."""
        if self._reporting is None:
            self._reporting = RunReporting(context, self._begun_report(), self.log)
        with self._reporting.failures():
            return self._poke(context, self._reporting)

    def _poke(self, context: Context, reporting: RunReporting) -> PokeReturnValue:
        wait = self._wait = self._wait or self._begin(context)
        self._next_poll_at = None
        webhooks = self.deferrable and self.hook.settings.webhooks and can_resume()
        # With webhooks the trigger polls as soon as it may send an event, and a webhook brings the rest.
        event = None if webhooks else self._poll_once(context, wait)
        if wait.follows_expiry and wait.expires_at is not None:
            self.timeout = float("inf")
        reporting.report = dataclasses.replace(
            reporting.report, dashboard_url=self.hook.dashboard_url(wait.workflow_id)
        )
        if event is not None:
            polled = {"polls": wait.polls, "last_poll_at": wait.last_poll_at, "status": wait.status}
            reporting.polled(polled | wait.evidence_fields)
            return PokeReturnValue(is_done=True, xcom_value=self._success(event, reporting))
        from airflow_provider_workflows.triggers.workflow_status import (  # noqa: PLC0415  (not while parsing)
            WorkflowStatusTrigger,
        )

        trigger = WorkflowStatusTrigger.for_task(wait, self.workflows_conn_id, webhooks=webhooks)
        if not self.exponential_backoff:
            now = time.time()
            self._next_poll_at = trigger.not_before if webhooks else now + wait.pause(now)
        reporting.waits(wait, self._next_poll_at, submitted_at=wait.started, webhooks=webhooks)
        if self.deferrable:
            self.log.info(
                "Waiting for workflow %s in the triggerer. It needs a running triggerer (airflow triggerer).",
                self.workflow_id,
            )
            context["ti"].xcom_push(key=WORKFLOW_ID_KEY, value=wait.workflow_id.lower())
            self.defer(
                trigger=trigger,
                method_name=self.execute_complete.__name__,
            )
        return PokeReturnValue(is_done=False)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> str:
        """Return the final status that the trigger saw, or raise what poking would have raised."""
        reporting = self._reporting = RunReporting(context, self._begun_report(), self.log)
        reporting.polled(event)
        with reporting.failures():
            reporting.report = dataclasses.replace(
                reporting.report, dashboard_url=self.hook.dashboard_url(self.workflow_id)
            )
            return self._success(event, reporting)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as the base class does, and handle our errors and timeouts as poking handles them."""
        with failing_for_good(is_lasting):
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except AirflowTaskTimeout as error:
                if self.soft_fail or self.never_fail:
                    raise AirflowSkipException(f"Skipping: {error}") from error
                raise
            except WorkflowsError as error:
                if self.never_fail:
                    raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
                raise

    def on_kill(self) -> None:
        """Say in the task's log that the workflow goes on."""
        self.log.warning("Workflow %s goes on: the API has no call that cancels it.", self.workflow_id)

    def _begin(self, context: Context) -> CountedWait:
        workflow_id = require_id("workflow_id", self.workflow_id)
        started = time.time()
        under_way = False
        if self.reschedule and (first := first_reschedule(context)) is not None:
            started, under_way = first, True
        wait = CountedWait(
            workflow_id,
            started,
            started + min(self.timeout, self._execution_seconds),
            self._schedule,
            self.max_outage,
            under_way=under_way,
            follows_expiry=self._follows_expiry,
            # Each reschedule of this try has followed on a poll.
            polls=int(context.get("task_reschedule_count") or 0) if self.reschedule else 0,
        )
        set_link(context)
        return wait

    def _begun_report(self) -> RunReport:
        return RunReport(
            self.workflows_conn_id,
            time.time(),
            workflow_id=self.workflow_id if is_id(self.workflow_id) else None,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )

    def _success(self, event: Mapping[str, Any], reporting: RunReporting) -> str:
        try:
            status = success(event, self.workflow_id, self.hook.settings.statuses)
        except WorkflowFailed as error:
            raise AirflowFailException(str(error)) from error
        except DeadlineReached as error:
            # Airflow raises one error for a sensor's timeout and another for the task's execution_timeout.
            kind = AirflowTaskTimeout if self._execution_seconds < self.timeout else AirflowSensorTimeout
            raise kind(str(error)) from error
        reporting.succeeded(status)
        return status

    @property
    def _execution_seconds(self) -> float:
        timeout: timedelta | None = self.execution_timeout
        return float("inf") if timeout is None else timeout.total_seconds()

    def seconds_until_next_poke(self) -> float | None:
        """Return the seconds until the next poll, by the run's age."""
        if self._wait is None:
            return None
        now = time.time()
        return self._wait.pause(now) if self._next_poll_at is None else max(0.0, self._next_poll_at - now)
