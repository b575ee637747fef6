"""What a task remembers of the run that it started, so that no run is submitted twice."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.task_state import generation, never_expire, task_state_store

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The one key of the task's state store: written whole, so that it is never half true.
KEY = "workflow_run"


class Decision(enum.Enum):
    """What a try of the task is to do."""

    SUBMIT = "submit a run"
    REATTACH = "wait for the run that was submitted"
    UNKNOWN = "a run may have been submitted, of which no id is known"


def decide(record: Mapping[str, Any] | None, generation: int) -> Decision:
    """Return what to do, given what an earlier try left behind.

    :param record: what is stored, if anything
    :param generation: what tells a retry from a start-over: a task that is cleared is of another one
    """
    if record is None or record.get("generation") != generation:
        return Decision.SUBMIT
    return {"submitting": Decision.UNKNOWN, "submitted": Decision.REATTACH}.get(
        record.get("phase", ""), Decision.SUBMIT
    )


class RunRecord:
    """The record of one task instance, over its tries, in Airflow's task state store.

    :param context: the task's context
    """

    def __init__(self, context: Context) -> None:
        self._store = task_state_store(context)
        self._generation = generation(context)

    def read(self) -> tuple[Decision, Mapping[str, Any]]:
        """Return what to do, and what is stored."""
        stored = self._store.get(KEY)
        record = stored if isinstance(stored, Mapping) else None
        return decide(record, self._generation), record or {}

    def submitting(self, **ids: str | None) -> None:
        """Write that a run is about to be submitted: from here on it may exist."""
        self._write("submitting", **ids)

    def submitted(self, workflow_id: str, started: float) -> None:
        """Write the id of the run, as soon as it is known."""
        self._write("submitted", workflow_id=workflow_id, started=started)

    def failed(self, workflow_id: str, status: str) -> None:
        """Write that the run ended in a failure status, so that a retry submits a new one."""
        self._write("failed", workflow_id=workflow_id, status=status)

    def not_submitted(self) -> None:
        """Write that no run came about after all."""
        self._store.delete(KEY)

    def _write(self, phase: str, **fields: Any) -> None:
        record: dict[str, Any] = {
            "phase": phase,
            "generation": self._generation,
            "written": time.time(),
            **fields,
        }
        self._store.set(
            KEY,
            {name: value for name, value in record.items() if value is not None},
            retention=never_expire(),
        )
