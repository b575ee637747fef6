"""What the triggers of deferred tasks say, each read once: Airflow stores it encrypted, and no query finds it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Generic, TypeVar

from airflow_provider_workflows.airflow_internals import orm

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.airflow_internals.orm import DeferredTask, TriggerKey

T = TypeVar("T")


class TriggerCache(Generic[T]):
    """Keeps what was read of each deferred task for as long as it waits; safe for threads.

    :param read: returns what is to be kept of a task
    """

    def __init__(self, read: Callable[[DeferredTask], T]) -> None:
        self._read = read
        self._kept: dict[TriggerKey, T] = {}

    def of(self, triggers: Collection[TriggerKey], session: Session) -> dict[TriggerKey, T]:
        """Return what is kept of the tasks that wait with these triggers, and forget all others.

        :param triggers: all that tasks of this kind wait with at present
        :param session: of the metadata database
        """
        kept = self._kept
        kept = {trigger: kept[trigger] for trigger in triggers if trigger in kept}
        missing = [trigger for trigger in triggers if trigger not in kept]
        for task in orm.deferred_tasks(missing, session):
            kept[task.trigger] = self._read(task)
        self._kept = kept
        return kept
