"""Write the report of a task's single run to its XCom, as the run begins and ends."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import TaskDeferred
from airflow_provider_workflows.run_report import RunOutcome, RunReport, is_report_due
from airflow_provider_workflows.xcom_keys import REPORT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import Context

    from airflow_provider_workflows.api.counted_wait import CountedWait


class RunReporting:
    """Keeps the report of a run. The task goes on without it.

    :param context: the task's context
    :param report: what there is to say at first
    :param log: the task's log
    """

    def __init__(self, context: Context, report: RunReport, log: Any) -> None:
        self._ti = context["ti"]
        self.report = dataclasses.replace(report, try_number=self._ti.try_number)
        self._log = log
        self._written_at = 0.0

    def write(self, **changes: Any) -> None:
        """Write the report.

        :param changes: the fields that have changed
        """
        self._written_at = time.time()
        self.report = dataclasses.replace(self.report, at=self._written_at, **changes)
        try:
            self._ti.xcom_push(key=REPORT_KEY, value=self.report.to_json())
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a task)
            self._log.warning("The XCom %s could not be written: %s.", REPORT_KEY, type(error).__name__)

    def waits(self, wait: CountedWait, next_poll_at: float | None, **changes: Any) -> None:
        """Report a run that goes on after a poll, if a report is due.

        :param wait: the wait for it
        :param next_poll_at: when the next poll is due, in seconds since the epoch; None if that is not known
        :param changes: other fields that have changed
        """
        now = time.time()
        if is_report_due(wait, now, reported_at=self._written_at, status=self.report.status):
            self.report = self.report.with_evidence(wait.evidence_fields)
            self.write(
                status=wait.status if wait.polls else None,
                polls=wait.polls,
                last_poll_at=wait.last_poll_at,
                next_poll_at=next_poll_at,
                max_poll_interval=wait.longest_interval(now),
                expires_at=wait.expires_at,
                error=None,
                **changes,
            )

    def sleeping(self, wait: CountedWait, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """Return what sleeps between two polls, and reports the run before it does.

        :param wait: the wait for the run
        :param sleep: sleeps for a number of seconds
        """

        def report_and_sleep(seconds: float) -> None:
            self.waits(wait, time.time() + seconds)
            sleep(seconds)

        return report_and_sleep

    def reported_before(self) -> RunReport | None:
        """Return what was reported before a webhook has resumed the task; None if that cannot be read.

        Airflow drops a task's XComs when a try begins, and not when it is resumed.
        """
        with contextlib.suppress(Exception):
            ti = self._ti
            map_index = -1 if ti.map_index is None else ti.map_index
            written = ti.xcom_pull(task_ids=ti.task_id, key=REPORT_KEY, map_indexes=map_index)
            return RunReport.from_json(written)
        return None

    def polled(self, event: Mapping[str, Any]) -> None:
        """Take note of the polls of a wait that has ended, and of what they have said of the run.

        :param event: the event of the wait; that of a webhook does not have polls, so what was reported counts
        """
        polls, last_poll_at = event.get("polls"), event.get("last_poll_at")
        if polls is None and (before := self.reported_before()) is not None:
            polls, last_poll_at = before.polls, before.last_poll_at
            self.report = dataclasses.replace(self.report, submitted_at=before.submitted_at)
        self.report = dataclasses.replace(
            self.report.with_evidence(event),
            polls=int(polls or 0),
            last_poll_at=last_poll_at,
            status=event.get("status") if event.get("polls", 1) else None,
        )

    def succeeded(self, status: str) -> None:
        """Report that the run has succeeded.

        :param status: the status in which it has ended
        """
        now = time.time()
        self.write(outcome=RunOutcome.SUCCEEDED, status=status, ended_at=now, next_poll_at=None, error=None)

    @contextlib.contextmanager
    def failures(self, may_have_started: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Report what fails within the block, and raise it again.

        :param may_have_started: returns whether a run may have been started whose id is not known
        """
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException as failure:
            failed_at = time.time()
            self.report = self.report.failed(failure, failed_at, may_have_started=may_have_started())
            self.write()
            raise
