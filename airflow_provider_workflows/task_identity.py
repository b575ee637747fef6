"""Which task of which run of a DAG: what its batch belongs to, and what a page shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class TaskIdentity:
    """Names one task instance.

    :param dag_id: id of the DAG
    :param run_id: id of the DAG run
    :param task_id: id of the task
    :param map_index: index of the mapped task; -1 for one that is not mapped
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def of(cls, ti: Any) -> Self:
        """Return the identity of a task instance.

        :param ti: the task instance of a task's context
        """
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)

    def __str__(self) -> str:
        """Return the words by which a message names the task."""
        mapped = f", map index {self.map_index}" if self.map_index >= 0 else ""
        return f"task {self.task_id!r} of DAG {self.dag_id!r}, run {self.run_id!r}{mapped}"

    @property
    def state_name(self) -> str:
        """The name of the task's state folder: the same in each try, also after a clear."""
        identity = (self.dag_id, self.run_id, self.task_id, self.map_index)
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
