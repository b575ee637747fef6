"""One try of a batch's task: its claim, its batch, its stop, and the output that it leaves if it fails."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException, TaskDeferred

from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.batch.checked_input import check_input
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.hooks.workflows import shared_tokens
from airflow_provider_workflows.operators.batch_arguments import BatchArguments
from airflow_provider_workflows.operators.batch_record import BatchRecord, claim_records
from airflow_provider_workflows.operators.batch_submission import BatchSubmission
from airflow_provider_workflows.storage import AZURE_HTTP_LOG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_provider_workflows.api.errors import OutcomeUnknown

_TOLD_TO_STOP = "The task was told to stop"


class BatchTry(BatchArguments):
    """What ``RunWorkflowBatchOperator`` does around its batch, which each try makes anew."""

    #: Where the batch keeps its state, once there is one.
    _state_folder = ""
    #: Says whether this try may still act, once it has begun; each process of a try has its own.
    _ownership: Ownership | None = None
    _was_told_to_stop = False

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
        ownership = Ownership(claim_records(context), try_number=context["ti"].try_number, log=self.log)
        self._ownership = ownership
        # SIGTERM may have come before there was one.
        if self._was_told_to_stop:
            ownership.stop(_TOLD_TO_STOP)
        try:
            ownership.claim()
            with AZURE_HTTP_LOG.quiet():
                yield
        finally:
            ownership.release()

    @contextlib.contextmanager
    def _output_at_failure(self, batch: Batch, record: BatchRecord) -> Iterator[None]:
        """Write the output as far as it is known when a try fails: no retry may come.

        One with results that an earlier try has written stays: results are worth more than the latest state.
        """
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException:
            may_write = self._ownership is None or self._ownership.may_write
            if may_write and not record.has_results:
                try:
                    asyncio.run(batch.write_output_so_far())
                except Exception as error:  # noqa: BLE001  (the try's own error says more)
                    self.log.warning("The output could not be written: %s.", type(error).__name__)
            raise

    def _tries(self, context: Context) -> BatchSubmission:
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
            log=self.log,
        )

    def _batch(self, record: BatchRecord) -> Batch:
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
        )
