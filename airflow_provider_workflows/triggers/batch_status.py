"""Wait in the triggerer until all runs of a batch have ended."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.airflow_internals.deferral import earliest_event
from airflow_provider_workflows.api.polling import PollSchedule
from airflow_provider_workflows.batch.output_options import DEFAULT_OUTPUT, OutputOptions
from airflow_provider_workflows.batch.watch import BatchWatch, unreadable_state
from airflow_provider_workflows.storage import AZURE_HTTP_LOG, ObjectStoragePath
from airflow_provider_workflows.triggers.base import WaitTrigger
from airflow_provider_workflows.triggers.poller import Poller
from airflow_provider_workflows.xcom_keys import REPORT_KEY

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.batch import Batch
    from airflow_provider_workflows.batch.report import BatchReport


@dataclass(kw_only=True, eq=False, repr=False)
class BatchStatusTrigger(WaitTrigger):
    """Wait until every run of a batch has ended, or the deadline is reached.

    One trigger waits for all runs, whatever their number. Its arguments refer to the batch's state, from which the
    ids of the runs are read, and to which what has ended is written. The event is
    ``{"ended": ..., "running": ..., "timed_out": ...}``, or ``{"error": ...}`` with the error as JSON.

    :param folder: URI of the folder in which the batch keeps its state
    :param counts: rows by outcome, for those rows that have no run to wait for
    :param output_delimiter: what stands between two cells of the list of rows with something wrong
    :param output_mode: mode of that list, where it is local
    :param slows_down: whether a run with an expiry is polled less often from its second day on

    The other arguments are those of ``WaitTrigger``.
    """

    folder: str
    counts: dict[str, int] = field(default_factory=dict)
    output_delimiter: str = DEFAULT_OUTPUT.delimiter
    output_mode: int = DEFAULT_OUTPUT.mode
    slows_down: bool = False

    @classmethod
    def for_task(
        cls,
        batch: Batch,
        workflows_conn_id: str,
        schedule: PollSchedule,
        max_outage: float,
        deadline: float | None,
        *,
        webhooks: bool = False,
    ) -> BatchStatusTrigger:
        """Return the trigger of a task that defers now.

        :param batch: the batch that was submitted
        :param workflows_conn_id: id of the connection
        :param schedule: when each run is polled
        :param max_outage: seconds for which polls of a run may fail before the wait for it ends
        :param deadline: when to stop, in seconds since the epoch; None for never
        :param webhooks: whether webhooks say when a run has ended
        """
        return cls(
            folder=str(batch.state_folder),
            workflows_conn_id=workflows_conn_id,
            counts=batch.others,
            output_delimiter=batch.output_options.delimiter,
            output_mode=batch.output_options.mode,
            deadline=deadline,
            not_before=earliest_event(time.time()),
            poll_interval=schedule.poll_interval,
            max_poll_interval=schedule.max_poll_interval,
            slows_down=schedule.slows_down,
            max_outage=max_outage,
            webhooks=webhooks,
        )

    @property
    def awaited(self) -> str:
        """The batch, by where its state is."""
        return f"the batch whose state is in {self.folder}"

    async def wait(self) -> dict[str, Any]:
        """Return the event that ends the wait for the batch."""
        try:
            # A path that names a connection reads it, which blocks.
            return await self._watch(await asyncio.to_thread(ObjectStoragePath, self.folder))
        except Exception as error:
            self.log.exception(
                "The wait for %s has failed; a retry of the task goes on from there.", self.awaited
            )
            return {"error": unreadable_state(self.folder, error).to_json()}

    async def _watch(self, folder: ObjectStoragePath) -> dict[str, Any]:
        watch = BatchWatch(
            folder,
            Poller.of(self.workflows_conn_id),
            counts=self.counts,
            deadline=self.deadline,
            schedule=PollSchedule(self.poll_interval, self.max_poll_interval, slows_down=self.slows_down),
            max_outage=self.max_outage,
            publish=self._publish,
            log=self.log,
            output_options=OutputOptions(delimiter=self.output_delimiter, mode=self.output_mode),
            inbox=self._read_inbox if self.webhooks and self.has_task else None,
        )
        with AZURE_HTTP_LOG.quiet():
            return await watch.run()

    async def _publish(self, report: BatchReport) -> None:
        if self.has_task:
            await xcom.write_in_trigger(REPORT_KEY, report.to_json(), self.task_instance)

    async def _read_inbox(self, key: str) -> object:
        return await xcom.read_from_database(key, self.task_instance)
