"""What a batch needs of the process's poller, whichever that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from airflow_provider_workflows.api import Statuses
from airflow_provider_workflows.api.polling import Wait

Event = dict[str, object]


class Waiter(Protocol):
    """One run that a poller polls."""

    @property
    def wait(self) -> Wait:
        """The wait that the poller was given."""


WaiterT = TypeVar("WaiterT", bound=Waiter)


class RunPoller(Protocol[WaiterT]):
    """What polls runs: the process's one poller for a connection, which many batches share."""

    @property
    def statuses(self) -> Statuses:
        """Which statuses end a wait, as the connection says."""

    @property
    def last_poll_at(self) -> float | None:
        """When a run was polled last, in seconds since the epoch; None before the first poll."""

    @property
    def next_poll_at(self) -> float | None:
        """When the next poll is due, in seconds since the epoch; None if none is."""

    @property
    def outage(self) -> Mapping[str, Any] | None:
        """``{"reason", "since", "until"}`` of an outage that is being waited out; None if polls succeed."""

    def kept(self) -> AbstractContextManager[object]:
        """Keep the poller open, also while nothing is polled."""

    def watch(self, wait: Wait, on_end: Callable[[Wait, Event], None]) -> WaiterT:
        """Poll the run of ``wait`` until the wait ends, then call ``on_end`` with it and its event."""

    def forget(self, waiter: WaiterT) -> None:
        """End a wait without an event."""
