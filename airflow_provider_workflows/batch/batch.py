"""A batch from its check to its output, without Airflow's tasks: what the tries of a task have in common."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.batch.changed_input import Changes, take_over
from airflow_provider_workflows.batch.checked_input import (
    check_input,
    has_common,
    recheck_input,
    require_hashes,
    require_possible,
    require_state,
    require_version,
)
from airflow_provider_workflows.batch.collected_rows import CollectedRows
from airflow_provider_workflows.batch.garbage_collection import long_lived_objects_frozen
from airflow_provider_workflows.batch.journal import Entry, Journal, write_entries
from airflow_provider_workflows.batch.manifest import (
    read_checked_rows,
    read_salt,
)
from airflow_provider_workflows.batch.overdue_rows import ended_by_now
from airflow_provider_workflows.batch.place import BatchPlace, remove_state
from airflow_provider_workflows.batch.progress import BatchProgress, Publish
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.run_poller import RunPoller
from airflow_provider_workflows.batch.submit import Submission
from airflow_provider_workflows.batch.watch import BatchWatch, unreadable_state
from airflow_provider_workflows.batch.withheld import SUBMISSION_STOPPED
from airflow_provider_workflows.counted import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from airflow_provider_workflows.api.polling import PollSchedule
    from airflow_provider_workflows.batch.input.items import Items

log = logging.getLogger(__name__)


class Batch(CollectedRows):
    """One batch whose input was checked: submitted, and collected once its runs have ended.

    The arguments are those of ``CollectedRows``.
    """

    def has_same_input(self, items: Items) -> bool:
        """Return whether the input has the rows that were checked; it is read again, and may be another file.

        :param items: the rows, as ``read_items`` takes them
        :raises InvalidInput: if they cannot be run
        :raises OutcomeUnknown: if the batch's state is gone
        """
        manifest = recheck_input(self._options, self.place, self.manifest, items)
        if manifest is not None:
            self.manifest = manifest
        return manifest is not None

    def require_hashes(self, items: Callable[[], Items]) -> None:
        """Return once the manifest has the hashes of personal numbers that the output is to have.

        :param items: returns the rows, as ``read_items`` takes them, which are seldom needed
        :raises InvalidInput: if they cannot be read any more, or have changed
        :raises OutcomeUnknown: if the batch's state is gone
        """
        require_hashes(self._options, self.place, self.manifest, items, self._hash_secret)

    def with_input(self, items: Items, place: BatchPlace) -> tuple[Batch, Changes]:
        """Return the batch with another input, which keeps what it has of those rows that are as before.

        :param items: the rows, as ``read_items`` takes them
        :param place: where its state is from now on
        :raises InvalidInput: if they cannot be run, or have no keys by which they could be compared
        :raises OutcomeUnknown: if the batch's state is gone
        """
        with require_state(self.state_folder):
            salt = read_salt(self.state_folder)
            manifest = check_input(self._settings, self._options, place, items, salt=salt, is_new=False)
            try:
                changes = take_over(
                    self.state_folder,
                    self.manifest,
                    self.states,
                    place.state_folder,
                    manifest,
                    with_parameters=has_common(self._options, self.state_folder),
                )
            except errors.InvalidInput:
                remove_state(place.state_folder)
                raise
        return self._with(place, manifest), changes

    def ask_about_overdue(self, log: Any) -> None:
        """Find out which runs have ended by now that were overdue, so that their rows count as what they are.

        :param log: the task's log
        :raises Stopped: if this try has to stop
        """
        if not (rows := self.overdue):
            return
        entries = asyncio.run(self._overdue_ended(rows, log))
        for entry in entries:
            self.states[entry["row"]].change(entry)
        write_entries(self.state_folder, entries)

    async def _overdue_ended(self, rows: Collection[int], log: Any) -> list[Entry]:
        async with self._client() as client, self._ownership.watched():
            return await ended_by_now(
                client,
                self._flow_control(client),
                self._ownership,
                self.states,
                rows,
                concurrency=self._options.max_concurrency,
                log=log,
            )

    async def submit(self, items: Items, publish: Publish, log: Any) -> None:
        """Submit each row that is due.

        :param items: the rows, as they were checked
        :param publish: takes a report that says something new
        :param log: the task's log
        :raises InvalidInput: if a row is not the one that was checked
        :raises Stopped: if this try has to stop
        :raises WorkflowsError: if the first rows show that none can be submitted
        """
        if self.due == 0:
            return
        require_possible(self._options)
        stop = self._ownership.submission_stop
        require_version(items, self.manifest.version)
        with require_state(self.state_folder):
            checked = read_checked_rows(
                self.state_folder,
                self.manifest,
                common=self._options.common,
                functions=self._options.input.functions.names,
            )
        journal = Journal(self.state_folder, is_stopped=self.is_stopped, log=log)
        with contextlib.closing(journal), long_lived_objects_frozen():
            async with self._client() as client:
                submission = Submission(
                    client,
                    journal,
                    self.states,
                    self._flow_control(client, sleep=partial(stop.sleep, nap=self._ownership.sleep)),
                    workflow_definition_id=self._options.workflow_definition_id,
                    parameters=self._options.parameters,
                    table_id=self._options.table_id,
                    locale=self._options.locale,
                    expires_at=self._options.expires_at,
                    generation=self._options.generation,
                    concurrency=self._options.max_concurrency,
                    ownership=self._ownership,
                    checked=checked,
                )
                await asyncio.to_thread(self.report_skipped)
                measure = partial(self.measure_submission, submission)
                async with BatchProgress(self.report, measure, publish, log):
                    await submission.run(self._options.rows(items))
            if stop.asked_by is not None:
                await self._withhold_all(journal, log, stop.asked_by)

    @property
    def stopped_by(self) -> str | None:
        """Name of the person who has stopped the submission while rows were submitted; None if nobody has."""
        return self._ownership.submission_stop.asked_by

    async def _withhold_all(self, journal: Journal, log: Any, asked_by: str) -> None:
        """Have no retry submit anything: neither rows that were not sent, nor those whose run fails."""
        written: Awaitable[None] | None = None
        for entry in await asyncio.to_thread(self._withheld, SUBMISSION_STOPPED):
            written = journal.note(entry)
        if written is not None:
            await written
        log.warning(
            "%s has stopped the submission: %s a run, and %s not sent. No retry submits more; the next clear "
            "does.",
            asked_by,
            counted(self.submitted, "row has", "rows have"),
            counted(self.withheld[RowOutcome.NOT_SUBMITTED], "was", "were"),
        )

    async def wait(
        self,
        poller: RunPoller[Any],
        *,
        schedule: PollSchedule,
        max_outage: float,
        deadline: float | None,
        publish: Publish,
        log: Any,
    ) -> bool:
        """Wait for all runs, and return whether the deadline has ended the wait.

        :param poller: polls the runs
        :param schedule: when each run is polled
        :param max_outage: seconds for which polls of a run may fail before the wait for it ends
        :param deadline: when to stop, in seconds since the epoch; None for never
        :param publish: takes a report that says something new
        :param log: the task's log
        :raises Stopped: if this try has to stop
        :raises WorkflowsError: if the batch's state cannot be read or written
        """
        watch = BatchWatch(
            self.state_folder,
            poller,
            counts=self.others,
            deadline=deadline,
            schedule=schedule,
            max_outage=max_outage,
            publish=publish,
            log=log,
            report=self.report,
            problems=self.problems,
        )
        try:
            async with self._ownership.watched():
                event = await self._ownership.unless_stopped(watch.run())
        except errors.WorkflowsError:
            raise
        except Exception as error:
            raise unreadable_state(str(self.state_folder), error) from error
        return bool(event["timed_out"])
