"""Wait in the triggerer until a workflow has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_workflows.airflow_internals.deferral import earliest_event, hold_back_until
from airflow_provider_workflows.api.polling import (
    MAX_OUTAGE_SECONDS,
    MAX_POLL_INTERVAL_SECONDS,
    POLL_INTERVAL_SECONDS,
    PollSchedule,
    Wait,
)
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.triggers.poller import Poller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class WorkflowStatusTrigger(BaseTrigger):
    """Wait until the status of a workflow is a success or failure status, or the deadline is reached.

    The waiting is done by the process's one poller for the connection. The event is that of
    ``api.waiting.Wait`` with the ``workflow_id`` added.

    :param workflow_id: id of the workflow
    :param workflows_conn_id: id of the connection
    :param started: when the run began, in seconds since the epoch; None for now
    :param deadline: when to stop, in seconds since the epoch; None for never
    :param not_before: when to fire at the earliest, in seconds since the epoch; None for at once
    :param poll_interval: seconds between two looks at least
    :param max_poll_interval: seconds between two looks at most
    :param max_outage: seconds for which failing polls are borne
    :param webhooks: whether the service tells when the workflow has ended: then it is polled once the trigger
        may fire, and after that every ``max_poll_interval``, in case a webhook is lost
    """

    def __init__(
        self,
        workflow_id: str,
        workflows_conn_id: str = WorkflowsHook.default_conn_name,
        *,
        started: float | None = None,
        deadline: float | None = None,
        not_before: float | None = None,
        poll_interval: float = POLL_INTERVAL_SECONDS,
        max_poll_interval: float = MAX_POLL_INTERVAL_SECONDS,
        max_outage: float = MAX_OUTAGE_SECONDS,
        webhooks: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.workflow_id = workflow_id
        self.workflows_conn_id = workflows_conn_id
        self.started = started
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.max_outage = max_outage
        self.webhooks = webhooks

    @classmethod
    def for_task(cls, wait: Wait, workflows_conn_id: str, *, webhooks: bool = False) -> WorkflowStatusTrigger:
        """Return the trigger of a task that defers now, to go on with ``wait``."""
        return cls(
            wait.workflow_id,
            workflows_conn_id,
            started=wait.started,
            deadline=wait.deadline,
            not_before=earliest_event(time.time()),
            poll_interval=wait.schedule.poll_interval,
            max_poll_interval=wait.schedule.max_poll_interval,
            max_outage=wait.max_outage,
            webhooks=webhooks,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which Airflow stores in plain text: ids and numbers only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "workflow_id": self.workflow_id,
                "workflows_conn_id": self.workflows_conn_id,
                "started": self.started,
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
        # Under ``dag.test()`` there is no task instance, and nothing that a webhook could wake.
        told = self.webhooks and self.task_instance is not None
        wait = Wait(
            self.workflow_id,
            time.time() if self.started is None else self.started,
            self.deadline,
            PollSchedule(self.max_poll_interval if told else self.poll_interval, self.max_poll_interval),
            self.max_outage,
            first_poll=self.not_before if told else None,
        )
        event = await Poller.of(self.workflows_conn_id).wait(wait)
        # Under ``dag.test()`` there is no scheduler that could be too slow.
        if self.task_instance is not None:
            await hold_back_until(self.not_before)
        yield TriggerEvent({"workflow_id": self.workflow_id, **event})  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Say in the task's log what becomes of the workflow.

        Airflow calls this also when another triggerer has taken the trigger over or the task was cleared, so
        a cancel call, once the API has one, must first make sure that the task has ended.
        """
        self.log.warning(
            "The wait for workflow %s ended here: its task was woken by a webhook, ended, cleared, or is "
            "waited for elsewhere. The workflow itself goes on, for the API has no call that cancels it.",
            self.workflow_id,
        )
