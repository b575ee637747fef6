"""Which state of a definition a run is of, and what executes it, as far as the service says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
