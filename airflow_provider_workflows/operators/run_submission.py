"""Submit the run of a task, once over all of its tries and clears."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.api.errors import (
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    SubmissionStopped,
    WorkflowsError,
)
from airflow_provider_workflows.operators.instruction import Instructions, Taken
from airflow_provider_workflows.operators.records import best_effort, store_retry
from airflow_provider_workflows.operators.run_decision import DECISION_AT_END, Decision, decide, described
from airflow_provider_workflows.operators.run_record import RunPhase, RunRecord

if TYPE_CHECKING:
    from airflow_provider_workflows.api import WorkflowsClient
    from airflow_provider_workflows.operators.handover import Handover
    from airflow_provider_workflows.operators.records import Records
    from airflow_provider_workflows.operators.stop_guard import StopGuard
    from airflow_provider_workflows.storage_retry import StorageRetry


@dataclass(frozen=True)
class StartedRun:
    """A run that was started.

    :param workflow_id: its id
    :param started: when it was started, in seconds since the epoch
    :param status: the success status in which it has ended, if that is known
    """

    workflow_id: str
    started: float
    status: str | None = None


class RunSubmission:
    """Submits a run, or finds the one that an earlier try has submitted.

    :param client: makes the calls, guarded by ``guard``
    :param records: the task's record; None to remember nothing
    :param record: the definition, the case and the parameters of the run, as they are recorded
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
        self._records = records
        self._record = record
        self._guard = guard
        self._start_over = start_over
        self._resubmit_unknown = resubmit_unknown
        self._waits = waits
        self._may_have_lost_record = may_have_lost_record
        self._instructions = instructions
        self._handover = handover
        #: What this try does by an instruction.
        self._taken = Taken()
        self._begun_at = time.time()
        self._log = log
        self._storage_retry = storage_retry or store_retry(
            "The run's id", log, is_stopped=lambda: not guard.may_act
        )
        #: The record of the earlier tries, as Airflow has it.
        self._found: RunRecord | None = None
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
        self._guard.before_run = self._require_no_stop
        try:
            return self._run_recorded(records)
        except (InvalidInput, OutcomeUnknown):
            self._refuse(records)
            raise

    def _run_recorded(self, records: Records[RunRecord]) -> StartedRun:
        record = self._found = self._read(records)
        if record is None:
            self._warn_of_missing_record()
            return self._submit_recorded(records)
        if records.was_cleared and self._starts_over:
            self._log.warning(
                "%s: keeps 0, waits for 0, submits 1 anew. The record of the "
                "earlier tries (%s) is kept until the new run has ended well.",
                self._cleared,
                described(record),
            )
            return self._submit_recorded(records, record.history)
        same_input = [run for run in record.history if run.has_input_of(self._record)]
        if not same_input:
            return self._submit_changed(records, record)
        self._require_host(same_input)
        if records.was_cleared:
            return self._repair(records, record, same_input)
        return self._go_on(records, record, same_input[0])

    def _read(self, records: Records[RunRecord]) -> RunRecord | None:
        try:
            record = records.read()
        except OutcomeUnknown as error:
            self._take(None, was_cleared=records.was_cleared)
            if not (records.was_cleared and self._starts_over):
                raise
            self._log.warning("%s: submits 1 anew. %s", self._cleared, error)
            self._may_have_lost_record = False
            return None
        self._take(record, was_cleared=self._may_have_lost_record if record is None else records.was_cleared)
        return record if record is None or not records.was_cleared else self._handed_over(record)

    def _handed_over(self, record: RunRecord) -> RunRecord:
        """Return the record with the id of its run, if the try before was cleared as it started that."""
        if self._handover is None or record.phase is not RunPhase.SUBMITTING or record.submission_id is None:
            return record
        try:
            found = self._handover.find(record.submission_id, self._guard.sleep)
        except WorkflowsError:
            raise
        except Exception as error:  # noqa: BLE001  (without it, the outcome is unknown, which the try says)
            self._log.warning(
                "Airflow's Variable %s cannot be read: %s.", self._handover.key, type(error).__name__
            )
            return record
        if found is None:
            return record
        workflow_id, started = found
        self._log.warning(
            "The task was cleared as it started workflow %s, whose id the try before has left in the Variable %s.",
            workflow_id,
            self._handover.key,
        )
        return dataclasses.replace(record, phase=RunPhase.SUBMITTED, workflow_id=workflow_id, started=started)

    def _take(self, record: RunRecord | None, *, was_cleared: bool) -> None:
        if self._instructions is not None:
            followed = None if record is None else record.followed
            self._taken = self._instructions.take(
                followed=followed, was_cleared=was_cleared, begun_at=self._begun_at
            )

    def _refuse(self, records: Records[RunRecord]) -> None:
        """Remove an instruction that cannot be followed; a retry does then what it does without a clear."""
        instruction = self._taken.to_delete
        is_refused = self._instructions and instruction and self._instructions.refuse(instruction)
        if is_refused and instruction is not None and self._found is not None:
            with best_effort(self._log):
                records.write(dataclasses.replace(self._found, followed=instruction.id))

    def _write_first(self, records: Records[RunRecord], record: RunRecord) -> None:
        """Store the first record of this try, by which an instruction is over."""
        records.write(record)
        if (instruction := self._taken.to_delete) is not None and self._instructions is not None:
            self._instructions.delete(instruction)
        if self._handover is not None:
            self._handover.remove()

    def _noted(self, record: RunRecord) -> RunRecord:
        """Return a record that says which instruction was followed: a killed try leaves it stored."""
        instruction = self._taken.to_delete
        return record if instruction is None else dataclasses.replace(record, followed=instruction.id)

    def _require_no_stop(self) -> None:
        """Return if nobody has asked that no run be started.

        :raises SubmissionStopped: naming who has
        """
        asked_by = None if self._instructions is None else self._instructions.stop_asked_by()
        if asked_by is not None:
            raise SubmissionStopped(
                f"{asked_by} has asked to stop, so no run was started. No retry starts one; the next clear does."
            )

    @property
    def _starts_over(self) -> bool:
        return self._taken.starts_over(self._start_over)

    @property
    def _cleared(self) -> str:
        return self._taken.cleared(self._start_over)

    def _require_host(self, runs: list[RunRecord]) -> None:
        """Return if no run of the same input may be at another host, whose runs this one does not know.

        :raises InvalidInput: naming both
        """
        for run in runs:
            is_elsewhere = run.host is not None and run.host != self._record.host
            if is_elsewhere and self._decide(run) is not Decision.SUBMIT:
                raise InvalidInput(
                    f"The connection leads to {self._record.host} now, and {described(run)} at {run.host}. "
                    'Nothing was sent. Set the connection as it was, or set on_clear="start_over" and clear the '
                    "task for a new run"
                )

    def _decide(self, run: RunRecord) -> Decision:
        """Return what to do about a run: what its last status means, the connection says now."""
        if run.status is None:
            return decide(run)
        return DECISION_AT_END[self._client.settings.statuses.outcome(run.status)]

    def _go_on(self, records: Records[RunRecord], record: RunRecord, run: RunRecord) -> StartedRun:
        """Do what a retry does: go on with the run of the try before, or submit one."""
        decision = self._decide(run)
        if decision is Decision.UNKNOWN:
            self._require_consent(run)
        elif decision is Decision.KEEP:
            self._log.info(
                "Workflow %s of an earlier try has succeeded; nothing is submitted.", run.workflow_id
            )
            return self._kept(records, record, run, run.status)
        elif decision is Decision.REATTACH:
            if not (self._waits and self._polled(run)[0] is Outcome.FAILURE):
                self._log.info(
                    "Workflow %s was submitted by an earlier try; this one goes on with it.", run.workflow_id
                )
                return self._kept(records, record, run)
            self._log.info("Workflow %s of an earlier try has failed; submitting a new run.", run.workflow_id)
        return self._submit_recorded(records, _others(record, run))

    def _repair(
        self, records: Records[RunRecord], record: RunRecord, same_input: list[RunRecord]
    ) -> StartedRun:
        """Do what a cleared task does: keep a run that has succeeded, wait for one that runs, or submit one.

        :param same_input: the records of runs of the same input, the latest first
        """
        latest = same_input[0]
        if decide(latest) is Decision.UNKNOWN:
            if self._resubmit_unknown:
                self._log_repair(latest, submits=1)
            else:
                self._log_repair(latest, leaves_unknown=1)
            self._require_consent(latest)
            return self._submit_recorded(records, _others(record, latest))
        for run in same_input:
            outcome, status = self._outcome(run)
            if outcome is Outcome.SUCCESS:
                self._log_repair(run, keeps=1)
                return self._kept(records, record, run, status)
            if outcome is Outcome.PENDING:
                waits = int(self._waits)
                self._log_repair(run, keeps=1 - waits, waits_for=waits)
                return self._kept(records, record, run)
        self._log_repair(latest, submits=1)
        return self._submit_recorded(records, _others(record, latest))

    def _log_repair(
        self, run: RunRecord, *, keeps: int = 0, waits_for: int = 0, submits: int = 0, leaves_unknown: int = 0
    ) -> None:
        unknown = ", leaves 1 of which it is not known whether there is a run" if leaves_unknown else ""
        self._log.warning(
            "%s: keeps %d, waits for %d, submits %d anew%s. By the record of the earlier tries %s.",
            self._cleared,
            keeps,
            waits_for,
            submits,
            unknown,
            described(run),
        )

    def _submit_changed(self, records: Records[RunRecord], record: RunRecord) -> StartedRun:
        self._log.warning(
            "%s: keeps 0, waits for 0, submits 1 anew. The definition, the case or the parameters are others than "
            "those of the earlier tries: %s. Its result would be that of another input, so it is not kept.",
            self._cleared if records.was_cleared else "The input has changed",
            described(record),
        )
        return self._submit_recorded(records, record.history)

    def _kept(
        self, records: Records[RunRecord], record: RunRecord, run: RunRecord, status: str | None = None
    ) -> StartedRun:
        """Return the run of a record; record it as this try's, so that a clear counts once."""
        self.workflow_id = str(run.workflow_id)
        changed = dataclasses.replace(run, earlier=_others(record, run))
        if status is not None:
            changed = dataclasses.replace(run, phase=RunPhase.SUCCEEDED, status=status, earlier=())
        if records.was_cleared or changed != record:
            with best_effort(self._log):
                self._write_first(records, self._noted(changed))
        return StartedRun(self.workflow_id, float(run.started or 0.0), status)

    def _submit_recorded(
        self, records: Records[RunRecord], earlier: tuple[RunRecord, ...] = ()
    ) -> StartedRun:
        intent = dataclasses.replace(self._record, earlier=earlier, submission_id=uuid.uuid4().hex)
        intent = self._noted(intent)
        self._guard.require()
        try:
            self._write_first(records, intent)
            run = self._submit()
        except BaseException:
            # Whatever it is, a stop or the task's timeout too: it must not make a retry believe in a run.
            if not self.may_have_started:
                with best_effort(self._log):
                    records.write(dataclasses.replace(intent, phase=RunPhase.NOT_SUBMITTED))
            raise
        submitted = dataclasses.replace(
            intent, phase=RunPhase.SUBMITTED, workflow_id=run.workflow_id, started=run.started
        )
        try:
            self._storage_retry.run(lambda: self._write_or_leave(records, submitted))
        except BaseException as error:
            where = (
                f"It is in Airflow's Variable {self._handover.key}, where the next try of a cleared task finds it."
                if self._handover is not None and self._handover.is_left
                else "Wait for it with a WorkflowStatusSensor: a clear of this task cannot know of it."
            )
            self._log.critical(
                "Workflow %s was started for case %s and definition %s, is billed, and Airflow could not store "
                "its id. %s",
                run.workflow_id,
                self._record.case_id,
                self._record.workflow_definition_id,
                where,
            )
            if not isinstance(error, Exception):
                raise
            raise AirflowFailException(
                f"Workflow {run.workflow_id} was started for case {self._record.case_id}, and Airflow could not "
                "store its id. No retry submits another: wait for it with a WorkflowStatusSensor, or clear the "
                'task with on_clear="start_over" for a new run.'
            ) from error
        return run

    def _write_or_leave(self, records: Records[RunRecord], submitted: RunRecord) -> None:
        """Store the id of a run; where Airflow refuses that, leave it to the next try as well.

        :raises Exception: what Airflow has raised as it refused
        """
        try:
            records.write(submitted)
        except Exception:
            if self._handover is not None and not self._handover.is_left:
                with contextlib.suppress(Exception):
                    self._handover.leave(
                        str(submitted.submission_id),
                        str(submitted.workflow_id),
                        float(submitted.started or 0.0),
                    )
            raise
        if self._handover is not None:
            self._handover.remove()

    def _submit(self) -> StartedRun:
        record = self._record
        try:
            workflow = self._client.run_workflow(
                record.workflow_definition_id, record.case_id, record.parameters_id
            )
        except WorkflowsError as error:
            self._guard.has_sent_run = isinstance(error, OutcomeUnknown)
            raise
        self.workflow_id = workflow.id
        self._log.info(
            "Started workflow %s of definition %s for case %s, status %s.",
            workflow.id,
            record.workflow_definition_id,
            record.case_id,
            workflow.status,
        )
        return StartedRun(workflow.id, time.time())

    def _outcome(self, run: RunRecord) -> tuple[Outcome, str | None]:
        """Return what has become of a run, and its status if it has ended well; failure if there is no run."""
        decision = self._decide(run)
        if decision is Decision.REATTACH and run.status is None:
            return self._polled(run)
        if decision is Decision.REATTACH:
            return Outcome.PENDING, None
        return (Outcome.SUCCESS, run.status) if decision is Decision.KEEP else (Outcome.FAILURE, None)

    def _polled(self, run: RunRecord) -> tuple[Outcome, str | None]:
        try:
            status = self._client.read_workflow(str(run.workflow_id), run.case_id).status
        except NotFound:
            self._log.warning(
                "The service does not know workflow %s, which an earlier try has submitted. For a new run set "
                'on_clear="start_over" and clear the task.',
                run.workflow_id,
            )
            raise
        except WorkflowsError as error:
            # The wait polls through an outage, for longer than a try could.
            if self._waits and error.is_retryable(under_way=True) and self._guard.may_act:
                return Outcome.PENDING, None
            raise
        outcome = self._client.settings.statuses.outcome(status)
        return outcome, status if outcome is Outcome.SUCCESS else None

    def _require_consent(self, run: RunRecord) -> None:
        subject = f"case {run.case_id} and definition {run.workflow_definition_id}"
        if not self._resubmit_unknown:
            raise OutcomeUnknown(
                f"An earlier try was cut off while it submitted a run for {subject}, so nobody knows whether "
                'there is one. Find out in the service\'s dashboard; if there is no run, set on_clear="start_over" '
                "and clear the task."
            )
        self._log.warning(
            "An earlier try may have submitted a run for %s. Submitting another, as on_unknown_outcome says.",
            subject,
        )

    def _warn_of_missing_record(self) -> None:
        if self._may_have_lost_record:
            self._log.warning(
                "The task was cleared, and Airflow has no record of its earlier tries: either none of them came to "
                "submit, or the record was discarded with the task's state. It cannot be known whether they have "
                "started a run. This try submits 1, for case %s and definition %s; find out in the service's "
                "dashboard whether there is another.",
                self._record.case_id,
                self._record.workflow_definition_id,
            )


def _others(record: RunRecord, run: RunRecord) -> tuple[RunRecord, ...]:
    """Return what was recorded besides a run, the latest first."""
    return tuple(one for one in record.history if one != run)
