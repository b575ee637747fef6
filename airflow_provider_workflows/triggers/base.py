"""What the triggers have in common: the arguments of a wait, how Airflow stores them, and when an event is sent."""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_workflows import configuration
from airflow_provider_workflows.airflow_internals.deferral import hold_back_until
from airflow_provider_workflows.hooks.workflows import WorkflowsHook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable


@dataclass(kw_only=True, eq=False, repr=False)
class WaitTrigger(BaseTrigger):
    """Wait for something that runs in the service, then send one event.

    Airflow stores the arguments as plain text in its database, and makes the trigger anew from them: they are ids,
    numbers and bools.

    :param workflows_conn_id: id of the connection
    :param deadline: when to stop, in seconds since the epoch; None for never
    :param not_before: when to send the event at the earliest, in seconds since the epoch; None for at once. Airflow
        fails tasks that are resumed too early: ``airflow_internals/deferral.py`` says why
    :param poll_interval: seconds between two polls of a run at least
    :param max_poll_interval: seconds between two polls of a run at most
    :param max_outage: seconds for which polls of a run may fail before the wait for it ends
    :param webhooks: whether webhooks say when a run has ended; polls are then a safeguard

    The defaults of ``poll_interval``, ``max_poll_interval`` and ``max_outage`` are the options of those names in
    ``[workflows]`` of Airflow's configuration.
    """

    workflows_conn_id: str = WorkflowsHook.default_conn_name
    deadline: float | None = None
    not_before: float | None = None
    poll_interval: float = field(default_factory=configuration.poll_interval)
    max_poll_interval: float = field(default_factory=configuration.max_poll_interval)
    max_outage: float = field(default_factory=configuration.max_outage)
    webhooks: bool = False

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    @abc.abstractmethod
    def awaited(self) -> str:
        """What the trigger waits for, as a log line names it."""

    @abc.abstractmethod
    def wait(self) -> Awaitable[dict[str, Any]]:
        """Begin to wait, and return what gives the event that ends the wait, as JSON without personal data."""

    def wait_ended(self) -> None:
        """End what goes on beside the wait."""

    @property
    def event_fields(self) -> dict[str, Any]:
        """Fields of the event that say what was waited for."""
        return {}

    @property
    def has_task(self) -> bool:
        """Whether a task waits for the event: ``dag.test()`` runs triggers without one, and without a scheduler."""
        return self.task_instance is not None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which Airflow stores."""
        arguments = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the wait is over, and Airflow can take it."""
        try:
            event = await self.wait()
        finally:
            self.wait_ended()
        if self.has_task:
            await hold_back_until(self.not_before)
        yield TriggerEvent(self.event_fields | event)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Say in the task's log that what runs goes on.

        Airflow calls this also when a webhook has resumed the task, when another triggerer has taken the trigger
        over, and when the task was cleared, about a second after its new try began. A call that cancels, once the
        API has one, must first make sure that the task has ended.
        """
        self.log.warning(
            "The wait for %s ended in this triggerer: the task was resumed by a webhook, has ended, was cleared, "
            "or waits in another triggerer. What runs in the service goes on: the API has no call that cancels it.",
            self.awaited,
        )
