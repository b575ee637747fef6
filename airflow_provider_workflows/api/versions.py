"""Which state of a definition a run is of, and what executes it, as far as the service says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.ids import is_id
from airflow_provider_workflows.api.redaction import one_line

if TYPE_CHECKING:
    from airflow_provider_workflows.api.models import WorkflowFields

#: The versions are numbers so far; text is kept up to this length.
MAX_VERSION_CHARACTERS = 100


def versions_of(workflow: WorkflowFields) -> dict[str, int | str] | None:
    """Return the ``revision`` and ``execution_version`` in a response, without what is missing; None without both.

    :param workflow: what the service has said of the run
    """
    said = {"revision": workflow.revision, "execution_version": workflow.execution_version}
    return {
        name: one_line(value, MAX_VERSION_CHARACTERS) if isinstance(value, str) else value
        for name, value in said.items()
        if value is not None
    } or None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a poll has said of a run that shows later how its result came about, beside its ids and its status.

    :param record_id: id of the record that it is about
    :param revision: the definition's revision that it is of
    :param execution_version: the version that executes it
    """

    record_id: str | None = None
    revision: int | str | None = None
    execution_version: int | str | None = None

    def json_object(self) -> dict[str, int | str]:
        """Return what there is, by these names."""
        fields = {
            "record_id": self.record_id,
            "revision": self.revision,
            "execution_version": self.execution_version,
        }
        return {name: value for name, value in fields.items() if value is not None}


def evidence_of(workflow: WorkflowFields) -> Evidence | None:
    """Return the evidence in a response, or None without any. What is no id is not taken for a record's.

    :param workflow: what the service has said of the run
    """
    versions = versions_of(workflow) or {}
    record_id = workflow.record_id
    if record_id is not None and not is_id(record_id):
        record_id = None
    if record_id is None and not versions:
        return None
    return Evidence(record_id, versions.get("revision"), versions.get("execution_version"))
