"""Wait in the triggerer until a workflow has ended."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import InvalidInput, WorkflowsError
from airflow_provider_workflows.hooks.workflows import WorkflowsHook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class WorkflowStatusTrigger(BaseTrigger):
    """Ask for the status of a workflow until it is a success or failure status, or the deadline is reached.

    The event is ``{"status": ...}``, with ``"timed_out": True`` beside a pending one, or ``{"error": ...}``
    with the facts of the error.

    :param workflow_id: id of the workflow
    :param workflows_conn_id: id of the connection
    :param poke_interval: seconds between two looks
    :param deadline: when to stop, in seconds since the epoch; None for never
    """

    def __init__(
        self,
        workflow_id: str,
        workflows_conn_id: str = WorkflowsHook.default_conn_name,
        poke_interval: float = 60.0,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.workflow_id = workflow_id
        self.workflows_conn_id = workflows_conn_id
        self.poke_interval = poke_interval
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which Airflow stores in plain text: ids and numbers only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "workflow_id": self.workflow_id,
                "workflows_conn_id": self.workflows_conn_id,
                "poke_interval": self.poke_interval,
                "deadline": self.deadline,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the wait is over."""
        try:
            event = await self._wait()
        except WorkflowsError as error:
            event = {"error": error.facts()}
        except AirflowNotFoundException as error:
            event = {"error": InvalidInput(str(error)).facts()}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        async with await WorkflowsHook(self.workflows_conn_id).aget_conn() as client:
            while True:
                # The task looked before it deferred, so the first thing to do is to wait.
                await asyncio.sleep(min(self.poke_interval, self._seconds_left()))
                status = (await client.read_workflow(self.workflow_id)).status
                if client.settings.statuses.outcome(status) is not Outcome.PENDING:
                    return {"status": status}
                if self._seconds_left() <= 0:
                    return {"status": status, "timed_out": True}

    def _seconds_left(self) -> float:
        return float("inf") if self.deadline is None else max(0.0, self.deadline - time.time())
