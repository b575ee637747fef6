"""A batch from its check to its output, without Airflow's tasks: what the tries of a task have in common."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows import api
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.journal import Journal, states
from airflow_provider_workflows.batch.manifest import Manifest, read_manifest, recheck, write_manifest
from airflow_provider_workflows.batch.output import output_path, writer
from airflow_provider_workflows.batch.progress import BatchProgress, Counts, Publish
from airflow_provider_workflows.batch.row_state import SUBMIT_AGAIN, RowOutcome, RowState
from airflow_provider_workflows.batch.submit import WHOLE_BATCH, Submission
from airflow_provider_workflows.batch.watch import BatchWatch, RunPoller, unreadable_state
from airflow_provider_workflows.storage import (
    ObjectStoragePath,
    is_local,
    remove_folder,
    require_writable,
)

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings
    from airflow_provider_workflows.api.polling import PollSchedule
    from airflow_provider_workflows.api.tokens import TokenStore
    from airflow_provider_workflows.batch.input.items import Items

#: The outcomes of rows that a wait counts itself.
_WAITED_FOR = (RowOutcome.RUNNING, RowOutcome.SUCCEEDED, RowOutcome.FAILED)


@dataclass(frozen=True)
class BatchOptions:
    """What a batch is to do, as the operator's arguments say; durations are in seconds."""

    workflow_definition_id: str
    parameters: Mapping[str, Any] | None
    columns: Mapping[str, str | None] | None
    skip_bad_rows: bool
    output_format: str
    max_concurrency: int
    requests_per_second: float | None
    max_outage: float
    hash_personal_numbers: bool = False


@dataclass(frozen=True)
class BatchPlace:
    """Where a batch is.

    :param folder: the folder of the output
    :param state_folder: the folder of the manifest and the journal, the same in each try
    """

    folder: ObjectStoragePath
    state_folder: ObjectStoragePath

    @classmethod
    def named(cls, folder: ObjectStoragePath, name: str) -> BatchPlace:
        """Return the place of a batch whose state is beside its output, under a name of its own."""
        return cls(folder, folder / "_state" / name)

    def to_json(self) -> dict[str, str]:
        """Return the place as JSON: two URIs."""
        return {"folder": str(self.folder), "state_folder": str(self.state_folder)}

    @classmethod
    def from_json(cls, fields: Mapping[str, str]) -> BatchPlace:
        """Return the place that ``to_json`` made JSON of."""
        return cls(ObjectStoragePath(fields["folder"]), ObjectStoragePath(fields["state_folder"]))


class Batch:
    """One batch whose input was checked: submitted, and collected once its runs have ended.

    :param settings: how to reach the service
    :param options: what to do
    :param place: where the output and the batch's state are
    :param manifest: the checked input
    :param tokens: tokens to share with other clients of the same key
    """

    def __init__(
        self,
        settings: Settings,
        options: BatchOptions,
        place: BatchPlace,
        manifest: Manifest,
        *,
        tokens: TokenStore | None = None,
    ) -> None:
        # Whether a call is repeated is decided row by row: the client makes one attempt.
        self._settings = dataclasses.replace(settings, max_attempts=1)
        self._max_attempts = settings.max_attempts
        self._tokens = tokens
        self._options = options
        self._folder = place.folder
        self.output = output_path(place.folder, options.output_format)
        self.state_folder = place.state_folder
        self.manifest = manifest

    @staticmethod
    def check(settings: Settings, options: BatchOptions, place: BatchPlace, items: Items) -> Manifest:
        """Check the output and the whole input before the first call, and return the manifest.

        The manifest's rows are written to the state folder, in place of what is there.

        :param settings: how to reach the service
        :param options: what to do
        :param place: where the output and the batch's state are
        :param items: the rows, as ``read_items`` takes them
        :raises InvalidInput: naming what is wrong with which rows, or that the output cannot be written
        """
        hash_secret = settings.require_hash_secret() if options.hash_personal_numbers else None
        output_path(place.folder, options.output_format)
        require_writable("output_path", place.folder)
        # A deleted DAG run of the same name may have left its state here; it belongs to other rows.
        remove_folder(place.state_folder)
        return write_manifest(
            place.state_folder,
            read_items(items, options.columns),
            skip_bad_rows=options.skip_bad_rows,
            hash_secret=hash_secret,
        )

    @cached_property
    def states(self) -> dict[int, RowState]:
        """The state of each row that the journal names, by number."""
        return states(self.state_folder)

    @property
    def running(self) -> int:
        """Number of runs to wait for."""
        return self._outcomes()[RowOutcome.RUNNING]

    @property
    def others(self) -> dict[str, int]:
        """Rows by outcome, for those rows that have no run to wait for."""
        return {
            outcome.value: number
            for outcome, number in self._outcomes().items()
            if outcome not in _WAITED_FOR
        }

    def make_due(self, *, failed: bool, unknown: bool) -> None:
        """Make rows of an earlier try due again, beside those that have no run.

        :param failed: those whose run has failed
        :param unknown: those that may have been submitted
        :raises OutcomeUnknown: if the batch's state is gone
        """
        try:
            next(read_manifest(self.state_folder, self.manifest), None)
        except FileNotFoundError:
            raise errors.OutcomeUnknown(
                f"The batch's state is gone from {self.state_folder}, so nobody knows what was submitted. "
                "Clear the task to start over."
            ) from None
        again = [RowOutcome.FAILED] * failed + [RowOutcome.UNKNOWN] * unknown
        statuses = self._settings.statuses
        rows = [number for number, state in self.states.items() if state.outcome(statuses) in again]
        if rows:
            asyncio.run(self._write_due(rows))

    async def _write_due(self, rows: list[int]) -> None:
        with contextlib.closing(Journal(self.state_folder)) as journal:
            for number in rows:
                self.states[number].change(SUBMIT_AGAIN)
                written = journal.note({"row": number, **SUBMIT_AGAIN})
            await written

    async def submit(self, items: Items, publish: Publish, log: Any) -> None:
        """Submit each row that is due.

        :param items: the rows, as they were checked
        :param publish: takes what a page shows
        :param log: the task's log
        :raises InvalidInput: if the input is not the one that was checked
        :raises WorkflowsError: if the first rows show that none can be submitted
        """
        rows = self.manifest.rows - self.manifest.skipped
        if rows == sum(not state.is_due for state in self._rows()):
            return
        if self.states:
            self._require_same(items)
        with contextlib.closing(Journal(self.state_folder)) as journal:
            async with self._client() as client:
                submission = Submission(
                    client,
                    journal,
                    self.states,
                    self._flow_control(),
                    workflow_definition_id=self._options.workflow_definition_id,
                    parameters=self._options.parameters,
                    concurrency=self._options.max_concurrency,
                )
                async with BatchProgress("Submitting", rows, self._submitted, publish, log):
                    await submission.run(read_items(items, self._options.columns))

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
        :param publish: takes what a page shows
        :param log: the task's log
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
        )
        try:
            event = await watch.run()
        except OSError as error:
            raise unreadable_state(str(self.state_folder), error) from error
        return bool(event["timed_out"])

    async def collect(self, publish: Publish, log: Any) -> Collection:
        """Fetch the results, write the output, and return the counts.

        :param publish: takes what a page shows
        :param log: the task's log
        :raises OSError: if the output cannot be written
        """
        hash_personal_numbers = self._options.hash_personal_numbers
        async with self._client() as client:
            collection = Collection(
                client,
                self._flow_control(),
                self.states,
                concurrency=self._options.max_concurrency,
                hash_secret=self._settings.require_hash_secret() if hash_personal_numbers else None,
            )
            async with BatchProgress("Fetching results", self.manifest.rows, collection.counts, publish, log):
                await collection.run(
                    read_manifest(self.state_folder, self.manifest),
                    partial(writer, self._folder, self._options.output_format),
                )
        return collection

    def remove_state(self) -> None:
        """Remove the batch's state, which a later try does not need any more."""
        remove_folder(self.state_folder)
        if is_local(self._folder):
            # Other batches may have their state beside it.
            with contextlib.suppress(OSError):
                os.rmdir(self.state_folder.parent.path)  # noqa: PTH106

    def _require_same(self, items: Items) -> None:
        rows = read_items(items, self._options.columns)
        again = recheck(self.state_folder, rows, skip_bad_rows=self._options.skip_bad_rows)
        if again != self.manifest:
            raise errors.InvalidInput(
                f"items has changed since this task's first try ({self.manifest.rows:,} rows then, {again.rows:,} "
                "now), and some of them were submitted. Give it the same rows, or clear the task to start over; "
                f"what was submitted is in {self.state_folder}"
            )

    def _client(self) -> AsyncWorkflowsClient:
        return api.AsyncWorkflowsClient(self._settings, self._tokens, pool_size=self._options.max_concurrency)

    def _flow_control(self) -> FlowControl:
        rate = self._options.requests_per_second or self._settings.requests_per_second
        return FlowControl(rate, max_attempts=self._max_attempts, max_outage=self._options.max_outage)

    def _rows(self) -> list[RowState]:
        return [state for number, state in self.states.items() if number != WHOLE_BATCH]

    def _outcomes(self) -> Counter[RowOutcome]:
        outcomes = Counter(state.outcome(self._settings.statuses) for state in self._rows())
        outcomes[RowOutcome.SKIPPED] = self.manifest.skipped
        outcomes[RowOutcome.NOT_SUBMITTED] += self.manifest.rows - sum(outcomes.values())
        return outcomes

    def _submitted(self) -> Counts:
        # A row whose call is under way, or that waits for its next attempt, is not done.
        done = [state for state in self._rows() if state.workflow_id is not None or state.error is not None]
        outcomes = Counter(state.outcome(self._settings.statuses) for state in done)
        return Counts(len(done), outcomes, {})
