"""A batch from its check to its output, without Airflow's tasks: what the operator's tries have in common."""

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
from airflow_provider_workflows.storage import ObjectStoragePath, is_local, remove_folder, require_writable

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings
    from airflow_provider_workflows.api.tokens import TokenStore
    from airflow_provider_workflows.batch.input.items import Items


@dataclass(frozen=True)
class BatchOptions:
    """What a batch is to do, as the operator's arguments say."""

    workflow_definition_id: str
    parameters: Mapping[str, Any] | None
    columns: Mapping[str, str | None] | None
    skip_bad_rows: bool
    output_format: str
    max_concurrency: int
    requests_per_second: float | None
    max_outage: float
    hash_personal_numbers: bool = False


class Batch:
    """One batch: checked, submitted, and collected once its runs have ended.

    :param settings: how to reach the service
    :param options: what to do
    :param folder: folder of the output
    :param name: of the batch's state in it, the same in each try
    :param tokens: tokens to share with other clients of the same key
    """

    def __init__(
        self,
        settings: Settings,
        options: BatchOptions,
        folder: ObjectStoragePath,
        name: str,
        *,
        tokens: TokenStore | None = None,
    ) -> None:
        # What is to be repeated is decided row by row: each call is one try.
        self._settings = dataclasses.replace(settings, max_attempts=1)
        self._max_attempts = settings.max_attempts
        self._tokens = tokens
        self._options = options
        self._folder = folder
        self.output = output_path(folder, options.output_format)
        self.state_folder = folder / "_state" / name
        self._read_manifest: Manifest | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        options: BatchOptions,
        known: Mapping[str, Any],
        *,
        tokens: TokenStore | None = None,
    ) -> Batch:
        """Return the batch of an earlier try, from what ``location`` and ``manifest`` said then."""
        folder, state = ObjectStoragePath(known["folder"]), ObjectStoragePath(known["state"])
        batch = cls(settings, options, folder, state.name, tokens=tokens)
        batch._read_manifest = Manifest(**known["manifest"])
        return batch

    @property
    def location(self) -> dict[str, str]:
        """Where the batch is, for a later try."""
        return {"folder": str(self._folder), "state": str(self.state_folder)}

    @cached_property
    def states(self) -> dict[int, RowState]:
        """What is known of each row of which anything is, by number."""
        return states(self.state_folder)

    @property
    def running(self) -> int:
        """Number of runs to wait for."""
        return self._outcomes()[RowOutcome.RUNNING]

    @property
    def others(self) -> dict[str, int]:
        """Rows by outcome that there is nothing to wait for, but for those that ended."""
        waited_for = (RowOutcome.RUNNING, RowOutcome.SUCCEEDED, RowOutcome.FAILED)
        return {name.value: number for name, number in self._outcomes().items() if name not in waited_for}

    def check_output(self) -> None:
        """Make the folder of the output.

        :raises InvalidInput: when it cannot be written
        """
        require_writable("output_path", self._folder)

    def check_input(self, items: Items) -> dict[str, Any]:
        """Check the whole input, and return the manifest as JSON.

        :raises InvalidInput: naming what is wrong with it
        """
        rows = read_items(items, self._options.columns)
        self._read_manifest = write_manifest(
            self.state_folder,
            rows,
            skip_bad_rows=self._options.skip_bad_rows,
            hash_secret=self._hash_secret,
        )
        return dataclasses.asdict(self._read_manifest)

    def take_up(self, *, failed_too: bool, resubmit: bool) -> None:
        """Go on with the batch of an earlier try.

        :param failed_too: submit those rows again whose run has failed
        :param resubmit: submit those again of which nobody knows whether they were submitted
        :raises OutcomeUnknown: when the batch's state is gone
        """
        try:
            next(read_manifest(self.state_folder, self._manifest), None)
        except FileNotFoundError:
            raise errors.OutcomeUnknown(
                f"The batch's state is gone from {self.state_folder}, so nobody here knows what was submitted. "
                "Clear the task to start over."
            ) from None
        again = [RowOutcome.FAILED] * failed_too + [RowOutcome.UNKNOWN] * resubmit
        statuses = self._settings.statuses
        rows = [number for number, state in self.states.items() if state.outcome(statuses) in again]
        if rows:
            asyncio.run(self._mark_again(rows))

    async def _mark_again(self, rows: list[int]) -> None:
        journal = Journal(self.state_folder)
        try:
            for number in rows:
                self.states[number].change(SUBMIT_AGAIN)
                written = journal.note({"row": number, **SUBMIT_AGAIN})
            await written
        finally:
            journal.close()

    async def submit(self, items: Items, publish: Publish, log: Any) -> None:
        """Submit each row that has no run.

        :raises InvalidInput: when the input is not the one that was checked
        :raises WorkflowsError: when the first rows show that none can be submitted
        """
        due = self._manifest.rows - self._manifest.skipped - sum(not state.is_due for state in self._rows())
        if not due:
            return
        if self.states:
            self._require_same(items)
        flow_control = self._flow_control()
        journal = Journal(self.state_folder)
        try:
            async with self._client() as client:
                submission = Submission(
                    client,
                    journal,
                    self.states,
                    flow_control,
                    workflow_definition_id=self._options.workflow_definition_id,
                    parameters=self._options.parameters,
                    concurrency=self._options.max_concurrency,
                )
                rows = self._manifest.rows - self._manifest.skipped
                async with BatchProgress("Submitting", rows, self._submitted, publish, log):
                    await submission.run(read_items(items, self._options.columns))
        finally:
            journal.close()

    async def collect(self, publish: Publish, log: Any) -> Collection:
        """Fetch the results, write the output, and return the counts."""
        flow_control = self._flow_control()
        async with self._client() as client:
            collection = Collection(
                client,
                flow_control,
                self.states,
                concurrency=self._options.max_concurrency,
                hash_secret=self._hash_secret,
            )
            async with BatchProgress(
                "Fetching results", self._manifest.rows, collection.counts, publish, log
            ):
                await collection.run(
                    read_manifest(self.state_folder, self._manifest),
                    partial(writer, self._folder, self._options.output_format),
                )
        return collection

    def remove_state(self) -> None:
        """Remove what the batch has kept for a later try."""
        remove_folder(self.state_folder)
        if is_local(self._folder):
            # Others may have theirs beside it.
            with contextlib.suppress(OSError):
                os.rmdir(self.state_folder.parent.path)  # noqa: PTH106

    def _require_same(self, items: Items) -> None:
        rows = read_items(items, self._options.columns)
        again = recheck(self.state_folder, rows, skip_bad_rows=self._options.skip_bad_rows)
        if again != self._manifest:
            raise errors.InvalidInput(
                f"items has changed since this task's first try ({self._manifest.rows:,} rows then, {again.rows:,} "
                "now), and some of them were submitted. Give it the same rows, or clear the task to start over; "
                f"what was submitted is in {self.state_folder}"
            )

    @property
    def _manifest(self) -> Manifest:
        assert self._read_manifest is not None  # noqa: S101  (set by whoever makes a batch)
        return self._read_manifest

    @property
    def _hash_secret(self) -> str | None:
        return self._settings.require_hash_secret() if self._options.hash_personal_numbers else None

    def _client(self) -> AsyncWorkflowsClient:
        return api.AsyncWorkflowsClient(self._settings, self._tokens, pool_size=self._options.max_concurrency)

    def _flow_control(self) -> FlowControl:
        rate = self._options.requests_per_second or self._settings.requests_per_second
        return FlowControl(rate, max_attempts=self._max_attempts, max_outage=self._options.max_outage)

    def _rows(self) -> list[RowState]:
        return [state for number, state in self.states.items() if number != WHOLE_BATCH]

    def _outcomes(self) -> Counter[RowOutcome]:
        outcomes = Counter(state.outcome(self._settings.statuses) for state in self._rows())
        outcomes[RowOutcome.SKIPPED] = self._manifest.skipped
        outcomes[RowOutcome.NOT_SUBMITTED] += self._manifest.rows - sum(outcomes.values())
        return outcomes

    def _submitted(self) -> Counts:
        # A call that is under way is not done, and neither is a row between two tries.
        dealt_with = [
            state for state in self._rows() if state.workflow_id is not None or state.error is not None
        ]
        outcomes = Counter(state.outcome(self._settings.statuses) for state in dealt_with)
        return Counts(len(dealt_with), outcomes, {})
