"""Fetch the results of a batch and write its output: one row for each row of the input, in their order."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.pseudonyms import find_personal_number, personal_number_hash
from airflow_provider_workflows.batch.flow_control import Attempts, FlowControl
from airflow_provider_workflows.batch.manifest import ManifestRow
from airflow_provider_workflows.batch.output_options import DEFAULT_OUTPUT
from airflow_provider_workflows.batch.output_row import OutputRow, iso
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.problem_rows import (
    BAD_ROW,
    AllProblems,
    ProblemRow,
    problem_of,
    said_without_error,
    skipped_row,
)
from airflow_provider_workflows.batch.reasons import Reasons, reason_of_row
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState, error_fields

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient
    from airflow_provider_workflows.batch.current_client import CurrentClient
    from airflow_provider_workflows.batch.output_formats import TableRows
    from airflow_provider_workflows.batch.output_options import OutputOptions

#: Makes a writer of the output, which gives up soon once the function that it is given returns True.
Writing: TypeAlias = "Callable[[Callable[[], bool]], AbstractContextManager[TableRows]]"


class Collection:
    """Fetches results, several at once, and only as far ahead of the writing as memory allows.

    :param client: makes one attempt for a call
    :param flow_control: what all calls share
    :param states: the state of each row that has one, by row number
    :param concurrency: how many results are fetched at once
    :param fetch: whether to fetch results; without, the output says what the journal says
    :param ownership: says whether this try may still fetch
    :param hash_secret: hash the personal numbers of results, keyed with this, where the input has none
    :param output_options: how the output is written, and the list of rows with something wrong
    """

    def __init__(
        self,
        client: AsyncWorkflowsClient | CurrentClient,
        flow_control: FlowControl,
        states: Mapping[int, RowState],
        *,
        concurrency: int,
        hash_secret: str | None = None,
        fetch: bool = True,
        ownership: Ownership | None = None,
        output_options: OutputOptions = DEFAULT_OUTPUT,
    ) -> None:
        self._client = client
        self._flow_control = flow_control
        self._states = states
        self._ownership = Ownership() if ownership is None else ownership
        self._ahead = 3 * concurrency
        #: Rows are read together and written together, because each such step goes to another thread.
        self._rows_at_once = concurrency
        self._hash_secret = hash_secret
        self._fetch_results = fetch
        self.outcomes: Counter[RowOutcome] = Counter()
        self.statuses: Counter[str] = Counter()
        #: Why rows have ended as they have.
        self.reasons = Reasons()
        self.problems = AllProblems(output_options)

    async def run(self, rows: Iterable[ManifestRow], writing: Writing) -> None:
        """Write one row of output for each of ``rows``; ``outcomes`` and ``statuses`` count them.

        :param rows: the rows of the manifest
        :param writing: makes the writer, which is used in a thread of its own: storage may fail for two minutes
        :raises Stopped: if this try has to stop; the output is as it was
        :raises Exception: if the output cannot be written
        """
        under_way: deque[asyncio.Task[_Ended]] = deque()
        ended: list[_Ended] = []
        cutting = asyncio.create_task(self._cut_at_stop(under_way))
        try:
            async with self._in_thread(writing) as write:
                async for row in self._read_in_thread(rows):
                    under_way.append(asyncio.create_task(self._output(row)))
                    if len(under_way) > self._ahead:
                        ended.append(await self._first_of(under_way))
                    if len(ended) == self._rows_at_once:
                        await write(ended)
                        ended = []
                while under_way:
                    ended.append(await self._first_of(under_way))
                await write(ended)
        finally:
            for task in (cutting, *under_way):
                task.cancel()

    async def _cut_at_stop(self, under_way: deque[asyncio.Task[_Ended]]) -> None:
        """End what is under way as soon as this try has to stop: a result can be fetched again at no cost."""
        try:
            while True:
                await self._ownership.sleep(3600.0)
        except errors.Stopped:
            for task in under_way:
                task.cancel()

    async def _first_of(self, under_way: deque[asyncio.Task[_Ended]]) -> _Ended:
        """Take the first of what is under way out, and return it once it has ended.

        :raises Stopped: if this try has to stop
        """
        try:
            ended = await under_way[0]
        except asyncio.CancelledError:
            self._ownership.require()
            raise
        under_way.popleft()
        return ended

    async def count(self, rows: Iterable[ManifestRow]) -> None:
        """Count rows of which an earlier try has written each, with its result; nothing is fetched or written.

        :param rows: the rows of the manifest
        """
        async for row in self._read_in_thread(rows):
            state = self._states.get(row.number, RowState())
            outcome = state.outcome(self._client.settings.statuses)
            has_result = row.skipped is None and outcome is RowOutcome.SUCCEEDED
            self._count([_Ended(_output_row(row, state, outcome)) if has_result else await self._output(row)])

    async def _read_in_thread(self, rows: Iterable[ManifestRow]) -> AsyncIterator[ManifestRow]:
        """Yield rows that are read in another thread: storage may fail for two minutes."""
        reading = iter(rows)
        while some := await asyncio.to_thread(lambda: list(itertools.islice(reading, self._rows_at_once))):
            for row in some:
                yield row

    @asynccontextmanager
    async def _in_thread(self, writing: Writing) -> AsyncIterator[Callable[[list[_Ended]], Awaitable[None]]]:
        """Yield what writes rows, in a thread; the output is there after a block without an exception."""
        is_over = False
        manager = writing(lambda: is_over or not self._ownership.may_act)
        with ThreadPoolExecutor(1, "batch-output") as thread:
            run = partial(asyncio.get_running_loop().run_in_executor, thread)
            try:
                writer = await run(manager.__enter__)

                async def write(rows: list[_Ended]) -> None:
                    await run(lambda: deque(map(writer.write, [row.output for row in rows]), maxlen=0))
                    self._count(rows)

                try:
                    yield write
                except BaseException as error:
                    is_over = True
                    await run(manager.__exit__, type(error), error, error.__traceback__)
                    raise
                await run(manager.__exit__, None, None, None)
            finally:
                is_over = True

    @property
    def written(self) -> int:
        """Number of rows that are written."""
        return sum(self.outcomes.values())

    def _count(self, rows: Iterable[_Ended]) -> None:
        for row in rows:
            outcome = RowOutcome(row.output.outcome)
            self.outcomes[outcome] += 1
            if row.output.status is not None:
                self.statuses[row.output.status] += 1
            if row.reason is not None:
                self.reasons.add(outcome, row.reason, row.output.row)
            if row.problem is not None:
                self.problems.add(row.problem)

    async def _output(self, row: ManifestRow) -> _Ended:
        if row.skipped is not None:
            output = _output_row(row, RowState(), RowOutcome.SKIPPED, BAD_ROW, row.skipped)
            return _Ended(output, row.skipped, skipped_row(row.number, row.line, row.skipped))
        state = self._states.get(row.number, RowState())
        outcome = state.outcome(self._client.settings.statuses)
        if outcome is RowOutcome.SUCCEEDED and not self._fetch_results:
            return _with_error(row, state, RowOutcome.RESULT_MISSING, _NOT_FETCHED)
        if outcome is RowOutcome.SUCCEEDED and state.workflow_id is not None:
            try:
                result = await self._fetch(state.workflow_id, state.case_id, state.record_id)
            except errors.Stopped:
                raise
            except errors.WorkflowsError as error:
                return _with_error(row, state, RowOutcome.RESULT_MISSING, error_fields(error))
            if self._hash_secret is not None and row.personal_number_hash is None:
                hashed = personal_number_hash(find_personal_number(result), self._hash_secret)
                row = dataclasses.replace(row, personal_number_hash=hashed)
            return _Ended(_output_row(row, state, outcome, result=result))
        return _with_error(row, state, outcome, state.error)

    async def _fetch(self, workflow_id: str, case_id: str | None, record_id: str | None) -> dict[str, Any]:
        attempts = Attempts()
        while True:
            if self._flow_control.gave_up is not None:
                raise self._flow_control.gave_up
            await self._flow_control.turn()
            self._ownership.require()
            try:
                result = await self._client.read_result(workflow_id, case_id, record_id)
            except errors.WorkflowsError as error:
                if not await self._flow_control.another(attempts, error):
                    raise
            else:
                self._flow_control.succeeded(attempts)
                return result.json_object()


_NOT_FETCHED = {
    "kind": "NotFetched",
    "message": "The task ended before the result was fetched. A retry or a clear fetches it.",
}


class _Ended(NamedTuple):
    """A row as it is written, why it has ended so, and how it is listed if something is wrong with it."""

    output: OutputRow
    reason: str | None = None
    problem: ProblemRow | None = None


def _with_error(
    row: ManifestRow, state: RowState, outcome: RowOutcome, error: Mapping[str, Any] | None
) -> _Ended:
    said = _code_and_error(error or said_without_error(outcome, state.status))
    output = _output_row(row, state, outcome, *said)
    problem = problem_of(row.number, row.line, state, outcome, error)
    return _Ended(output, reason_of_row(outcome, state.status, error), problem)


def _code_and_error(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the code and the message of an error: the service's own code where it gave one, or its kind."""
    return fields.get("code") or fields["kind"], fields["message"]


def _output_row(
    row: ManifestRow,
    state: RowState,
    outcome: RowOutcome,
    code: str | None = None,
    error: str | None = None,
    *,
    result: dict[str, Any] | None = None,
) -> OutputRow:
    return OutputRow(
        key=row.key,
        row=row.number,
        outcome=outcome.value,
        status=state.status,
        case_id=state.case_id,
        workflow_id=state.workflow_id,
        # The time of a request that the service has refused is of no use to anybody.
        submitted_at=None if outcome is RowOutcome.NOT_SUBMITTED else iso(state.submitted_at),
        ended_at=iso(state.ended_at),
        result=result,
        error_code=code,
        error=error,
        personal_number_hash=row.personal_number_hash,
        record_id=state.record_id,
        revision=_as_text(state.revision),
        execution_version=_as_text(state.execution_version),
    )


def _as_text(version: int | str | None) -> str | None:
    """Return a version as each form of the output has it: a column has one type, and it may be either."""
    return None if version is None else str(version)
