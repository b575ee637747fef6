"""The output of a batch: results are fetched and written, at its end or as far as it has come."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.current_client import CurrentClient
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.garbage_collection import long_lived_objects_frozen
from airflow_provider_workflows.batch.manifest import Manifest, has_hashes_of, read_manifest
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.place import BatchPlace
from airflow_provider_workflows.batch.progress import BatchProgress, Publish
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.reported_rows import ReportedRows
from airflow_provider_workflows.batch.row_state import RowOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import Self

    from airflow_provider_workflows.api import Settings
    from airflow_provider_workflows.api.token_store import TokenStore
    from airflow_provider_workflows.batch.options import BatchOptions

log = logging.getLogger(__name__)

#: Rows of which a later try may know more, though it submits nothing.
_LACKING = (RowOutcome.RESULT_MISSING, RowOutcome.RUNNING)


class CollectedRows(ReportedRows):
    """The rows of one batch, and the output that is made of them.

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
        self.output = options.output.path_in(place.folder)
        super().__init__(
            place,
            manifest,
            settings.statuses,
            lambda: not self._ownership.may_act,
            report=report or BatchReport.begun(options.workflow_definition_id, time.time()),
            output=self.output,
            output_options=options.output,
        )

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
        # Made anew, because what has ended was written to the journal by another process.
        self.report = await self._with(self.place, self.manifest).write_without_results()

    async def write_without_results(self) -> BatchReport:
        """Write the output without fetching a result, and return the report of a try that has ended.

        :raises Exception: if the output cannot be written
        """
        async with self._client() as client:
            collection = self._collection(client, fetch=False)
            await self._write_output(collection)
        return await asyncio.to_thread(self.ended_report, collection)

    async def count_written_output(self) -> None:
        """Make the report of an output that an earlier try has written whole; nothing is fetched or written.

        :raises Exception: if the manifest cannot be read
        """
        async with self._client() as client:
            collection = self._collection(client)
            rows = read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped)
            await collection.count(rows)
        self.report = await asyncio.to_thread(self.ended_report, collection)

    def whole_output_digest(self) -> str | None:
        """Return ``written_output_digest`` once the output was written; None if a later try may add to it."""
        if any(self.report.outcomes.get(outcome.value) for outcome in _LACKING):
            return None
        return self.written_output_digest()

    def written_output_digest(self) -> str | None:
        """Return what tells the output that is there, and all that it was made of, from another; None without one.

        That is the file, the journal's state of each row, the statuses, the options of the output and the secret of
        its hashes.
        """
        from airflow_provider_workflows.batch.written_output import digest_of  # noqa: PLC0415  (not while parsing)

        try:
            return digest_of(
                self.output,
                self.states,
                options=self._options.output,
                statuses=self._statuses,
                state_folder=self.state_folder,
                hash_secret=self._hash_secret,
            )
        except Exception as error:  # noqa: BLE001  (each kind of storage has its own; then results are fetched)
            log.info("Whether the output is whole cannot be told: %s.", type(error).__name__)
            return None

    def _with(self, place: BatchPlace, manifest: Manifest) -> Self:
        """Return the batch as its journal says now, or with another input.

        :param place: where its state is
        :param manifest: the checked input
        """
        return type(self)(
            self._settings,
            self._options,
            place,
            manifest,
            tokens=self._tokens,
            ownership=self._ownership,
            read_settings=self._read_settings,
            report=self.report,
        )

    def _collection(self, client: CurrentClient, *, fetch: bool = True) -> Collection:
        return Collection(
            client,
            self._flow_control(client),
            self.states,
            concurrency=self._options.max_concurrency,
            hash_secret=self._hash_secret,
            fetch=fetch,
            ownership=self._ownership,
            output_options=self._options.output,
        )

    async def _write_output(self, collection: Collection) -> None:
        from airflow_provider_workflows.batch.output_writer import writer  # noqa: PLC0415  (not while parsing)

        rows = read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped)
        if not has_hashes_of(self.state_folder, self._hash_secret):
            # They are not asked for any more, or would not match those of the results.
            rows = (dataclasses.replace(row, personal_number_hash=None) for row in rows)
        await collection.run(
            rows,
            partial(writer, self.place.folder, self._options.output),
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
