"""What a task has read and written: its asset events and its lineage are made of this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TaskLineage:
    """Ids, counts and URIs of a task's work, and nothing personal.

    :param host: base URL of the service
    :param workflow_definition_id: id of the workflow definition, if it is known
    :param workflow_id: id of the run, if the task is about a single one
    :param case_id: id of its case, if it is known
    :param status: the last status of the run
    :param record_id: id of the record that it is about, if it is known
    :param revision: the definition's revision that it is of, if the service has said so
    :param execution_version: the version that executes it, likewise
    :param counts: rows of a batch by outcome
    :param inputs: URIs of what the task has read
    :param output: URI of the file that it has written
    :param query: id of the connection, and the query, that it has read rows by
    :param tables: namespace and name of each table that its rows were read from before, by another task
    :param table: id of the connection, and the table, that it has written results into
    """

    host: str
    workflow_definition_id: str | None = None
    workflow_id: str | None = None
    case_id: str | None = None
    status: str | None = None
    counts: Mapping[str, int] | None = None
    inputs: tuple[str, ...] = field(default=())
    output: str | None = None
    query: tuple[str, str] | None = None
    table: tuple[str, str] | None = None
    tables: tuple[tuple[str, str], ...] = ()
    record_id: str | None = None
    revision: int | str | None = None
    execution_version: int | str | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """The ``extra`` of an asset event: the fields that are known, named as in ``ResultHandle`` and summary."""
        fields = {
            "workflow_definition_id": self.workflow_definition_id,
            "workflow_id": self.workflow_id,
            "case_id": self.case_id,
            "record_id": self.record_id,
            "status": self.status,
            "revision": self.revision,
            "execution_version": self.execution_version,
            "counts": None if self.counts is None else dict(self.counts),
            "uri": self.output,
        }
        return {name: value for name, value in fields.items() if value is not None}
