"""The wait for a single run, which has a report: it counts its polls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.polling import Wait
from airflow_provider_workflows.api.status import Statuses
from airflow_provider_workflows.api.versions import Evidence, evidence_of

if TYPE_CHECKING:
    from airflow_provider_workflows.api.models import Workflow


@dataclass(slots=True)
class CountedWait(Wait):
    """A wait that counts its polls, for the report of a single run.

    :param polls: number of polls
    :param last_poll_at: when the last one was, in seconds since the epoch
    :param on_poll: called after each poll that does not end the wait
    :param evidence: what the polls have said of the run beside its status; None while they have said nothing
    """

    polls: int = 0
    last_poll_at: float | None = None
    on_poll: Callable[[], None] | None = None
    evidence: Evidence | None = None

    def record_workflow(self, workflow: Workflow, statuses: Statuses, now: float) -> dict[str, object] | None:
        """Keep the evidence, and return as ``Wait`` does."""
        self.evidence = evidence_of(workflow) or self.evidence
        return Wait.record_workflow(self, workflow, statuses, now)

    @property
    def evidence_fields(self) -> dict[str, int | str]:
        """The evidence that there is, by the names of a report's fields."""
        return {} if self.evidence is None else self.evidence.json_object()

    def record_status(self, status: str, statuses: Statuses, now: float) -> dict[str, object] | None:
        """Count the poll, and return as ``Wait`` does."""
        return self._counted(Wait.record_status(self, status, statuses, now), now)

    def record_error(self, error: errors.WorkflowsError, now: float) -> dict[str, object] | None:
        """Count the poll, and return as ``Wait`` does."""
        return self._counted(Wait.record_error(self, error, now), now)

    def _counted(self, event: dict[str, object] | None, now: float) -> dict[str, object] | None:
        self.polls, self.last_poll_at = self.polls + 1, now
        if event is None and self.on_poll is not None:
            self.on_poll()
        return event
