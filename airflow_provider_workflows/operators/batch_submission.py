"""The batch of a task over its tries: begun, gone on with after a retry or a clear, or started over."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.supervisor import has_ended
from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown
from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.batch.input.shard_reference import is_shard_reference
from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.batch.other_shards import salt_of_shards
from airflow_provider_workflows.batch.place import (
    BatchFile,
    BatchPlace,
    StateFolders,
    TaskIdentity,
    copy_state,
    remove_state,
)
from airflow_provider_workflows.operators.batch_record import BatchPhase, BatchRecord, batch_records
from airflow_provider_workflows.operators.records import Records
from airflow_provider_workflows.storage import ObjectStoragePath, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_provider_workflows.batch.input.items import Items


class BatchSubmission:
    """Finds out what this try of a task is to do with its batch.

    :param context: the task's context
    :param folder: the folder of the output
    :param check: checks the items and writes their manifest to a place, with a salt; None for a new one
    :param make_batch: makes the batch that a record names
    :param host: base URL of the service
    :param start_over: whether a cleared task submits everything anew
    :param resubmit_failed: whether a retry submits rows again whose run has failed
    :param resubmit_unknown: whether rows are submitted again that may have been submitted
    :param log: the task's log
    """

    def __init__(
        self,
        context: Context,
        folder: ObjectStoragePath,
        *,
        check: Callable[[BatchPlace, str | None], Any],
        make_batch: Callable[[BatchRecord], Batch],
        host: str,
        start_over: bool,
        resubmit_failed: bool,
        resubmit_unknown: bool,
        log: Any,
    ) -> None:
        ti = context["ti"]
        map_index = -1 if ti.map_index is None else ti.map_index
        self._task = TaskIdentity(ti.dag_id, ti.run_id, ti.task_id, map_index)
        self._is_first_try = ti.try_number <= 1
        self._records: Records[BatchRecord] = batch_records(context)
        self._folders = StateFolders(folder, self._task.state_name)
        self._check = check
        self._make_batch = make_batch
        self._host = host
        self._start_over = start_over
        self._resubmit_failed = resubmit_failed
        self._resubmit_unknown = resubmit_unknown
        self._log = log

    def open(self, items: Items, begun_at: float) -> tuple[Batch, BatchRecord]:
        """Return the batch, ready to be submitted, and its record, which is stored.

        A batch that has succeeded, and was not cleared since, has a summary in its record.

        :param items: the rows, as ``read_items`` takes them
        :param begun_at: when this try began, in seconds since the epoch
        :raises InvalidInput: if the input, the output or what has changed cannot be right; nothing was sent
        :raises OutcomeUnknown: if it is not known what an earlier try has submitted
        """
        try:
            record = self._records.read()
        except OutcomeUnknown as error:
            if not (self._records.was_cleared and self._start_over):
                raise
            self._log.warning('Cleared, with on_clear="start_over": submits all rows anew. %s', error)
            self._folders.require_free(has_ended)
            return self._begin(items, begun_at)
        was_cleared = self._records.was_cleared
        if record is None and not self._is_first_try and (record := self._record_in_files()) is not None:
            was_cleared = True
        if record is not None and record.summary is not None and not was_cleared:
            return self._make_batch(record), record
        self._folders.require_free(has_ended)
        if record is None:
            self._warn_of_deleted_run()
            return self._begin(items, begun_at)
        if was_cleared and self._start_over:
            return self._begin(items, begun_at, before=record)
        return self._go_on(record, items, was_cleared=was_cleared)

    def record(self) -> BatchRecord:
        """Return the record of the batch that was submitted.

        :raises OutcomeUnknown: if it is gone
        """
        record = self._records.read()
        if record is None:
            raise OutcomeUnknown(
                "The batch's record is gone from Airflow's task state store. Clear the task: it goes on with the "
                "state that is beside its output."
            )
        return record

    def store(self, record: BatchRecord) -> BatchRecord:
        """Store a record in Airflow and beside the output, and return it."""
        self._records.write(record)
        self._write_file(record)
        return record

    def _write_file(self, record: BatchRecord) -> None:
        is_over = record.phase is BatchPhase.DONE
        BatchFile(self._task, record.to_json(), is_over).write(record.place.state_folder)

    def _store_first(self, record: BatchRecord, previous: BatchRecord | None = None) -> BatchRecord:
        """Store the record that this try begins with, unless another task has begun with the output meanwhile.

        The check of the input takes minutes, in which neither task sees the other. Each writes its file before it
        searches for the other's, so that two at once do not both go on.
        """
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
        return record

    def note_cases(self, record: BatchRecord, cases: int) -> None:
        """Store how many rows have a case by now, so that a later try sees whether its journal is whole."""
        self._records.write(dataclasses.replace(record, cases=cases))

    def remove_earlier(self, record: BatchRecord) -> None:
        """Remove the states of earlier starts, and those of other tasks whose output this one has replaced.

        One in which a run has not ended stays: its id is nowhere else.

        :param record: the record of a batch that has ended well
        """
        others = [
            folder
            for folder in self._folders.others
            if (batch := BatchFile.read(folder)) is not None and (batch.is_over or has_ended(batch.task))
        ]
        # Also of a start that was killed before it was recorded.
        own = [str(folder) for folder in StateFolders(record.place.folder, self._task.state_name).own]
        earlier = dict.fromkeys((*record.earlier, *own))
        earlier.pop(str(record.place.state_folder), None)
        for folder in [*map(ObjectStoragePath, earlier), *others]:
            # What is left of an earlier start must not fail a batch that has ended well.
            with contextlib.suppress(Exception):
                if any(state.is_running for state in states(folder).values()):
                    self._log.info("The state in %s stays, because a run in it has not ended.", shown(folder))
                else:
                    remove_state(folder)

    def _warn_of_deleted_run(self) -> None:
        earlier = [shown(folder) for folder in self._folders.own if _may_have_runs(folder)]
        if earlier:
            self._log.warning(
                "A DAG run of the same name has submitted rows before, and Airflow has no record of it: all rows "
                "are submitted anew, and billed again. What was submitted is in %s until this batch has ended "
                "well.",
                ", ".join(earlier),
            )

    def _record_in_files(self) -> BatchRecord | None:
        for folder in reversed(self._folders.own):
            batch = BatchFile.read(folder)
            record = None
            if batch is not None and batch.task == self._task:
                with contextlib.suppress(LookupError, TypeError, ValueError):
                    record = BatchRecord.from_json(batch.record)
            if record is not None:
                self._log.warning(
                    "Airflow has no record of the earlier tries of this task; their state is in %s. What "
                    "on_clear says holds for that. It cannot be known whether a later try has left nothing there.",
                    shown(folder),
                )
                return record
            if not self._start_over and _may_have_runs(folder):
                raise OutcomeUnknown(
                    f"Airflow has no record of the earlier tries of this task, and batch.json in {shown(folder)} "
                    "cannot be read, so nobody knows what was submitted, and nothing was sent. Put the file back "
                    'as it was, or set on_clear="start_over" and clear the task, which submits all rows anew.'
                )
        return None

    def _begin(
        self, items: Items, begun_at: float, *, before: BatchRecord | None = None
    ) -> tuple[Batch, BatchRecord]:
        place = self._folders.next_place()
        is_mapped = self._task.map_index >= 0
        manifest = self._check(place, salt_of_shards(self._task) if is_mapped else None)
        own = [str(folder) for folder in self._folders.own]
        if before is not None:
            # With another output_path they are elsewhere.
            own += [*before.earlier, str(before.place.state_folder)]
        record = BatchRecord(
            BatchPhase.SUBMITTING,
            begun_at,
            place,
            manifest,
            earlier=tuple(dict.fromkeys(own)),
            host=self._host,
        )
        if before is not None:
            self._log.warning(
                'Cleared, with on_clear="start_over": keeps 0, waits for 0, submits %s anew. %s had a run '
                "before, whose state stays in %s until this start has ended well.",
                f"{manifest.rows - manifest.skipped:,}",
                _submitted(self._make_batch(before)),
                shown(before.place.state_folder),
            )
        batch = self._make_batch(record)
        if not self._start_over and self._is_sharded_again(items):
            self._adopt_from_other_shards(batch)
            record = dataclasses.replace(record, cases=batch.cases)
        return batch, self._store_first(record)

    @staticmethod
    def _is_sharded_again(items: Items) -> bool:
        return isinstance(items, Mapping) and is_shard_reference(items) and bool(items.get("again"))

    def _adopt_from_other_shards(self, batch: Batch) -> None:
        if self._task.map_index >= 0 and (number := batch.adopt_from_other_shards(self._task)):
            self._log.warning(
                "%s rows were in another shard before, have a run there, and keep it.", f"{number:,}"
            )

    def _go_on(self, record: BatchRecord, items: Items, *, was_cleared: bool) -> tuple[Batch, BatchRecord]:
        self._require_host(record)
        batch = self._make_batch(record)
        batch.require_journal(record.cases)
        batch.wait_again()
        previous = record
        if str(record.place.folder).rstrip("/") != str(self._folders.folder).rstrip("/"):
            batch, record = self._move(record)
        failed = was_cleared or (record.phase is BatchPhase.FAILED and self._resubmit_failed)
        rows = batch.rows_to_submit_again(failed=failed, unknown=self._resubmit_unknown)
        is_due = bool(rows or batch.repair.submits)
        if (was_cleared or is_due) and not self._has_same_input(batch, items, is_due=is_due):
            earlier = (*record.earlier, str(batch.state_folder))
            place = StateFolders(self._folders.folder, self._task.state_name).next_place()
            batch, changes = batch.with_input(items, place)
            self._log.warning("%s.", changes)
            self._adopt_from_other_shards(batch)
            record = dataclasses.replace(
                record, place=batch.place, manifest=batch.manifest, earlier=earlier, cases=batch.cases
            )
            rows = batch.rows_to_submit_again(failed=failed, unknown=self._resubmit_unknown)
        record = dataclasses.replace(record, manifest=batch.manifest)
        batch.submit_again(rows)
        if was_cleared:
            self._log.warning("Cleared: %s.", batch.repair)
        else:
            self._log.info(
                "Going on with the batch of an earlier try, whose state is in %s: %s.",
                shown(batch.state_folder),
                batch.repair,
            )
        record = dataclasses.replace(record, phase=BatchPhase.SUBMITTING, summary=None)
        return batch, self._store_first(record, previous)

    def _require_host(self, record: BatchRecord) -> None:
        if record.host not in (None, self._host):
            raise InvalidInput(
                f"The connection leads to {self._host} now, and this batch's runs are at {record.host}. Nothing "
                'was sent. Set the connection as it was, or set on_clear="start_over" and clear the task, which '
                "submits all rows anew"
            )

    def _move(self, record: BatchRecord) -> tuple[Batch, BatchRecord]:
        place = self._folders.next_place()
        copy_state(record.place.state_folder, place.state_folder)
        self._log.warning(
            "output_path is %s now, and was %s: the state of the earlier tries was copied, and the output is "
            "written to the new folder.",
            shown(place.folder),
            shown(record.place.folder),
        )
        earlier = (*record.earlier, str(record.place.state_folder))
        record = dataclasses.replace(record, place=place, earlier=earlier, has_results=False)
        return self._make_batch(record), record

    def _has_same_input(self, batch: Batch, items: Items, *, is_due: bool) -> bool:
        try:
            return batch.has_same_input(items)
        except InvalidInput as error:
            if is_due:
                raise
            self._log.warning(
                "The input cannot be checked any more: %s. No row is due, so the results are fetched again.",
                error,
            )
            return True


def _submitted(batch: Batch) -> str:
    try:
        return f"{batch.submitted:,} rows"
    except (FileNotFoundError, LookupError, TypeError, ValueError):
        return "An unknown number of rows"


def _may_have_runs(state_folder: ObjectStoragePath) -> bool:
    try:
        return any(state.case_id is not None for state in states(state_folder).values())
    except FileNotFoundError:
        return False
    except (LookupError, TypeError, ValueError):
        return True
