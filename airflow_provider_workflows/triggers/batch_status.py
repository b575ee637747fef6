"""Wait in the triggerer until all runs of a batch have ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_workflows.airflow_internals import xcom
from airflow_provider_workflows.airflow_internals.deferral import hold_back_until
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.polling import (
    MAX_OUTAGE_SECONDS,
    MAX_POLL_INTERVAL_SECONDS,
    POLL_INTERVAL_SECONDS,
    PollSchedule,
)
from airflow_provider_workflows.batch.watch import BatchWatch
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.triggers.poller import Poller
from airflow_provider_workflows.xcom_keys import INBOX_KEY, PROGRESS_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class BatchStatusTrigger(BaseTrigger):
    """Wait until every run of a batch has ended, or the deadline is reached.

    One trigger waits for all runs, whatever their number. What it is stored with is a reference: the ids of the
    runs are read from the batch's state, and what has ended is written there. The event is
    ``{"ended": ..., "running": ..., "timed_out": ...}``, or ``{"error": ...}`` with the progress of the error.

    :param folder: URI of the folder in which the batch keeps its state
    :param workflows_conn_id: id of the connection
    :param counts: rows by outcome that there is nothing to wait for
    :param deadline: when to stop, in seconds since the epoch; None for never
    :param not_before: when to fire at the earliest, in seconds since the epoch; None for at once
    :param poll_interval: seconds between two polls a run at least
    :param max_poll_interval: seconds between two polls a run at most
    :param max_outage: seconds for which failing polls a run are borne
    :param webhooks: whether the service tells when a run has ended
    """

    def __init__(
        self,
        folder: str,
        workflows_conn_id: str = WorkflowsHook.default_conn_name,
        *,
        counts: Mapping[str, int] | None = None,
        deadline: float | None = None,
        not_before: float | None = None,
        poll_interval: float = POLL_INTERVAL_SECONDS,
        max_poll_interval: float = MAX_POLL_INTERVAL_SECONDS,
        max_outage: float = MAX_OUTAGE_SECONDS,
        webhooks: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = folder
        self.workflows_conn_id = workflows_conn_id
        self.counts = dict(counts or {})
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.max_outage = max_outage
        self.webhooks = webhooks

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which Airflow stores in plain text: a reference and numbers."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "folder": self.folder,
                "workflows_conn_id": self.workflows_conn_id,
                "counts": self.counts,
                "deadline": self.deadline,
                "not_before": self.not_before,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
                "max_outage": self.max_outage,
                "webhooks": self.webhooks,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the wait is over."""
        try:
            # A path that names a connection looks it up.
            folder = await asyncio.to_thread(ObjectStoragePath, self.folder)
            watch = BatchWatch(
                folder,
                Poller.of(self.workflows_conn_id),
                counts=self.counts,
                deadline=self.deadline,
                schedule=PollSchedule(self.poll_interval, self.max_poll_interval),
                max_outage=self.max_outage,
                publish=self._publish,
                log=self.log,
                inbox=self._inbox if self.webhooks and self.task_instance is not None else None,
            )
            event = await watch.run()
        except Exception as error:
            self.log.exception("The wait for the batch has failed.")
            event = {"error": unreadable(self.folder, error).to_json()}
        # Under ``dag.test()`` there is no task instance, and no scheduler that could be too slow.
        if self.task_instance is not None:
            await hold_back_until(self.not_before)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _publish(self, progress: dict[str, Any]) -> None:
        if self.task_instance is not None:
            await xcom.write_in_trigger(PROGRESS_KEY, progress, self.task_instance)

    async def _inbox(self) -> object:
        return await xcom.read_in_trigger(INBOX_KEY, self.task_instance)

    async def on_kill(self) -> None:
        """Say in the task's log what becomes of the runs; Airflow calls this not only when a task is killed."""
        self.log.warning(
            "The wait for the batch ended here: its task was ended, cleared, or is waited for elsewhere. "
            "The runs themselves go on, for the API has no call that cancels them. What is known of them is in %s.",
            self.folder,
        )


def unreadable(folder: str, error: Exception) -> errors.WorkflowsError:
    """Return what to say when the batch's state could not be read or written where its runs are waited for."""
    return errors.WorkflowsError(
        f"The batch's state in {folder} could not be read or written: {type(error).__name__}. "
        "The output must be in storage that workers and triggerers share. A retry goes on from there."
    )
