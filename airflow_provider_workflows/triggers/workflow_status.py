"""Wait in the triggerer until a workflow has ended."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.airflow_internals.deferral import bounded, earliest_event
from airflow_provider_workflows.api.counted_wait import CountedWait
from airflow_provider_workflows.api.polling import PollSchedule
from airflow_provider_workflows.api.retry import RateLimiter
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.log_throttle import utc_time
from airflow_provider_workflows.run_report import RunOutcome, RunReport, is_report_due
from airflow_provider_workflows.triggers.base import WaitTrigger
from airflow_provider_workflows.triggers.poller import Poller
from airflow_provider_workflows.xcom_keys import REPORT_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable

#: While a task waits, its log has a line once in this many seconds.
LINE_SECONDS = 600.0
#: All single runs that wait in a triggerer report this often in a second at most: each report is two requests to
#: Airflow's API server, and tens of thousands of tasks may wait.
MAX_REPORTS_PER_SECOND = 5.0
#: Runs that began together are polled together, so a report waits for its turn for this many seconds at most. One
#: that would wait longer is left out: a later poll is reported.
MAX_REPORT_DELAY_SECONDS = 10.0


@dataclass(kw_only=True, eq=False, repr=False)
class WorkflowStatusTrigger(WaitTrigger):
    """Wait until the status of a workflow is a success or failure status, or the deadline is reached.

    The process's one poller for the connection polls the workflow. The event is that of ``api.polling.Wait``, with
    the ``workflow_id`` added. With webhooks, the workflow is polled once the event may be sent, and after that
    every ``max_poll_interval``, in case a webhook is lost.

    :param workflow_id: id of the workflow
    :param started: when the run began, in seconds since the epoch; None for now
    :param case_id: id of the case that the run must be of; None if that is not known
    :param record_id: id of the record that the run must be about; None if that is not known
    :param polls: how often the task has polled the run before it deferred
    :param expires_at: when the run expires, in seconds since the epoch; None if that is not known
    :param follows_expiry: whether the deadline counts only as long as no expiry is known
    :param slows_down: whether a run with an expiry is polled less often from its second day on

    The other arguments are those of ``WaitTrigger``.
    """

    workflow_id: str
    started: float | None = None
    case_id: str | None = None
    record_id: str | None = None
    polls: int = 0
    expires_at: float | None = None
    follows_expiry: bool = False
    slows_down: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        #: The wait, once it has begun, and what says now and then that it goes on.
        self._wait: CountedWait | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        #: That of the task: what is logged in the poller's own goes to the triggerer's log.
        self._context: contextvars.Context | None = None
        #: When the run was reported last, in seconds since the epoch, and with which status.
        self._reported_at = float("-inf")
        self._reported_status: str | None = None
        self._has_reported = False

    @classmethod
    def for_task(
        cls, wait: CountedWait, workflows_conn_id: str, *, webhooks: bool = False
    ) -> WorkflowStatusTrigger:
        """Return the trigger of a task that defers now, to go on with a wait.

        :param wait: the wait that the task has begun
        :param workflows_conn_id: id of the connection
        :param webhooks: whether webhooks say when the workflow has ended
        """
        return cls(
            workflow_id=wait.workflow_id,
            workflows_conn_id=workflows_conn_id,
            started=wait.started,
            case_id=wait.case_id,
            record_id=wait.record_id,
            polls=wait.polls,
            expires_at=wait.expires_at,
            follows_expiry=wait.follows_expiry,
            slows_down=wait.schedule.slows_down,
            deadline=wait.deadline,
            not_before=earliest_event(time.time()),
            poll_interval=wait.schedule.poll_interval,
            max_poll_interval=wait.schedule.max_poll_interval,
            max_outage=wait.max_outage,
            webhooks=webhooks,
        )

    @property
    def awaited(self) -> str:
        """The workflow, by its id."""
        return f"workflow {self.workflow_id}"

    @property
    def event_fields(self) -> dict[str, Any]:
        """The workflow's id, how often it was polled, and what the polls have said of it beside its status."""
        wait = self._wait
        fields: dict[str, Any] = {"workflow_id": self.workflow_id, "started": self.started}
        if wait is not None:
            fields |= {"polls": wait.polls, "last_poll_at": wait.last_poll_at, **wait.evidence_fields}
        return fields

    # Not a coroutine around the poller's: thousands of tasks wait in a triggerer, and it would cost each 272 bytes.
    def wait(self) -> Awaitable[dict[str, Any]]:
        """Return what gives the event that ends the wait for the workflow."""
        # Without a task there is nothing that a webhook could resume.
        webhooks = self.webhooks and self.has_task
        first_poll = None
        if webhooks and self.not_before is not None:
            first_poll = bounded(self.not_before, time.time())
        wait = self._wait = CountedWait(
            self.workflow_id,
            time.time() if self.started is None else self.started,
            self.deadline,
            PollSchedule(
                self.max_poll_interval if webhooks else self.poll_interval,
                self.max_poll_interval,
                slows_down=self.slows_down,
            ),
            self.max_outage,
            first_poll=first_poll,
            case_id=self.case_id,
            record_id=self.record_id,
            polls=self.polls,
            expires_at=self.expires_at,
            follows_expiry=self.follows_expiry,
            on_poll=self._polled if self.has_task else None,
        )
        if not webhooks:
            # The task has reported as it deferred. With webhooks its first poll is the trigger's, and the next one
            # is minutes away.
            self._reported_at = time.time()
        self._context = contextvars.copy_context()
        self._timer = asyncio.get_running_loop().call_later(LINE_SECONDS, self._go_on)
        return Poller.of(self.workflows_conn_id).wait(wait)

    def wait_ended(self) -> None:
        """Say nothing more."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def _polled(self) -> None:
        """Report the run after a poll, if a report is due."""
        wait, now = self._wait, time.time()
        status = self._reported_status
        if wait is None or not is_report_due(wait, now, reported_at=self._reported_at, status=status):
            return
        loop = asyncio.get_running_loop()
        moment = loop.time()
        if _reports.ready_at(moment) > moment + MAX_REPORT_DELAY_SECONDS:
            return
        self._reported_at, self._reported_status = now, wait.status
        # Later also where it is its turn: the poller decides on the next poll after this one.
        loop.call_at(_reports.take_slot(moment), self._begin_report, wait, context=self._context)

    def _begin_report(self, wait: CountedWait) -> None:
        if self._is_over:
            return
        reporting = asyncio.get_running_loop().create_task(self._report(wait))
        _reporting.add(reporting)
        reporting.add_done_callback(_reporting.discard)

    def _go_on(self) -> None:
        """Say in the task's log that the wait goes on."""
        wait = self._wait
        if wait is None:
            return
        self._timer = asyncio.get_running_loop().call_later(LINE_SECONDS, self._go_on)
        due = Poller.of(self.workflows_conn_id).next_poll_of(self.workflow_id)
        self.log.info(
            "Workflow %s: %s after %s. Last poll: %s; next poll: %s.",
            self.workflow_id,
            wait.status,
            counted(wait.polls, "poll"),
            "none yet" if wait.last_poll_at is None else utc_time(wait.last_poll_at),
            "under way" if due is None else utc_time(due),
        )

    async def _report(self, wait: CountedWait) -> None:
        try:
            written = await xcom.read_in_trigger(REPORT_KEY, self.task_instance)
            if written is None or self._is_over:
                return
            begun = RunReport.from_json(written)
            if begun.outcome is not RunOutcome.RUNNING or begun.error is not None:
                # A webhook has resumed the task, which has reported its end.
                return
            if not self._has_reported:
                # Another triggerer may have polled before this one.
                wait.polls += max(0, begun.polls - self.polls)
                self._has_reported = True
            now = time.time()
            # Asked for together with the last poll: several may have passed while the report was read.
            due = Poller.of(self.workflows_conn_id).next_poll_of(self.workflow_id)
            report = dataclasses.replace(
                begun.with_evidence(wait.evidence_fields),
                status=wait.status,
                polls=wait.polls,
                last_poll_at=wait.last_poll_at,
                next_poll_at=now if due is None else due,
                max_poll_interval=wait.longest_interval(now),
                expires_at=wait.expires_at,
                webhooks=self.webhooks,
                at=now,
            )
            await xcom.write_in_trigger(REPORT_KEY, report.to_json(), self.task_instance)
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a wait)
            self.log.warning("The XCom %s could not be written: %s.", REPORT_KEY, type(error).__name__)


_reports = RateLimiter(MAX_REPORTS_PER_SECOND)
_reporting: set[asyncio.Task[None]] = set()
