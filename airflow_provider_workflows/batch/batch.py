"""A batch from its check to its output, without Airflow's tasks: what the tries of a task have in common."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.collect import Collection
from airflow_provider_workflows.batch.current_client import CurrentClient
from airflow_provider_workflows.batch.flow_control import FlowControl
from airflow_provider_workflows.batch.input.items import read_items, sharding_of, version_of
from airflow_provider_workflows.batch.journal import Journal, states
from airflow_provider_workflows.batch.manifest import (
    Manifest,
    RowDigests,
    has_hashes_of,
    read_checked_rows,
    read_common,
    read_manifest,
    read_salt,
    recheck,
    rewrite_manifest,
    write_manifest,
)
from airflow_provider_workflows.batch.other_shards import find_in_other_shards
from airflow_provider_workflows.batch.output import output_path, writer
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.place import BatchPlace, TaskIdentity, remove_state
from airflow_provider_workflows.batch.progress import BatchProgress, Publish
from airflow_provider_workflows.batch.repair import (
    Changes,
    Repair,
    adopt,
    begin_journal,
    repair_of,
    rows_to_submit_again,
    rows_to_wait_for_again,
    submit_again,
    take_over,
    wait_again,
)
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.submit import WHOLE_BATCH, Submission
from airflow_provider_workflows.batch.watch import BatchWatch, RunPoller, unreadable_state
from airflow_provider_workflows.storage import remove_folder, shown
from airflow_provider_workflows.whole_files import require_writable

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_workflows.api import Settings
    from airflow_provider_workflows.api.polling import PollSchedule
    from airflow_provider_workflows.api.tokens import TokenStore
    from airflow_provider_workflows.batch.input.items import Items
    from airflow_provider_workflows.batch.input.rows import BadRow, Row

#: The outcomes of rows that a wait counts itself.
_WAITED_FOR = (RowOutcome.RUNNING, RowOutcome.SUCCEEDED, RowOutcome.FAILED)
_NOTHING = RowState()


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
    zero_pad: Mapping[str, int] | None = None

    def rows(self, items: Items) -> Iterator[Row | BadRow]:
        """Return an iterator over the checked rows of items.

        :raises InvalidInput: as ``read_items``
        """
        return read_items(items, self.columns, zero_pad=self.zero_pad)

    def hash_secret(self, settings: Settings) -> str | None:
        """Return the secret that personal numbers are hashed with, or None if hashes are not asked for.

        :raises InvalidInput: if the connection has none
        """
        return settings.require_hash_secret() if self.hash_personal_numbers else None

    @property
    def common(self) -> tuple[str, Mapping[str, Any] | None]:
        """What is sent for all rows, which is part of each row's digest."""
        return self.workflow_definition_id, self.parameters


class Batch:
    """One batch whose input was checked: submitted, and collected once its runs have ended.

    :param settings: how to reach the service
    :param options: what to do
    :param place: where the output and the batch's state are
    :param manifest: the checked input
    :param tokens: tokens to share with other clients of the same key
    :param ownership: says whether this try may still begin something
    :param read_settings: reads the connection again after a rejected key; None if it stays as it is
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
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._read_settings = read_settings
        self._options = options
        self._ownership = Ownership() if ownership is None else ownership
        self._folder = place.folder
        self.place = place
        self.output = output_path(place.folder, options.output_format)
        self.state_folder = place.state_folder
        self.manifest = manifest

    @classmethod
    def check(
        cls,
        settings: Settings,
        options: BatchOptions,
        place: BatchPlace,
        items: Items,
        *,
        salt: str | None = None,
        is_new: bool = True,
    ) -> Manifest:
        """Check the output and the whole input before the first call, and return the manifest.

        The manifest's rows are written to the state folder, and the journal is begun there.

        :param settings: how to reach the service
        :param options: what to do
        :param place: where the output and the batch's state are
        :param items: the rows, as ``read_items`` takes them
        :param salt: of the rows' digests, to compare them with those of another manifest; a new one if None
        :param is_new: whether to begin the journal
        :raises InvalidInput: naming what is wrong with which rows, or that the output cannot be written
        """
        output_path(place.folder, options.output_format)
        require_writable("output_path", place.folder)
        # A try that was killed before it was recorded may have left half a state here.
        remove_folder(place.state_folder)
        version = version_of(items)
        manifest = write_manifest(
            place.state_folder,
            options.rows(items),
            common=options.common,
            skip_bad_rows=options.skip_bad_rows,
            hash_secret=options.hash_secret(settings),
            salt=salt,
        )
        if is_new:
            begin_journal(place.state_folder)
        _require_version(items, version)
        return dataclasses.replace(manifest, version=version, sharding=sharding_of(items))

    def has_same_input(self, items: Items) -> bool:
        """Return whether the input has the rows that were checked; it is read again, and may be another file.

        :param items: the rows, as ``read_items`` takes them
        :raises InvalidInput: if they cannot be run
        :raises OutcomeUnknown: if the batch's state is gone
        """
        with self._require_state():
            version = version_of(items)
            manifest = recheck(
                self.state_folder,
                self._options.rows(items),
                common=self._options.common,
                skip_bad_rows=self._options.skip_bad_rows,
            )
            _require_version(items, version)
        is_same = manifest == dataclasses.replace(self.manifest, version=None, sharding=None)
        if is_same:
            self.manifest = dataclasses.replace(manifest, version=version, sharding=sharding_of(items))
        return is_same

    def require_hashes(self, items: Items) -> None:
        """Return once the manifest has the hashes of personal numbers that the output is to have.

        They were left out, or keyed with another secret, where ``hash_personal_numbers`` or the connection's
        ``hash_secret`` has changed since the input was checked: then it is read again.

        :param items: the rows, as ``read_items`` takes them
        :raises InvalidInput: if it cannot be read any more, or has changed
        :raises OutcomeUnknown: if the batch's state is gone
        """
        hash_secret = self._options.hash_secret(self._settings)
        with self._require_state():
            if hash_secret is None or has_hashes_of(self.state_folder, hash_secret):
                return
            try:
                is_same = self.has_same_input(items)
            except InvalidInput as error:
                raise self._hashes_are_missing(str(error)) from error
            if not is_same:
                raise self._hashes_are_missing("its rows have changed")
            rewrite_manifest(
                self.state_folder,
                self._options.rows(items),
                self.manifest,
                common=self._options.common,
                hash_secret=hash_secret,
            )

    @staticmethod
    def _hashes_are_missing(reason: str) -> InvalidInput:
        return InvalidInput(
            "hash_personal_numbers, or the connection's hash_secret, has changed since items was checked, and the "
            f"hashes can only be made of the same items: {reason}. No run is lost. Clear the task, with items as "
            "it was or with a key in each row, or set both as they were"
        )

    def with_input(self, items: Items, place: BatchPlace) -> tuple[Batch, Changes]:
        """Return the batch with another input, which keeps what it has of those rows that are as before.

        :param items: the rows, as ``read_items`` takes them
        :param place: where its state is from now on
        :raises InvalidInput: if they cannot be run, or have no keys by which they could be compared
        :raises OutcomeUnknown: if the batch's state is gone
        """
        with self._require_state():
            salt = read_salt(self.state_folder)
            manifest = self.check(self._settings, self._options, place, items, salt=salt, is_new=False)
            try:
                changes = take_over(
                    self.state_folder,
                    self.manifest,
                    self.states,
                    place.state_folder,
                    manifest,
                    with_parameters=self._has_same_parameters,
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
        )
        return batch, changes

    @cached_property
    def states(self) -> dict[int, RowState]:
        """The state of each row that the journal names, by number."""
        return states(self.state_folder, is_stopped=self._is_stopped)

    def _is_stopped(self) -> bool:
        return not self._ownership.may_act

    @property
    def running(self) -> int:
        """Number of runs to wait for."""
        return self._outcomes()[RowOutcome.RUNNING]

    @property
    def awaited(self) -> AwaitedRuns:
        """The runs to wait for."""
        return AwaitedRuns.of(
            state.workflow_id for state in self._rows() if state.is_running and state.workflow_id
        )

    @property
    def submitted(self) -> int:
        """Number of rows that have a run, whether it has ended or not."""
        return sum(state.workflow_id is not None for state in self._rows())

    @property
    def cases(self) -> int:
        """Number of rows that have a case: it never gets smaller, also where rows are submitted again."""
        return sum(state.case_id is not None for state in self._rows())

    @property
    def others(self) -> dict[str, int]:
        """Rows by outcome, for those rows that have no run to wait for."""
        return {
            outcome.value: number
            for outcome, number in self._outcomes().items()
            if outcome not in _WAITED_FOR
        }

    @property
    def repair(self) -> Repair:
        """What becomes of the rows now."""
        return repair_of(self._outcomes())

    def require_journal(self, cases: int) -> None:
        """Return if the journal has as many rows with a case as Airflow's record of the batch.

        :param cases: number of rows that have a case, as the record says
        :raises OutcomeUnknown: if some of them are gone, or all of the state
        """
        try:
            is_whole = bool(self.states) and self.cases >= cases
        except FileNotFoundError:
            raise self._state_is_gone("the folder is not there") from None
        except (AttributeError, LookupError, TypeError, ValueError):
            raise self._state_is_gone("a line of the journal cannot be read") from None
        if not is_whole:
            raise self._state_is_gone(
                f"the journal has cases of {self.cases:,} rows, and there were {cases:,} or more"
            )

    def rows_to_submit_again(self, *, failed: bool, unknown: bool) -> list[int]:
        """Return the numbers of rows that are submitted again, beside those that have no run.

        :param failed: whether to submit those whose run has failed
        :param unknown: whether to submit those that may have been submitted
        """
        return rows_to_submit_again(self.states, self._settings.statuses, failed=failed, unknown=unknown)

    def adopt_from_other_shards(self, task: TaskIdentity) -> int:
        """Go on with the runs that rows of this shard have in other shards, and return how many these are.

        :param task: the shard's task
        """
        if not self.manifest.has_keys or self.manifest.sharding is None:
            return 0
        wanted = {
            (row.key, row.digest): row.number
            for row in read_manifest(self.state_folder, self.manifest, is_stopped=self._is_stopped)
            if row.skipped is None and self.states.get(row.number, _NOTHING).is_due
        }
        found = find_in_other_shards(self._folder, task, wanted) if wanted else {}
        adopt(self.state_folder, self.states, found)
        return len(found)

    def wait_again(self) -> None:
        """Have those runs be waited for that were not seen to end, though the wait for them has ended."""
        wait_again(
            self.state_folder, self.states, rows_to_wait_for_again(self.states, self._settings.statuses)
        )

    def submit_again(self, rows: list[int]) -> None:
        """Make rows due.

        :param rows: numbers of rows
        """
        submit_again(self.state_folder, self.states, rows)

    def _state_is_gone(self, what: str) -> errors.OutcomeUnknown:
        return errors.OutcomeUnknown(
            f"The batch's state is gone from {shown(self.state_folder)}, or a part of it: {what}. So nobody knows "
            "what was submitted, and nothing was sent. Put the folder back as it was, or set "
            'on_clear="start_over" and clear the task, which submits all rows anew.'
        )

    @contextlib.contextmanager
    def _require_state(self) -> Iterator[None]:
        try:
            read_salt(self.state_folder)
        except FileNotFoundError:
            raise self._state_is_gone("there is no manifest") from None
        except (LookupError, TypeError, ValueError):
            raise self._state_is_gone("the manifest cannot be read") from None
        yield

    @property
    def _has_same_parameters(self) -> bool:
        return (
            read_common(self.state_folder)
            == RowDigests(read_salt(self.state_folder), self._options.common).of_common()
        )

    async def submit(self, items: Items, publish: Publish, log: Any) -> None:
        """Submit each row that is due.

        :param items: the rows, as they were checked
        :param publish: takes what a page shows
        :param log: the task's log
        :raises InvalidInput: if a row is not the one that was checked
        :raises Stopped: if this try has to stop
        :raises WorkflowsError: if the first rows show that none can be submitted
        """
        rows = self.manifest.rows - self.manifest.skipped
        if rows == sum(not state.is_due for state in self._rows()):
            return
        _require_version(items, self.manifest.version)
        with self._require_state():
            checked = read_checked_rows(self.state_folder, self.manifest, common=self._options.common)
        journal = Journal(self.state_folder, is_stopped=self._is_stopped, log=log)
        with contextlib.closing(journal):
            async with self._client() as client:
                submission = Submission(
                    client,
                    journal,
                    self.states,
                    self._flow_control(client),
                    workflow_definition_id=self._options.workflow_definition_id,
                    parameters=self._options.parameters,
                    concurrency=self._options.max_concurrency,
                    ownership=self._ownership,
                    checked=checked,
                )
                submitted = partial(submission.counts, self._settings.statuses)
                async with BatchProgress("Submitting", rows, submitted, publish, log):
                    await submission.run(self._options.rows(items))

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

        :param publish: takes what a page shows
        :param log: the task's log
        :raises Stopped: if this try has to stop; the output is as it was
        :raises Exception: if the output cannot be written
        """
        async with self._client() as client, self._ownership.watched():
            collection = self._collection(client)
            async with BatchProgress("Fetching results", self.manifest.rows, collection.counts, publish, log):
                await self._write_output(collection)
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
            )
            await latest._write_output(latest._collection(client, fetch=False))

    def _collection(self, client: CurrentClient, *, fetch: bool = True) -> Collection:
        return Collection(
            client,
            self._flow_control(client),
            self.states,
            concurrency=self._options.max_concurrency,
            hash_secret=self._options.hash_secret(self._settings),
            fetch=fetch,
            ownership=self._ownership,
        )

    async def _write_output(self, collection: Collection) -> None:
        rows = read_manifest(self.state_folder, self.manifest, is_stopped=self._is_stopped)
        if not has_hashes_of(self.state_folder, self._options.hash_secret(self._settings)):
            # They are not asked for any more, or would not match those of the results.
            rows = (dataclasses.replace(row, personal_number_hash=None) for row in rows)
        await collection.run(
            rows,
            partial(writer, self._folder, self._options.output_format),
        )

    def _client(self) -> CurrentClient:
        return CurrentClient(
            self._settings,
            read_settings=self._read_settings,
            tokens=self._tokens,
            pool_size=self._options.max_concurrency,
        )

    def _flow_control(self, client: CurrentClient) -> FlowControl:
        return FlowControl(
            self._options.requests_per_second or self._settings.requests_per_second,
            max_attempts=self._settings.max_attempts,
            max_outage=self._options.max_outage,
            credentials=client,
            sleep=self._ownership.sleep,
        )

    def _rows(self) -> list[RowState]:
        return [state for number, state in self.states.items() if number != WHOLE_BATCH]

    def _outcomes(self) -> Counter[RowOutcome]:
        outcomes = Counter(state.outcome(self._settings.statuses) for state in self._rows())
        outcomes[RowOutcome.SKIPPED] = self.manifest.skipped
        outcomes[RowOutcome.NOT_SUBMITTED] += self.manifest.rows - sum(outcomes.values())
        return outcomes


def _require_version(items: Items, version: str | None) -> None:
    """Raise if the items' file is not the one that was checked.

    :param items: the rows, as ``read_items`` takes them
    :param version: what ``version_of`` returned when they were checked
    :raises InvalidInput: saying that it has changed
    """
    if version_of(items) != version:
        raise InvalidInput(
            "items: the file has changed since its rows were checked, so nothing more was sent. Let the export end "
            "before the task begins, and run the task again: rows that were sent before keep their runs"
        )
