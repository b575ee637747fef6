"""What has become of the runs that earlier tries of a task have submitted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import InvalidInput, NotFound, WorkflowsError
from airflow_provider_workflows.api.expiry import moment_of, overdue
from airflow_provider_workflows.operators.run_decision import DECISION_AT_END, Decision, decide, described

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.api.models import Workflow
    from airflow_provider_workflows.operators.run_record import RunRecord
    from airflow_provider_workflows.operators.stop_guard import StopGuard


class EarlierRuns:
    """Finds out what has become of recorded runs, by their records and the service.

    :param client: makes the calls, guarded by ``guard``
    :param guard: says whether this try may still act
    :param waits: whether the task waits for its run, which polls through an outage
    :param log: the task's log
    """

    def __init__(self, client: WorkflowsClient, guard: StopGuard, *, waits: bool, log: Any) -> None:
        self._client = client
        self._guard = guard
        self._waits = waits
        self._log = log

    def decide(self, run: RunRecord) -> Decision:
        """Return what to do about a run: what its last status means, the connection says now."""
        if run.status is None:
            return decide(run)
        return DECISION_AT_END[self._client.settings.statuses.outcome(run.status)]

    def to_go_on_with(self, runs: list[RunRecord], wanted: RunRecord) -> RunRecord:
        """Return the record of the run that a retry goes on with: the latest, whatever its inline parameters are.

        They are rendered anew in each try, and may come out as others though nobody has asked for another run.

        :param runs: the records of runs for the same ids, the latest first
        :param wanted: the record of what this try would submit
        """
        latest = runs[0]
        if self.decide(latest) is Decision.SUBMIT:
            return next((run for run in runs if run.has_input_of(wanted)), latest)
        if not latest.has_input_of(wanted):
            self._log.warning(
                "The parameters of this try are not those of the earlier one, %s. A retry goes on all the "
                "same; a clear submits another run. What is rendered in parameters should be the same in each try.",
                described(latest),
            )
        return latest

    def outcome(self, run: RunRecord) -> tuple[Outcome, str | None]:
        """Return what has become of a run, and its status if it has ended well; failure if there is no run."""
        decision = self.decide(run)
        if decision is Decision.REATTACH:
            return self.polled(run, overdue_has_failed=True)
        return (Outcome.SUCCESS, run.status) if decision is Decision.KEEP else (Outcome.FAILURE, None)

    def polled(self, run: RunRecord, *, overdue_has_failed: bool = False) -> tuple[Outcome, str | None]:
        """Poll a run, and return what has become of it, and its status if it has ended well.

        :param run: its record
        :param overdue_has_failed: take a run that is past its expiry for failed, though the service says that it
            goes on: only who clears a task has a new run paid for it
        :raises WorkflowsError: what went wrong, unless the wait for the run polls through it
        """
        try:
            workflow = self._client.read_workflow(str(run.workflow_id), run.case_id, run.record_id)
        except NotFound:
            self._log.warning(
                "The service does not know workflow %s, which an earlier try submitted. For a new run set "
                'on_clear="start_over" and clear the task.',
                run.workflow_id,
            )
            raise
        except WorkflowsError as error:
            # The wait polls through an outage, for longer than a try could.
            if self._waits and error.is_retryable(under_way=True) and self._guard.may_act:
                return Outcome.PENDING, None
            raise
        outcome = self._client.settings.statuses.outcome(workflow.status)
        if overdue_has_failed and outcome is Outcome.PENDING and self._is_overdue(workflow):
            return Outcome.FAILURE, None
        return outcome, workflow.status if outcome is Outcome.SUCCESS else None

    def _is_overdue(self, workflow: Workflow) -> bool:
        error = overdue(workflow.id, workflow.status, moment_of(workflow.expires_at), time.time())
        if error is not None:
            self._log.warning("%s", error)
        return error is not None

    def require_host(self, runs: list[RunRecord], host: str | None) -> None:
        """Return if no run of the same input may be at another host, whose runs this one does not know.

        :param runs: the records of runs of the same input
        :param host: base URL of the service, as the connection says
        :raises InvalidInput: naming both
        """
        for run in runs:
            is_elsewhere = run.host is not None and run.host != host
            if is_elsewhere and self.decide(run) is not Decision.SUBMIT:
                raise InvalidInput(
                    f"The connection leads to {host} now, and {described(run)} at {run.host}. "
                    'Nothing was sent. Set the connection as it was, or set on_clear="start_over" and clear the '
                    "task for a new run"
                )
