"""What a try finds recorded of the runs of its task, and records of its own run."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.api.errors import OutcomeUnknown, SubmissionStopped, WorkflowsError
from airflow_provider_workflows.operators.instruction import Instructions, Taken
from airflow_provider_workflows.operators.records import best_effort, store_retry
from airflow_provider_workflows.operators.run_record import RunPhase, RunRecord

if TYPE_CHECKING:
    from airflow_provider_workflows.operators.handover import Handover
    from airflow_provider_workflows.operators.records import Records
    from airflow_provider_workflows.operators.stop_guard import StopGuard
    from airflow_provider_workflows.storage_retry import StorageRetry


class RunRecording:
    """The record of a task's run, as one try reads and writes it, and the instruction of a person that it follows.

    :param records: the task's record
    :param guard: says whether this try may still act
    :param start_over: whether the DAG says that a cleared task submits a run whatever there is
    :param may_have_lost_record: whether earlier tries may have left a record that is gone
    :param instructions: what a person has asked for by a button; None to follow nothing
    :param handover: leaves the run's id where a cleared task finds it; None to leave it nowhere
    :param log: the task's log
    :param storage_retry: tries again to write the run's id
    """

    def __init__(
        self,
        records: Records[RunRecord],
        *,
        guard: StopGuard,
        start_over: bool,
        may_have_lost_record: bool,
        instructions: Instructions | None,
        handover: Handover | None,
        log: Any,
        storage_retry: StorageRetry | None,
    ) -> None:
        self._records = records
        self._guard = guard
        self._start_over = start_over
        #: Whether earlier tries may have left a record that is gone.
        self.may_have_lost_record = may_have_lost_record
        self._instructions = instructions
        self._handover = handover
        self._log = log
        self._storage_retry = storage_retry or store_retry(
            "The run's id", log, is_stopped=lambda: not guard.may_act
        )
        #: What this try does by an instruction.
        self._taken = Taken()
        self._begun_at = time.time()
        self._found: RunRecord | None = None

    @property
    def was_cleared(self) -> bool:
        """Whether the task was cleared since the record that ``read`` has returned was written."""
        return self._records.was_cleared

    @property
    def starts_over(self) -> bool:
        """Whether a cleared task submits a run whatever there is, as a person has asked or the DAG says."""
        return self._taken.starts_over(self._start_over)

    @property
    def cleared(self) -> str:
        """The words for a clear, with which a log line begins."""
        return self._taken.cleared(self._start_over)

    def read(self) -> RunRecord | None:
        """Return what an earlier try has recorded, or None; and take the instruction that there is.

        :raises OutcomeUnknown: if the record cannot be read, and the task does not start over
        """
        try:
            record = self._records.read()
        except OutcomeUnknown as error:
            self._take(None, was_cleared=self.was_cleared)
            if not (self.was_cleared and self.starts_over):
                raise
            self._log.warning("%s: submits 1 anew. %s", self.cleared, error)
            self.may_have_lost_record = False
            return None
        self._take(record, was_cleared=self.may_have_lost_record if record is None else self.was_cleared)
        self._found = record if record is None or not self.was_cleared else self._handed_over(record)
        return self._found

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

    def noted(self, record: RunRecord) -> RunRecord:
        """Return a record that says which instruction this try follows: if it is killed, that stays stored."""
        instruction = self._taken.to_delete
        return record if instruction is None else dataclasses.replace(record, followed=instruction.id)

    def begin(self, record: RunRecord) -> None:
        """Write the first record of this try, by which an instruction is over.

        :param record: as ``noted`` returns it
        """
        self._records.write(record)
        if (instruction := self._taken.to_delete) is not None and self._instructions is not None:
            self._instructions.delete(instruction)
        if self._handover is not None:
            self._handover.remove()

    def not_submitted(self, record: RunRecord) -> None:
        """Write that there is no run, and nothing of a failure.

        :param record: what ``begin`` was given
        """
        with best_effort(self._log):
            self._records.write(dataclasses.replace(record, phase=RunPhase.NOT_SUBMITTED))

    def submitted(self, record: RunRecord) -> None:
        """Write the id of the run that this try has started.

        :param record: of the run
        :raises AirflowFailException: if Airflow could not store it
        """
        try:
            self._storage_retry.run(lambda: self._write_or_leave(record))
        except BaseException as error:
            where = (
                f"It is in Airflow's Variable {self._handover.key}, where the next try of a cleared task finds it."
                if self._handover is not None and self._handover.is_left
                else "Wait for it with a WorkflowStatusSensor: a clear of this task cannot know of it."
            )
            self._log.critical(
                "Workflow %s was started for %s, is billed, and Airflow could not store its id. %s",
                record.workflow_id,
                record.subject,
                where,
            )
            if not isinstance(error, Exception):
                raise
            raise AirflowFailException(
                f"Workflow {record.workflow_id} was started for {record.subject}, and Airflow could not "
                f"store its id. {where} No retry submits another; for a new run clear the task with "
                'on_clear="start_over".'
            ) from error

    def _write_or_leave(self, record: RunRecord) -> None:
        """Store the id of a run; where Airflow refuses that, leave it to the next try as well.

        :raises Exception: what Airflow has raised as it refused
        """
        try:
            self._records.write(record)
        except Exception:
            if self._handover is not None and not self._handover.is_left:
                with contextlib.suppress(Exception):
                    self._handover.leave(
                        str(record.submission_id),
                        str(record.workflow_id),
                        float(record.started or 0.0),
                    )
            raise
        if self._handover is not None:
            self._handover.remove()

    def refuse(self) -> None:
        """Remove an instruction that cannot be followed; a retry does then what it does without a clear."""
        instruction = self._taken.to_delete
        if instruction is None or self._instructions is None or not self._instructions.refuse(instruction):
            return
        if self._found is not None:
            with best_effort(self._log):
                self._records.write(dataclasses.replace(self._found, followed=instruction.id))

    def require_no_stop(self) -> None:
        """Return if nobody has asked that no run be started.

        :raises SubmissionStopped: naming who has
        """
        asked_by = None if self._instructions is None else self._instructions.stop_asked_by()
        if asked_by is not None:
            raise SubmissionStopped(
                f"{asked_by} has asked to stop, so no run was started. No retry starts one; the next clear does."
            )
