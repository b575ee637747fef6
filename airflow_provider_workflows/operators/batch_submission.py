"""The batch of a task over its tries: begun, gone on with after a retry or a clear, or started over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.supervisor import has_ended
from airflow_provider_workflows.api.errors import InvalidInput, OutcomeUnknown
from airflow_provider_workflows.batch.batch import Batch
from airflow_provider_workflows.batch.input.shard_reference import is_shard_reference
from airflow_provider_workflows.batch.other_shards import salt_of_shards
from airflow_provider_workflows.batch.place import (
    BatchPlace,
    StateFolders,
    copy_state,
)
from airflow_provider_workflows.batch.try_end import runs_billed
from airflow_provider_workflows.batch.withheld import NOT_CHOSEN, SUBMISSION_STOPPED
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.operators.batch_record import BatchPhase, BatchRecord
from airflow_provider_workflows.operators.batch_recording import BatchRecording
from airflow_provider_workflows.operators.instruction import Action, Instructions
from airflow_provider_workflows.storage import ObjectStoragePath, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.sdk import Context

    from airflow_provider_workflows.batch.chosen_rows import ChosenRows
    from airflow_provider_workflows.batch.input.items import Items


class BatchSubmission(BatchRecording):
    """Finds out what this try of a task is to do with its batch.

    :param context: the task's context
    :param folder: the folder of the output
    :param check: checks the items and writes their manifest to a place, with a salt; None for a new one
    :param make_batch: makes the batch that a record names
    :param host: base URL of the service
    :param start_over: whether a cleared task submits everything anew
    :param resubmit_failed: whether a retry submits rows again whose run has failed
    :param resubmit_unknown: whether rows are submitted again that may have been submitted
    :param instructions: what a person has asked for by a button
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
        instructions: Instructions,
        log: Any,
    ) -> None:
        super().__init__(context, folder, start_over=start_over, instructions=instructions, log=log)
        self._check = check
        self._make_batch = make_batch
        self._host = host
        self._resubmit_failed = resubmit_failed
        self._resubmit_unknown = resubmit_unknown

    def open(self, items: Items, begun_at: float) -> tuple[Batch, BatchRecord]:
        """Return the batch, ready to be submitted, and its record, which is stored.

        A batch that has succeeded, and was not cleared since, has a summary in its record.

        :param items: the rows, as ``read_items`` takes them
        :param begun_at: when this try began, in seconds since the epoch
        :raises InvalidInput: if the input, the output or what has changed cannot be right; nothing was sent
        :raises OutcomeUnknown: if it is not known what an earlier try has submitted
        """
        try:
            return self._open(items, begun_at)
        except (InvalidInput, OutcomeUnknown):
            self._refuse()
            raise

    def _open(self, items: Items, begun_at: float) -> tuple[Batch, BatchRecord]:
        try:
            record = self._found = self._records.read()
        except OutcomeUnknown as error:
            was_cleared = self._records.was_cleared
            self._taken = self._instructions.take(followed=None, was_cleared=was_cleared, begun_at=begun_at)
            if not (was_cleared and self._starts_over):
                raise
            self._log.warning("%s: submits all rows anew. %s", self._cleared, error)
            self._folders.require_free(has_ended)
            return self._begin(items, begun_at)
        was_cleared = self._records.was_cleared
        if record is None and not self._is_first_try:
            # Whether it was cleared, or is a retry, nobody knows.
            was_cleared = True
        self._taken = self._instructions.take(
            followed=None if record is None else record.followed, was_cleared=was_cleared, begun_at=begun_at
        )
        if record is None and not self._is_first_try:
            record = self._earlier.record(starts_over=self._starts_over)
        if record is not None and record.summary is not None and not was_cleared:
            return self._make_batch(record), record
        self._folders.require_free(has_ended)
        if record is None:
            self._require_no_choice()
            self._earlier.warn_of_deleted_run()
            return self._begin(items, begun_at)
        if was_cleared and self._starts_over:
            return self._begin(items, begun_at, before=record)
        return self._go_on(record, items, was_cleared=was_cleared)

    def _require_no_choice(self) -> None:
        """Return if no rows were chosen of a batch that has submitted nothing.

        :raises InvalidInput: if some were
        """
        if self._taken.action is Action.RESUBMIT:
            raise InvalidInput("rows: no row was submitted before, so none can be chosen. Repair the batch")

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
                "%s: %s: keeps 0, waits for 0, submits %s anew. %s had a run "
                "before, whose state stays in %s until this start has ended well.",
                self._cleared,
                runs_billed(manifest.rows - manifest.skipped),
                f"{manifest.rows - manifest.skipped:,}",
                _submitted(self._make_batch(before)),
                shown(before.place.state_folder),
            )
        elif self._taken.action is not None:
            self._log.warning("%s: no row was submitted before.", self._cleared)
        batch = self._make_batch(record)
        if not self._starts_over and self._is_sharded_again(items):
            self._adopt_from_other_shards(batch)
            record = dataclasses.replace(record, cases=batch.cases)
        return batch, self._store_first(self._stopped(record, batch))

    def _stopped(self, record: BatchRecord, batch: Batch) -> BatchRecord:
        """Return the record, with all rows withheld if a person has asked to stop before this try has begun."""
        instruction = self._taken.instruction
        if instruction is None or self._taken.action is not Action.STOP:
            return record
        self._log.warning("This try submits nothing, to follow an instruction: %s.", instruction)
        batch.withhold(SUBMISSION_STOPPED)
        batch.report = dataclasses.replace(batch.report, stopped_by=instruction.asked_by)
        return dataclasses.replace(record, withholds=True, stopped_by=instruction.asked_by)

    def _chosen(self, batch: Batch, overdue: Collection[int]) -> ChosenRows | None:
        """Return the rows that a person has chosen; None for all."""
        instruction = self._taken.instruction
        if instruction is None or self._taken.action is not Action.RESUBMIT:
            return None
        return batch.choose(
            instruction.id,
            rows=instruction.rows,
            outcome=instruction.outcome,
            unknown=self._resubmit_unknown,
            overdue=overdue,
        )

    @staticmethod
    def _is_sharded_again(items: Items) -> bool:
        return isinstance(items, Mapping) and is_shard_reference(items) and bool(items.get("again"))

    def _adopt_from_other_shards(self, batch: Batch) -> None:
        if self._task.map_index >= 0 and (number := batch.adopt_from_other_shards(self._task)):
            self._log.warning(
                "%s in another shard before, with a run there that is kept.",
                counted(number, "row was", "rows were"),
            )

    def _go_on(self, record: BatchRecord, items: Items, *, was_cleared: bool) -> tuple[Batch, BatchRecord]:
        self._require_host(record)
        batch = self._make_batch(record)
        batch.require_journal(record.cases)
        overdue = batch.overdue
        is_stopped = self._taken.action is Action.STOP
        failed = was_cleared or (record.phase is BatchPhase.FAILED and self._resubmit_failed)
        if failed and not is_stopped:
            batch.ask_about_overdue(self._log)
        batch.wait_again()
        previous = record
        if is_stopped:
            record, was_cleared, failed = self._stopped(record, batch), False, False
        elif was_cleared:
            batch.release()
            # Who clears a task may want the results as the service has them now.
            record = dataclasses.replace(record, withholds=False, stopped_by=None, whole_output=None)
        chosen = self._chosen(batch, overdue)
        if str(record.place.folder).rstrip("/") != str(self._folders.folder).rstrip("/"):
            batch, record = self._move(record)
        rows = batch.rows_to_submit_again(failed=failed, unknown=self._resubmit_unknown)
        is_due = bool(rows or batch.due) if chosen is None else bool(chosen.submits)
        if (was_cleared or is_due) and not self._has_same_input(batch, items, is_due=is_due):
            earlier = (*record.earlier, str(batch.state_folder))
            place = StateFolders(self._folders.folder, self._task.state_name).next_place()
            before = batch
            batch, changes = before.with_input(items, place)
            self._log.warning("%s.", changes)
            self._adopt_from_other_shards(batch)
            if chosen is not None:
                chosen = chosen.in_input(before.manifest_rows(), batch.manifest_rows())
            elif record.withholds:
                # Rows that are new or have changed were chosen by nobody.
                batch.withhold(NOT_CHOSEN, but=batch.states)
            record = dataclasses.replace(
                record, place=batch.place, manifest=batch.manifest, earlier=earlier, cases=batch.cases
            )
            rows = batch.rows_to_submit_again(failed=failed, unknown=self._resubmit_unknown)
        record = dataclasses.replace(record, manifest=batch.manifest)
        if chosen is None:
            batch.submit_again(rows)
        else:
            batch.submit_only(chosen)
            record = dataclasses.replace(record, withholds=True)
        if was_cleared:
            self._log.warning(
                "%s: %s: %s.%s",
                self._cleared,
                runs_billed(batch.repair.submits),
                batch.repair,
                "" if chosen is None else f" {chosen}.",
            )
        else:
            self._log.info(
                "Going on with the batch of an earlier try, whose state is in %s: %s.",
                shown(batch.state_folder),
                batch.repair,
            )
        batch.report = dataclasses.replace(batch.report, stopped_by=record.stopped_by)
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
        record = dataclasses.replace(
            record, place=place, earlier=earlier, has_results=False, whole_output=None
        )
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
        return counted(batch.submitted, "row")
    except (FileNotFoundError, LookupError, TypeError, ValueError):
        return "An unknown number of rows"
