"""What a batch task remembers over its tries: a reference to its state, which lies beside the output."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.task_state import generation, never_expire, task_state_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

#: The one key of the task's state store: written whole, so that it is never half true.
KEY = "workflow_batch"

SUBMITTING = "submitting"
WAITING = "waiting"
FAILED = "failed"
DONE = "done"


class BatchRecord:
    """The record of one batch task instance in Airflow's task state store.

    :param context: the task's context
    """

    def __init__(self, context: Context) -> None:
        self._store = task_state_store(context)
        ti = context["ti"]
        self._generation = generation(context)
        map_index = -1 if ti.map_index is None else ti.map_index
        identity = (ti.dag_id, ti.run_id, ti.task_id, map_index, self._generation)
        self.name = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]

    def read(self) -> dict[str, Any] | None:
        """Return what an earlier try has written, unless the task was cleared since."""
        stored = self._store.get(KEY)
        if isinstance(stored, dict) and stored.get("generation") == self._generation:
            return stored
        return None

    def write(self, known: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """Write what is known with ``fields`` added, and return it."""
        record = {**known, **fields, "generation": self._generation}
        self._store.set(KEY, record, retention=never_expire())
        return record
