"""What a task has read and brought about, as its asset events and its lineage say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TaskLineage:
    """Ids, counts and URIs of a task's work; nothing of it is personal.

    :param host: base URL of the service
    :param workflow_definition_id: id of the workflow definition, where it is known
    :param workflow_id: id of the one workflow that the task is about, where it is about one
    :param case_id: id of its case, where it is known
    :param status: the status that the workflow was last seen in
    :param counts: rows of a batch by outcome
    :param inputs: URIs of what the task has read
    :param output: URI of the file that it has written
    """

    host: str
    workflow_definition_id: str | None = None
    workflow_id: str | None = None
    case_id: str | None = None
    status: str | None = None
    counts: Mapping[str, int] | None = None
    inputs: tuple[str, ...] = field(default=())
    output: str | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """What an asset event carries of it: what is known, by the names of ``ResultHandle`` and of a summary."""
        known = {
            "workflow_definition_id": self.workflow_definition_id,
            "workflow_id": self.workflow_id,
            "case_id": self.case_id,
            "status": self.status,
            "counts": None if self.counts is None else dict(self.counts),
            "uri": self.output,
        }
        return {name: value for name, value in known.items() if value is not None}
