"""What a try of a batch's task says of its batch: its reports, and the words for how it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import TaskDeferred
from airflow_provider_workflows.airflow_internals.supervisor import in_turn
from airflow_provider_workflows.airflow_internals.task_state import has_task_state_store, retries_left
from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput, workflows_error_in
from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.links import page_url
from airflow_provider_workflows.operators.batch_arguments import BatchArguments
from airflow_provider_workflows.run_report import failure_json
from airflow_provider_workflows.storage import shown
from airflow_provider_workflows.xcom_keys import REPORT_KEY, SUMMARY_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from airflow.sdk import Context

    from airflow_provider_workflows.batch.batch import Batch
    from airflow_provider_workflows.batch.ownership import Ownership
    from airflow_provider_workflows.batch.progress import Publish
    from airflow_provider_workflows.batch.report import BatchReport
    from airflow_provider_workflows.batch.reported_rows import ReportedRows
    from airflow_provider_workflows.batch.try_end import TryEnd
    from airflow_provider_workflows.operators.batch_record import BatchRecord


class BatchReporting(BatchArguments):
    """What ``RunWorkflowBatchOperator`` says of its batch, in the task's log and in XComs."""

    #: Says whether this try may still act, once it has begun; each process of a try has its own.
    _ownership: Ownership | None = None
    #: How the try has ended, once it has.
    try_end: TryEnd | None = None
    #: What there is to say of the batch, before its rows and its place are known.
    _report: BatchReport | None = None

    #: Whether the report of the try's failure is written.
    _has_reported_failure = False

    def _begun_report(self, try_number: int, at: float) -> BatchReport:
        from airflow_provider_workflows.batch.report import BatchReport  # noqa: PLC0415  (not while parsing)

        source = None
        with contextlib.suppress(InvalidInput):
            source = self._source
        timeout: timedelta | None = self.execution_timeout
        definition_id: object = self.workflow_definition_id
        return BatchReport.begun(
            # What stands in the place of an id by mistake may be personal.
            definition_id if isinstance(definition_id, str) and is_id(definition_id.strip()) else "",
            at,
            conn_id=self.workflows_conn_id,
            input=None if source is None else shown(source),
            owner={"try_number": try_number, "since": at},
            deadline=None if timeout is None else at + timeout.total_seconds(),
            try_number=try_number,
            resubmits_unknown=self.on_unknown_outcome == "resubmit",
        )

    def _report_wait(self, context: Context, batch: Batch, *, webhooks: bool) -> None:
        """Say that the batch waits in the triggerer: in the log, the task's XCom, and for the triggerer."""
        from airflow_provider_workflows.batch.progress import counts_in_words  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.batch.report import ReportPhase  # noqa: PLC0415  (not while parsing)

        report = dataclasses.replace(batch.report_at(ReportPhase.WAITING), webhooks=webhooks)
        try:
            report.write(batch.state_folder)
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a batch)
            self.log.warning("The batch's report could not be written: %s.", type(error).__name__)
        self._push(context, REPORT_KEY, report.to_json())
        self.log.info(
            "Waiting for %s in the triggerer: %s of %s ended; %s. It needs a running triggerer "
            "(airflow triggerer).",
            counted(batch.running, "run"),
            f"{report.done:,}",
            counted(report.rows, "row"),
            counts_in_words(report.outcomes),
        )

    @contextlib.contextmanager
    def _failure_reported(self, context: Context) -> Iterator[None]:
        """Report what fails within the block, unless the try has reported its end, or another has taken over.

        Airflow drops a task's XComs when another try begins: without a report its page would have neither rows
        nor buttons.
        """
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException as failure:
            may_write = self._ownership is None or self._ownership.may_write
            if self.try_end is None and not self._has_reported_failure and may_write:
                self._has_reported_failure = True
                try:
                    self._report_failure(context, failure)
                except Exception as error:  # noqa: BLE001  (the try's own error says more)
                    self.log.warning("The batch's report could not be made: %s.", type(error).__name__)
            raise

    def _report_failure(self, context: Context, failure: BaseException) -> None:
        # Here: few tries need it, and each file of a DAG is imported over and over.
        from airflow_provider_workflows.operators.unreported_try import (  # noqa: PLC0415
            report_without_rows,
            stored_record,
            stored_rows,
        )

        begun = self._report or self._begun_report(context["ti"].try_number, time.time())
        record = None
        with contextlib.suppress(InvalidInput):
            record = stored_record(context, self._output_folder(context), self.log)
        rows = None
        if record is not None:
            with contextlib.suppress(Exception):
                rows = stored_rows(
                    record,
                    begun,
                    statuses=self.hook.settings.statuses,
                    is_stopped=lambda: self._ownership is not None and not self._ownership.may_act,
                    output=self._output_options,
                )
        if rows is not None:
            self._say_end(context, rows, failure)
            return
        report = dataclasses.replace(report_without_rows(record, begun), error=failure_json(failure))
        self._push(context, REPORT_KEY, report.to_json())

    def _end_try(
        self, context: Context, batch: Batch, record: BatchRecord, failure: BaseException | None
    ) -> dict[str, Any]:
        """Say how the try has ended, in the log and in XComs, and return the summary.

        :param failure: what fails the task; None if it succeeds
        """
        from airflow_provider_workflows.batch.failure_policy import summarize  # noqa: PLC0415  (not while parsing)

        self._say_end(context, batch, failure)
        summary = summarize(
            batch.output, batch.report, record.manifest, seconds=time.time() - record.begun_at
        )
        if failure is not None:
            self._push(context, SUMMARY_KEY, summary)
        return summary

    def _say_end(self, context: Context, batch: ReportedRows, failure: BaseException | None) -> None:
        from airflow_provider_workflows.batch.try_end import TryEnd  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.clear_wording import ClearChoices  # noqa: PLC0415  (not while parsing)

        ti = context["ti"]
        error = workflows_error_in(failure)
        # The words of BatchFailed are those of the rows.
        if failure is not None and not isinstance(error, BatchFailed):
            batch.report = dataclasses.replace(batch.report, error=failure_json(failure))
        end = self.try_end = TryEnd(
            batch.report,
            self._failure_policy,
            batch.withheld,
            page_url(ti.dag_id, ti.run_id, ti.task_id, ti.map_index),
            retries_left(context),
            None if failure is None else error is None or error.is_retryable(),
            ClearChoices(has_task_state_store(), starts_over=self.on_clear == "start_over"),
            has_output=batch.has_output,
        )
        self.log.log(logging.WARNING if end.failed or failure is not None else logging.INFO, "%s", end)
        self._push(context, REPORT_KEY, batch.report.to_json())

    def _push(self, context: Context, key: str, value: Mapping[str, Any]) -> None:
        """Write an XCom that the batch goes on without."""
        try:
            with in_turn():
                context["ti"].xcom_push(key=key, value=value)
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a batch)
            self.log.warning("The XCom %s could not be written: %s.", key, type(error).__name__)


def publisher(context: Context) -> Publish:
    """Return what writes reports to a task's XCom, without blocking the event loop.

    :param context: the task's context
    """

    def push(report: BatchReport) -> None:
        with in_turn():
            context["ti"].xcom_push(REPORT_KEY, report.to_json())

    return lambda report: asyncio.to_thread(push, report)
