"""Submit the run of a task, once over all of its tries and clears."""

from __future__ import annotations

import dataclasses
import time
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import (
    InvalidInput,
    OutcomeUnknown,
    WorkflowsError,
)
from airflow_provider_workflows.api.expiry import moment_of
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.api.versions import versions_of
from airflow_provider_workflows.end_user_links import masked_link
from airflow_provider_workflows.operators.earlier_runs import EarlierRuns
from airflow_provider_workflows.operators.records import best_effort
from airflow_provider_workflows.operators.run_decision import Decision, decide, described
from airflow_provider_workflows.operators.run_record import RunPhase, RunRecord, StartedRun
from airflow_provider_workflows.operators.run_recording import RunRecording

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.handover import Handover
    from airflow_provider_workflows.operators.instruction import Instructions
    from airflow_provider_workflows.operators.records import Records
    from airflow_provider_workflows.operators.stop_guard import StopGuard
    from airflow_provider_workflows.storage_retry import StorageRetry


class RunSubmission:
    """Submits a run, or finds the one that an earlier try has submitted.

    :param client: makes the calls, guarded by ``guard``
    :param records: the task's record; None to remember nothing
    :param record: the definition, the case and the parameters of the run, as they are recorded
    :param details: what the run is started with; the ids of ``record`` alone if None
    :param guard: says whether this try may still act
    :param start_over: whether a cleared task submits a run whatever there is; else it is repaired
    :param resubmit_unknown: whether to submit where an earlier try may have
    :param waits: whether the task waits for the run; if so, a retry submits anew where the run has failed
    :param may_have_lost_record: whether earlier tries may have left a record that is gone
    :param instructions: what a person has asked for by a button; None to follow nothing
    :param handover: leaves the run's id where a cleared task finds it; None to leave it nowhere
    :param log: the task's log
    :param storage_retry: tries again to write the run's id
    """

    def __init__(
        self,
        client: WorkflowsClient,
        records: Records[RunRecord] | None,
        record: RunRecord,
        *,
        details: RunDetails | None = None,
        guard: StopGuard,
        start_over: bool,
        resubmit_unknown: bool,
        waits: bool,
        may_have_lost_record: bool,
        instructions: Instructions | None = None,
        handover: Handover | None = None,
        log: Any,
        storage_retry: StorageRetry | None = None,
    ) -> None:
        self._client = client
        self._records = (
            None
            if records is None
            else RunRecording(
                records,
                guard=guard,
                start_over=start_over,
                may_have_lost_record=may_have_lost_record,
                instructions=instructions,
                handover=handover,
                log=log,
                storage_retry=storage_retry,
            )
        )
        self._record = record
        self._details = details or RunDetails(
            record.workflow_definition_id, record.case_id, record.parameters_id, record.record_id
        )
        self._guard = guard
        self._earlier = EarlierRuns(client, guard, waits=waits, log=log)
        self._resubmit_unknown = resubmit_unknown
        self._waits = waits
        self._log = log
        #: The id of the run, once it is known.
        self.workflow_id: str | None = None

    @property
    def may_have_started(self) -> bool:
        """Whether this try may have started a run."""
        return self._guard.has_sent_run

    def run(self) -> StartedRun:
        """Return the run: that of an earlier try, or a new one.

        :raises OutcomeUnknown: if nobody knows whether a run was submitted
        :raises AirflowFailException: if a run was started, and its id could not be stored
        :raises Stopped: if the task was told to stop before a run was started
        :raises WorkflowsError: what else went wrong
        """
        records = self._records
        if records is None:
            return self._submit()
        self._guard.before_run = records.require_no_stop
        try:
            return self._run_recorded(records)
        except (InvalidInput, OutcomeUnknown):
            records.refuse()
            raise

    def _run_recorded(self, records: RunRecording) -> StartedRun:
        record = records.read()
        if record is None:
            self._warn_of_missing_record(records)
            return self._submit_recorded(records)
        if records.was_cleared and records.starts_over:
            self._log.warning(
                "%s: keeps 0, waits for 0, submits 1 anew. The record of the "
                "earlier tries (%s) is kept until the new run has ended well.",
                records.cleared,
                described(record),
            )
            return self._submit_recorded(records, record.history)
        same_ids = [run for run in record.history if run.has_ids_of(self._record)]
        same_input = [run for run in same_ids if run.has_input_of(self._record)]
        found = same_input if records.was_cleared else same_ids
        if not found:
            return self._submit_changed(records, record)
        self._earlier.require_host(found, self._record.host)
        if records.was_cleared:
            return self._repair(records, record, same_input)
        return self._go_on(records, record, self._earlier.to_go_on_with(same_ids, self._record))

    def _go_on(self, records: RunRecording, record: RunRecord, run: RunRecord) -> StartedRun:
        """Do what a retry does: go on with the run of the try before, or submit one."""
        decision = self._earlier.decide(run)
        if decision is Decision.UNKNOWN:
            self._require_consent(run)
        elif decision is Decision.KEEP:
            self._log.info(
                "Workflow %s of an earlier try has succeeded; nothing is submitted.", run.workflow_id
            )
            return self._kept(records, record, run, run.status)
        elif decision is Decision.REATTACH:
            if not (self._waits and self._earlier.polled(run)[0] is Outcome.FAILURE):
                self._log.info(
                    "Workflow %s was submitted by an earlier try; this one goes on with it.", run.workflow_id
                )
                return self._kept(records, record, run)
            self._log.info("Workflow %s of an earlier try has failed; submitting a new run.", run.workflow_id)
        return self._submit_recorded(records, record.without(run))

    def _repair(self, records: RunRecording, record: RunRecord, same_input: list[RunRecord]) -> StartedRun:
        """Do what a cleared task does: keep a run that has succeeded, wait for one that runs, or submit one.

        :param same_input: the records of runs of the same input, the latest first
        """
        latest = same_input[0]
        if decide(latest) is Decision.UNKNOWN:
            if self._resubmit_unknown:
                self._log_repair(records, latest, submits=1)
            else:
                self._log_repair(records, latest, leaves_unknown=1)
            self._require_consent(latest)
            return self._submit_recorded(records, record.without(latest))
        for run in same_input:
            outcome, status = self._earlier.outcome(run)
            if outcome is Outcome.SUCCESS:
                self._log_repair(records, run, keeps=1)
                return self._kept(records, record, run, status)
            if outcome is Outcome.PENDING:
                waits = int(self._waits)
                self._log_repair(records, run, keeps=1 - waits, waits_for=waits)
                return self._kept(records, record, run)
        self._log_repair(records, latest, submits=1)
        return self._submit_recorded(records, record.without(latest))

    def _log_repair(
        self,
        records: RunRecording,
        run: RunRecord,
        *,
        keeps: int = 0,
        waits_for: int = 0,
        submits: int = 0,
        leaves_unknown: int = 0,
    ) -> None:
        unknown = ", leaves 1 of which it is not known whether there is a run" if leaves_unknown else ""
        self._log.warning(
            "%s: keeps %d, waits for %d, submits %d anew%s. By the record of the earlier tries %s.",
            records.cleared,
            keeps,
            waits_for,
            submits,
            unknown,
            described(run),
        )

    def _submit_changed(self, records: RunRecording, record: RunRecord) -> StartedRun:
        self._log.warning(
            "%s: keeps 0, waits for 0, submits 1 anew. The definition, the case or the parameters are others than "
            "those of the earlier tries: %s. Its result would be that of another input, so it is not kept.",
            records.cleared if records.was_cleared else "The input has changed",
            described(record),
        )
        return self._submit_recorded(records, record.history)

    def _kept(
        self, records: RunRecording, record: RunRecord, run: RunRecord, status: str | None = None
    ) -> StartedRun:
        """Return the run of a record; record it as this try's, so that a clear counts once."""
        self.workflow_id = str(run.workflow_id)
        changed = dataclasses.replace(run, earlier=record.without(run))
        if status is not None:
            changed = dataclasses.replace(run, phase=RunPhase.SUCCEEDED, status=status, earlier=())
        if records.was_cleared or changed != record:
            with best_effort(self._log):
                records.begin(records.noted(changed))
        return StartedRun(
            self.workflow_id,
            float(run.started or 0.0),
            status,
            link_sent=bool(run.link_sent),
            versions=run.versions,
        )

    def _submit_recorded(self, records: RunRecording, earlier: tuple[RunRecord, ...] = ()) -> StartedRun:
        intent = dataclasses.replace(self._record, earlier=earlier, submission_id=uuid.uuid4().hex)
        intent = records.noted(intent)
        self._guard.require()
        try:
            records.begin(intent)
            run = self._submit()
        except BaseException:
            # Whatever it is, a stop or the task's timeout too: it must not make a retry believe in a run.
            if not self.may_have_started:
                records.not_submitted(intent)
            raise
        submitted = dataclasses.replace(
            intent, phase=RunPhase.SUBMITTED, workflow_id=run.workflow_id, started=run.started
        )
        records.submitted(dataclasses.replace(submitted, versions=run.versions))
        return run

    def _submit(self) -> StartedRun:
        try:
            workflow = self._client.start_run(self._details)
        except WorkflowsError as error:
            self._guard.has_sent_run = isinstance(error, OutcomeUnknown)
            raise
        self.workflow_id = workflow.id
        self._log.info(
            "Started workflow %s of definition %s%s, status %s.",
            workflow.id,
            self._details.workflow_definition_id,
            f" for {about}" if (about := self._details.about) else "",
            workflow.status,
        )
        return StartedRun(
            workflow.id,
            time.time(),
            expires_at=moment_of(workflow.expires_at),
            link=masked_link(workflow),
            versions=versions_of(workflow),
        )

    def _require_consent(self, run: RunRecord) -> None:
        if not self._resubmit_unknown:
            raise OutcomeUnknown(
                f"An earlier try was cut off while it submitted a run for {run.subject}, so nobody knows whether "
                'there is one. Find out in the service\'s dashboard; if there is no run, set on_clear="start_over" '
                "and clear the task."
            )
        self._log.warning(
            "An earlier try may have submitted a run for %s. Submitting another, as on_unknown_outcome says.",
            run.subject,
        )

    def _warn_of_missing_record(self, records: RunRecording) -> None:
        if records.may_have_lost_record:
            self._log.warning(
                "The task was cleared, and Airflow has no record of its earlier tries: either none of them came to "
                "submit, or the record was discarded with the task's state. It cannot be known whether they have "
                "started a run. This try submits 1, for %s; find out in the service's dashboard whether "
                "there is another. From Airflow 3.4 on a clear discards the state unless it is "
                "to be kept: with [workflows] state_folder, a clear goes on all the same.",
                self._record.subject,
            )
