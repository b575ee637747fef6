"""How a batch's task waits for its runs, in the triggerer or in the worker, and goes on after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.api.errors import error_from_json
from airflow_provider_workflows.operators.batch_ending import BatchEnding
from airflow_provider_workflows.operators.batch_reporting import publisher
from airflow_provider_workflows.xcom_keys import AWAITED_RUNS_KEY, INBOX_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_provider_workflows.batch.batch import Batch


class BatchWaiting(BatchEnding):
    """What ``RunWorkflowBatchOperator`` does while its runs are under way."""

    def _defer(self, context: Context, batch: Batch, deadline: float | None, *, webhooks: bool) -> NoReturn:
        from airflow_provider_workflows.batch.inbox import InboxSegment  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger  # noqa: PLC0415  (not while parsing)

        if webhooks:
            xcom.write_to_database(AWAITED_RUNS_KEY, batch.awaited.to_json(), context["ti"])
            # Airflow logs an error whenever an XCom is read that is not there.
            xcom.write_to_database(INBOX_KEY, InboxSegment().to_json(), context["ti"])
        self._report_wait(context, batch, webhooks=webhooks)
        trigger = BatchStatusTrigger.for_task(
            batch, self.workflows_conn_id, self._schedule, self.max_outage, deadline, webhooks=webhooks
        )
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__, kwargs=self.resume_arguments)

    @property
    def resume_arguments(self) -> dict[str, Any]:
        """What the resumed task is told beside the event; Airflow stores it as plain text."""
        return {}

    async def _wait(self, context: Context, batch: Batch, deadline: float | None) -> bool:
        from airflow_provider_workflows.triggers.poller import Poller  # noqa: PLC0415  (not while parsing)

        return await batch.wait(
            Poller.of(self.workflows_conn_id),
            schedule=self._schedule,
            max_outage=self.max_outage,
            deadline=deadline,
            publish=publisher(context),
            log=self.log,
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Collect and judge after the wait in the triggerer, or raise the error that ended it."""
        with self._failure_reported(context):
            return self._complete(context, event)

    def _complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        self.lineage = self._lineage()
        with self._owned(context):
            record = self._tries(context).record()
            self._note_stop(record)
            batch = self._batch(record)
            if "error" in event:
                with self._output_at_failure(context, batch, record):
                    raise error_from_json(event["error"])
            timed_out = bool(event.get("timed_out"))
            return self._collect_and_judge(context, batch, record, timed_out=timed_out)
