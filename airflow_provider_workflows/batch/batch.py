"""A batch from its check to its output, without Airflow's tasks: what the tries of a task have in common."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.batch.changed_input import Changes, take_over
from airflow_provider_workflows.batch.checked_input import (
    check_input,
    has_common,
    recheck_input,
    require_hashes,
    require_state,
    require_version,
)
from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.current_client import CurrentClient
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.garbage_collection import long_lived_objects_frozen
from airflow_provider_workflows.batch.journal import Journal
from airflow_provider_workflows.batch.manifest import (
    Manifest,
    has_hashes_of,
    read_checked_rows,
    read_manifest,
    read_salt,
)
from airflow_provider_workflows.batch.output import output_path, writer
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.place import BatchPlace, remove_state
from airflow_provider_workflows.batch.progress import BatchProgress, Publish
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.reported_rows import ReportedRows
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.run_poller import RunPoller
from airflow_provider_workflows.batch.submit import Submission
from airflow_provider_workflows.batch.watch import BatchWatch, unreadable_state
from airflow_provider_workflows.batch.withheld import SUBMISSION_STOPPED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_provider_workflows.api import Settings
    from airflow_provider_workflows.api.polling import PollSchedule
    from airflow_provider_workflows.api.tokens import TokenStore
    from airflow_provider_workflows.batch.input.items import Items
    from airflow_provider_workflows.batch.options import BatchOptions

log = logging.getLogger(__name__)

#: The outcomes of rows that a wait counts itself.
_WAITED_FOR = (RowOutcome.RUNNING, RowOutcome.SUCCEEDED, RowOutcome.FAILED)
_NOTHING = RowState()


class Batch(ReportedRows):
    """One batch whose input was checked: submitted, and collected once its runs have ended.

    :param settings: how to reach the service
    :param options: what to do
    :param place: where the output and the batch's state are
    :param manifest: the checked input
    :param tokens: tokens to share with other clients of the same key
    :param ownership: says whether this try may still begin something
    :param read_settings: reads the connection again after a rejected key; None if it stays as it is
    :param report: what there is to say of the batch, its rows and its place left out; None if nobody reads it
    """

    def __init__(
        self,
        settings: Settings,
        options: BatchOptions,
        place: BatchPlace,
        manifest: Manifest,
        *,
        tokens: TokenStore | None = None,
        ownership: Ownership | None = None,
        read_settings: Callable[[], Settings] | None = None,
        report: BatchReport | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._read_settings = read_settings
        self._options = options
        self._ownership = Ownership() if ownership is None else ownership
        self.output = output_path(place.folder, options.output_format)
        super().__init__(
            place,
            manifest,
            settings.statuses,
            lambda: not self._ownership.may_act,
            report=report or BatchReport.begun(options.workflow_definition_id, time.time()),
            output=self.output,
            output_mode=options.output_mode,
        )

    def has_same_input(self, items: Items) -> bool:
        """Return whether the input has the rows that were checked; it is read again, and may be another file.

        :param items: the rows, as ``read_items`` takes them
        :raises InvalidInput: if they cannot be run
        :raises OutcomeUnknown: if the batch's state is gone
        """
        manifest = recheck_input(self._options, self.state_folder, self.manifest, items)
        if manifest is not None:
            self.manifest = manifest
        return manifest is not None

    def require_hashes(self, items: Callable[[], Items]) -> None:
        """Return once the manifest has the hashes of personal numbers that the output is to have.

        :param items: returns the rows, as ``read_items`` takes them, which are seldom needed
        :raises InvalidInput: if they cannot be read any more, or have changed
        :raises OutcomeUnknown: if the batch's state is gone
        """
        require_hashes(self._options, self.state_folder, self.manifest, items, self._hash_secret)

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
        batch = Batch(
            self._settings,
            self._options,
            place,
            manifest,
            tokens=self._tokens,
            ownership=self._ownership,
            read_settings=self._read_settings,
            report=self.report,
        )
        return batch, changes

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
        stop = self._ownership.submission_stop
        require_version(items, self.manifest.version)
        with require_state(self.state_folder):
            checked = read_checked_rows(self.state_folder, self.manifest, common=self._options.common)
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
            "%s has stopped the submission: %s rows have a run, and %s were not sent. No retry submits them; the "
            "next clear does.",
            asked_by,
            f"{self.submitted:,}",
            f"{self.withheld[RowOutcome.NOT_SUBMITTED]:,}",
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

    async def collect(self, publish: Publish, log: Any) -> Collection:
        """Fetch the results, write the output, and return the counts.

        :param publish: takes a report that says something new
        :param log: the task's log
        :raises Stopped: if this try has to stop; the output is as it was
        :raises Exception: if the output cannot be written
        """
        async with self._client() as client, self._ownership.watched():
            collection = self._collection(client)
            reported = await asyncio.to_thread(self.report_at, ReportPhase.FETCHING)
            measure = partial(self.measure_collection, collection, reported)
            async with BatchProgress(reported, measure, publish, log):
                with long_lived_objects_frozen():
                    await self._write_output(collection)
        self.report = await asyncio.to_thread(self.ended_report, collection)
        return collection

    async def write_output_so_far(self) -> None:
        """Write the output as far as the journal says, without fetching a result.

        :raises Exception: if the output cannot be written
        """
        async with self._client() as client:
            # Made anew, because what has ended was written to the journal by another process.
            latest = Batch(
                self._settings,
                self._options,
                self.place,
                self.manifest,
                tokens=self._tokens,
                ownership=self._ownership,
                report=self.report,
            )
            collection = latest._collection(client, fetch=False)
            await latest._write_output(collection)
            self.report = await asyncio.to_thread(latest.ended_report, collection)

    def _collection(self, client: CurrentClient, *, fetch: bool = True) -> Collection:
        return Collection(
            client,
            self._flow_control(client),
            self.states,
            concurrency=self._options.max_concurrency,
            hash_secret=self._hash_secret,
            fetch=fetch,
            ownership=self._ownership,
        )

    async def _write_output(self, collection: Collection) -> None:
        rows = read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped)
        if not has_hashes_of(self.state_folder, self._hash_secret):
            # They are not asked for any more, or would not match those of the results.
            rows = (dataclasses.replace(row, personal_number_hash=None) for row in rows)
        await collection.run(
            rows,
            partial(writer, self.place.folder, self._options.output_format, mode=self._options.output_mode),
        )

    @property
    def _hash_secret(self) -> str | None:
        return self._options.hash_secret(self._settings)

    def _client(self) -> CurrentClient:
        return CurrentClient(
            self._settings,
            read_settings=self._read_settings,
            tokens=self._tokens,
            pool_size=self._options.max_concurrency,
        )

    def _flow_control(
        self, client: CurrentClient, *, sleep: Callable[[float], Awaitable[object]] | None = None
    ) -> FlowControl:
        return FlowControl(
            self._options.requests_per_second or self._settings.requests_per_second,
            max_attempts=self._settings.max_attempts,
            max_outage=self._options.max_outage,
            credentials=client,
            sleep=self._ownership.sleep if sleep is None else sleep,
        )
