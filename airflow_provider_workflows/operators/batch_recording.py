"""What a try finds recorded of its task's batch, and records of its own, in Airflow and beside the output."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.supervisor import has_ended
from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown
from airflow_provider_workflows.batch.place import BatchFile, StateFolders, remove_state
from airflow_provider_workflows.operators.batch_record import BatchPhase, BatchRecord, batch_records
from airflow_provider_workflows.operators.earlier_states import EarlierStates
from airflow_provider_workflows.operators.instruction import Instructions, Taken
from airflow_provider_workflows.operators.records import Records, best_effort
from airflow_provider_workflows.task_identity import TaskIdentity

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workflows.storage import ObjectStoragePath


class BatchRecording:
    """The record of a task's batch, as one try reads and writes it, and the instruction that it follows.

    :param context: the task's context
    :param folder: the folder of the output
    :param start_over: whether the DAG says that a cleared task submits everything anew
    :param instructions: what a person has asked for by a button
    :param log: the task's log
    """

    def __init__(
        self,
        context: Context,
        folder: ObjectStoragePath,
        *,
        start_over: bool,
        instructions: Instructions,
        log: Any,
    ) -> None:
        ti = context["ti"]
        self._task = TaskIdentity.of(ti)
        self._is_first_try = ti.try_number <= 1
        self._records: Records[BatchRecord] = batch_records(context)
        self._folders = StateFolders(folder, self._task.state_name)
        self._earlier = EarlierStates(self._task, self._folders, log)
        self._start_over = start_over
        self._instructions = instructions
        #: The record of the earlier tries, as Airflow has it.
        self._found: BatchRecord | None = None
        #: What this try does by an instruction.
        self._taken = Taken()
        self._log = log

    @property
    def batch_id(self) -> str:
        """What names the task's batch in a table of results: the same in each try, also after a clear."""
        return self._task.state_name

    def record(self) -> BatchRecord:
        """Return the record of the batch that was submitted.

        :raises OutcomeUnknown: if it is gone
        """
        record = self._records.read()
        if record is None:
            raise OutcomeUnknown(
                "The batch's record is gone from the task's state store. Clear the task: it goes on with the "
                "state that is beside its output."
            )
        return record

    def store(self, record: BatchRecord) -> BatchRecord:
        """Store a record in Airflow and beside the output, and return it."""
        self._records.write(record)
        self._write_file(record)
        return record

    def note_cases(self, record: BatchRecord, cases: int) -> None:
        """Store how many rows have a case by now, so that a later try sees whether its journal is whole."""
        self._records.write(dataclasses.replace(record, cases=cases))

    def remove_earlier(self, record: BatchRecord) -> None:
        """Remove the states that nobody needs any more.

        :param record: the record of a batch that has ended well
        """
        self._earlier.remove(record)

    @property
    def _starts_over(self) -> bool:
        return self._taken.starts_over(self._start_over)

    @property
    def _cleared(self) -> str:
        return self._taken.cleared(self._start_over)

    def _refuse(self) -> None:
        """Remove an instruction that cannot be followed; a retry does then what it does without a clear."""
        instruction = self._taken.to_delete
        if instruction is not None and self._instructions.refuse(instruction) and self._found is not None:
            with best_effort(self._log):
                self._records.write(dataclasses.replace(self._found, followed=instruction.id))

    def _store_first(self, record: BatchRecord, previous: BatchRecord | None = None) -> BatchRecord:
        """Store the record that this try begins with, unless another task has begun with the output meanwhile.

        The check of the input takes minutes, in which neither task sees the other. Each writes its file before it
        searches for the other's, so that two at once do not both go on.
        """
        if (instruction := self._taken.to_delete) is not None:
            record = dataclasses.replace(record, followed=instruction.id)
        self._write_file(record)
        try:
            StateFolders(record.place.folder, self._task.state_name).require_free(has_ended)
        except InvalidInput:
            if previous is not None and previous.place == record.place:
                self._write_file(previous)
            else:
                remove_state(record.place.state_folder)
            raise
        self._records.write(record)
        if instruction is not None:
            self._instructions.delete(instruction)
        return record

    def _write_file(self, record: BatchRecord) -> None:
        is_over = record.phase is BatchPhase.DONE
        ended_at = time.time() if is_over or record.phase is BatchPhase.FAILED else None
        BatchFile(self._task, record.to_json(), is_over, ended_at).write(record.place.state_folder)
