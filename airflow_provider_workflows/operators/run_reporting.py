"""Write the report of a task's single run to its XCom, as the run begins and ends."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.errors import workflows_error_in
from airflow_provider_workflows.run_report import REPORT_SECONDS, RunOutcome
from airflow_provider_workflows.xcom_keys import REPORT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Context

    from airflow_provider_workflows.run_report import RunReport


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

    @property
    def is_due(self) -> bool:
        """Whether a report of a run that goes on is due: at first, and then every ten minutes."""
        return time.time() - self._written_at >= REPORT_SECONDS

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

    def polled(self, event: Mapping[str, Any]) -> None:
        """Take note of the polls of a wait that has ended.

        :param event: the event of the wait
        """
        self.report = dataclasses.replace(
            self.report,
            polls=int(event.get("polls", 0)),
            last_poll_at=event.get("last_poll_at"),
            status=event.get("status") if event.get("polls", 1) else None,
        )

    def succeeded(self, status: str) -> None:
        """Report that the run has succeeded.

        :param status: the status in which it has ended
        """
        self.write(outcome=RunOutcome.SUCCEEDED, status=status, ended_at=time.time(), next_poll_at=None)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Report what fails within the block, and raise it again."""
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException as failure:
            if (error := workflows_error_in(failure)) is not None:
                self.report = self.report.failed(error, time.time())
                self.write()
            raise
