"""Since when the polls of a rescheduled sensor have failed: each is a process of its own, so a record says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.operators.records import FlatRecord, Records, TaskStateRecordStore
from airflow_provider_workflows.operators.state_store import has_state_store

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The key of the record in the task's state store.
OUTAGE_KEY = "workflow_status_outage"
#: How late Airflow may be with a poll that was rescheduled, in seconds.
RESCHEDULE_LAG_SECONDS = 60.0


@dataclass(frozen=True)
class OutageRecord(FlatRecord):
    """What a rescheduled sensor remembers of an outage, since each of its polls is a process of its own.

    :param since: when the first of its polls failed, in seconds since the epoch
    :param last_failure_at: when the latest poll failed, in seconds since the epoch
    :param try_number: the try of the task that they belong to
    """

    since: float
    last_failure_at: float
    try_number: int


def failing_since(context: Context, now: float, interval: float, log: Any) -> float:
    """Return since when polls have failed, over the processes of a rescheduled sensor; this one fails as well.

    :param context: the task's context
    :param now: seconds since the epoch
    :param interval: seconds between two polls, by the run's age
    :param log: the task's log
    """
    since, try_number = now, context["ti"].try_number
    try:
        if not has_state_store(context):
            return since
        records = Records(TaskStateRecordStore(context, OUTAGE_KEY), OutageRecord)
        record = records.read()
        # A poll that succeeds leaves the record as it is: it is of this outage if the poll before wrote it.
        if (
            record is not None
            and record.try_number == try_number
            and now - record.last_failure_at <= interval + RESCHEDULE_LAG_SECONDS
        ):
            since = record.since
        records.write(OutageRecord(since, now, try_number))
    except Exception:
        log.exception("The task's state store could not be used, so the outage is counted from this poll.")
    return since
