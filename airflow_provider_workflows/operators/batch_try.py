"""One try of a batch's task: its claim, its batch, its stop, and the output that it leaves if it fails."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowException, TaskDeferred
from airflow_provider_workflows.batch.input.sql_query import SqlQuery
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.submission_stop import SubmissionStop
from airflow_provider_workflows.hooks.workflows import shared_tokens
from airflow_provider_workflows.operators.batch_reporting import BatchReporting
from airflow_provider_workflows.storage import AZURE_HTTP_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_provider_workflows.api.errors import OutcomeUnknown
    from airflow_provider_workflows.batch.batch import Batch
    from airflow_provider_workflows.operators.batch_record import BatchRecord
    from airflow_provider_workflows.operators.batch_submission import BatchSubmission
    from airflow_provider_workflows.operators.instruction import Instructions

_TOLD_TO_STOP = "The task was told to stop"


class BatchTry(BatchReporting):
    """What ``RunWorkflowBatchOperator`` does around its batch, which each try makes anew."""

    #: Where the batch keeps its state, once there is one.
    _state_folder = ""
    #: What a person has asked for by a button; read by each process of a try.
    _instructions: Instructions | None = None
    _was_told_to_stop = False

    def execute(self, context: Context) -> Any:
        """Run the batch; a try that fails leaves a report in each case."""
        if isinstance(self.items, SqlQuery):
            # With the rows that an earlier run of the task in this process has read.
            self.items = self.items.copy()
        with self._failure_reported(context):
            return super().execute(context)

    def on_kill(self) -> None:
        """Let nothing new begin, and say in the task's log that the runs go on."""
        self._was_told_to_stop = True
        if self._ownership is not None:
            self._ownership.stop(_TOLD_TO_STOP)
        if self._state_folder:
            self.log.warning(
                "The task was told to stop: no new row begins, and calls under way are written down. The runs go "
                "on: the API has no call that cancels them. A retry or a clear goes on from the state in %s.",
                self._state_folder,
            )

    def unknown_outcome(self, error: OutcomeUnknown) -> Exception:
        """Return the error to fail with: one that is retried where a retry is to submit again."""
        if self.on_unknown_outcome == "resubmit":
            return AirflowException(str(error))
        return super().unknown_outcome(error)

    def _stop_at_timeout(self) -> None:
        if self._ownership is not None:
            self._ownership.stop("The task's execution_timeout has passed")

    @contextlib.contextmanager
    def _owned(self, context: Context) -> Iterator[None]:
        from airflow_provider_workflows.operators.batch_record import claim_records  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.operators.instruction import instructions_of  # noqa: PLC0415  (not while parsing)

        try_number, now = context["ti"].try_number, time.time()
        instructions = self._instructions = instructions_of(context, self.log)
        ownership = Ownership(
            claim_records(context),
            try_number=try_number,
            submission_stop=SubmissionStop(instructions.stop_asked_by, log=self.log),
            log=self.log,
        )
        self._ownership = ownership
        self._report = self._begun_report(try_number, now)
        # SIGTERM may have come before there was one.
        if self._was_told_to_stop:
            ownership.stop(_TOLD_TO_STOP)
        try:
            ownership.claim()
            with AZURE_HTTP_LOG.quiet(), self._failure_reported(context):
                yield
        finally:
            ownership.release()

    @contextlib.contextmanager
    def _output_at_failure(self, context: Context, batch: Batch, record: BatchRecord) -> Iterator[None]:
        """Write the output as far as it is known when a try fails: no retry may come.

        One with results that an earlier try has written stays: results are worth more than the latest state.
        """
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException as failure:
            from airflow_provider_workflows.batch.place import BatchFile  # noqa: PLC0415  (not while parsing)
            from airflow_provider_workflows.batch.report import ReportPhase  # noqa: PLC0415  (not while parsing)

            if self._ownership is None or self._ownership.may_write:
                try:
                    if record.has_results:
                        batch.report_at(ReportPhase.ENDED)
                    else:
                        asyncio.run(batch.write_output_so_far())
                        self._write_run_index(batch)
                    self._end_try(context, batch, record, failure)
                except Exception as error:  # noqa: BLE001  (the try's own error says more)
                    self.log.warning("The output could not be written: %s.", type(error).__name__)
                try:
                    BatchFile.note_end(batch.state_folder, time.time())
                except Exception as error:  # noqa: BLE001  (the command line alone reads it)
                    self.log.warning("The end of the try could not be written: %s.", type(error).__name__)
            raise

    def _write_run_index(self, batch: Batch) -> None:
        """Write the index by which the page Workflows finds a row; what fails is logged, and changes nothing."""
        from airflow_provider_workflows.batch.run_index import write_run_index  # noqa: PLC0415  (not while parsing)

        try:
            write_run_index(batch.place.folder, batch.ids, self.output_mode)
        except Exception as error:  # noqa: BLE001  (each kind of storage has its own)
            self.log.warning("The index of the batch's runs could not be written: %s.", type(error).__name__)

    def _tries(self, context: Context) -> BatchSubmission:
        from airflow_provider_workflows.batch.checked_input import check_input  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.operators.batch_submission import BatchSubmission  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.operators.instruction import instructions_of  # noqa: PLC0415  (not while parsing)

        self._rendered_partition_key()
        return BatchSubmission(
            context,
            self._output_folder(context),
            check=lambda place, salt: check_input(
                self.hook.settings, self._options(), place, self._items, salt=salt
            ),
            make_batch=self._batch,
            host=self.hook.settings.host,
            start_over=self.on_clear == "start_over",
            resubmit_failed=self.resubmit_failed,
            resubmit_unknown=self.on_unknown_outcome == "resubmit",
            instructions=self._instructions or instructions_of(context, self.log),
            log=self.log,
        )

    def _note_stop(self, record: BatchRecord) -> None:
        """Take note of a stop that was followed before, so that the log does not say again that it is there."""
        if self._ownership is not None and record.stopped_by is not None:
            self._ownership.submission_stop.was_followed()

    def _batch(self, record: BatchRecord) -> Batch:
        from airflow_provider_workflows.batch.batch import Batch  # noqa: PLC0415  (not while parsing)

        settings = self.hook.settings
        self._state_folder = str(record.place.state_folder)
        return Batch(
            settings,
            self._options(),
            record.place,
            record.manifest,
            tokens=shared_tokens(settings),
            ownership=self._ownership,
            read_settings=self.hook.read_settings,
            report=self._report
            and dataclasses.replace(self._report, begun_at=record.begun_at, stopped_by=record.stopped_by),
        )
