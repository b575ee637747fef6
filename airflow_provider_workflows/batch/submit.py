"""Submit the rows of a batch: many at a time, with each call in the journal before it is made and after."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api import endpoints, errors
from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
from airflow_provider_workflows.api.generations import DEFAULT_GENERATION, GENERATIONS
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.batch.due_rows import DueRows
from airflow_provider_workflows.batch.end_user_runs import EndUserRuns
from airflow_provider_workflows.batch.flow_control import Attempts, FlowControl
from airflow_provider_workflows.batch.input.bad_rows import named_rows
from airflow_provider_workflows.batch.input.columns import DOCUMENT_FILES
from airflow_provider_workflows.batch.journal import Journal
from airflow_provider_workflows.batch.ownership import Ownership
from airflow_provider_workflows.batch.row_state import RowState, error_fields
from airflow_provider_workflows.batch.row_subjects import RowSubjects
from airflow_provider_workflows.batch.started_runs import StartedRuns, changes_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow_provider_workflows.api import AsyncWorkflowsClient
    from airflow_provider_workflows.api.models import Parameters
    from airflow_provider_workflows.api.uploads import Upload
    from airflow_provider_workflows.batch.current_client import CurrentClient
    from airflow_provider_workflows.batch.input.checked_columns import Checked
    from airflow_provider_workflows.batch.input.rows import Row
    from airflow_provider_workflows.batch.row_digests import CheckedRows

log = logging.getLogger(__name__)

#: The row number under which the journal keeps what belongs to the whole batch: its parameters.
WHOLE_BATCH = 0
#: This many rows are sent one by one, until a run was started: one row finds out that a definition does not exist.
FIRST_ROWS = 3
#: An outage is waited out for this many seconds while nothing is submitted; later for ``max_outage``.
FIRST_MAX_OUTAGE_SECONDS = 60.0


class Submission:
    """Creates a case or a record, and starts a run, for each row that has none.

    Which rows are due says ``RowState.is_due``; a later try makes more of them due (``batch/repair.py``).

    :param client: makes one attempt for a call: calls are repeated here, so that the journal has each attempt
    :param journal: where each call is written down
    :param states: the state of each row that has one, by row number; kept up to date
    :param flow_control: what all calls share
    :param workflow_definition_id: id of the workflow definition
    :param parameters: JSON values by name for all rows that have none of their own, or None
    :param concurrency: how many rows are under way at once
    :param generation: number of the API's generation
    :param table_id: id of the table in which records are created
    :param locale: language of what end users are shown
    :param expires_at: when runs expire, or how long after their start
    :param ownership: says whether this try may still begin something
    :param checked: the rows as they were checked: one that has changed since is not sent
    """

    def __init__(
        self,
        client: AsyncWorkflowsClient | CurrentClient,
        journal: Journal,
        states: dict[int, RowState],
        flow_control: FlowControl,
        *,
        workflow_definition_id: str,
        parameters: Mapping[str, Any] | None,
        concurrency: int,
        generation: int = DEFAULT_GENERATION,
        table_id: str | None = None,
        locale: str | None = None,
        expires_at: datetime | timedelta | None = None,
        ownership: Ownership | None = None,
        checked: CheckedRows | None = None,
    ) -> None:
        self._client = client
        self._journal = journal
        self._states = states
        self._flow_control = flow_control
        self._ownership = Ownership() if ownership is None else ownership
        self._stop = self._ownership.submission_stop
        self._checked = checked
        self._workflow_definition_id = workflow_definition_id
        self._parameters = parameters
        self._concurrency = concurrency
        self._generation = generation
        self._is_inline = "parameters" in GENERATIONS[generation].run_arguments
        self._subjects = RowSubjects(states, call=self._call, note=self._note, table_id=table_id)
        self._locale = locale
        self._expires_at = expires_at
        self._end_user_runs = EndUserRuns()
        self._started_runs = StartedRuns()
        self._failure: BaseException | None = None
        #: Rows that are being submitted: a call is under way, or waits for another attempt.
        self._under_way: set[int] = set()
        #: Numbers of rows that this try has given up without a run.
        self._given_up = array("I")

    async def run(self, rows: Iterator[Checked]) -> None:
        """Submit the rows that are due; those that fail are in ``states`` with their error.

        Once a person has stopped the submission no row begins, and calls under way end.

        :raises WorkflowsError: when the first rows show that none can succeed, before the others are sent
        :raises InvalidInput: when a row has changed since the input was checked; it is not sent
        :raises Stopped: when this try has to stop; calls that were under way have ended and are written down
        :raises Exception: when the journal cannot be written
        """
        due = DueRows(rows, self._is_due, self._checked)
        async with self._ownership.watched():
            with self._stop.submitting(), contextlib.suppress(errors.SubmissionStopped):
                await self._ownership.finish([self._begin(due)])
                if self._failure is None:
                    await self._ownership.finish(self._work(due) for _ in range(self._concurrency))
        if self._failure is not None:
            raise self._failure
        self._ownership.require()
        if self._stop.asked_by is None:
            due.require_all()

    def dealt_with(self) -> Iterator[tuple[int, RowState]]:
        """Yield number and state of rows that are submitted or given up; another thread may submit meanwhile."""
        given_up = frozenset(self._given_up.tolist())
        # Pairs of all rows at once would take 120 bytes a row for the moment of a report.
        for number in list(self._states):
            state = self._states[number]
            # In this order: a row that has been due until now may be under way a moment later.
            is_dealt_with = number != WHOLE_BATCH and (not state.is_due or number in given_up)
            if is_dealt_with and number not in self._under_way:
                yield number, state

    async def _begin(self, due: DueRows) -> None:
        if all(state.workflow_id is None for state in self._states.values()):
            with self._flow_control.first_calls(FIRST_MAX_OUTAGE_SECONDS):
                await self._create_parameters()
                await self._first_rows(due)
        else:
            await self._create_parameters()

    def _is_due(self, number: int) -> bool:
        state = self._states.get(number)
        return state is None or state.is_due

    async def _create_parameters(self) -> None:
        parameters = self._parameters
        if self._is_inline or parameters is None or self._state(WHOLE_BATCH).parameters_id is not None:
            return
        response = await self._call(WHOLE_BATCH, "parameters", self._create_set(parameters))
        await self._record(WHOLE_BATCH, begun=None, parameters_id=response.id)

    async def _first_rows(self, due: DueRows) -> None:
        for _ in range(FIRST_ROWS):
            row = await due.next()
            if row is None or self._stop.asked_by is not None:
                return
            try:
                await self._submit(row)
                break
            except errors.OutcomeUnknown:
                continue
            except errors.WorkflowsError as error:
                # What the row is about was created just now: an id that is not found is of the definition or table.
                is_given = row.case_id is not None or row.record_id is not None
                is_of_all = isinstance(error, errors.NotFound) and not is_given
                if error.concerns_every_call or is_of_all:
                    log.warning(
                        "The first row, %s, failed for a reason that holds for all rows, so no other was sent.",
                        named_rows([row.number], [] if row.line is None else [row.line]),
                    )
                    raise

    async def _work(self, due: DueRows) -> None:
        try:
            # After a failure that stops all (a full disk), the others finish the rows that they are at.
            while self._may_go_on and (row := await due.next()) is not None:
                if self._flow_control.gave_up is not None:
                    await self._record(row.number, error=error_fields(self._flow_control.gave_up))
                    self._given_up.append(row.number)
                    continue
                try:
                    await self._ownership.turn()
                    await self._submit(row)
                except errors.WorkflowsError as error:
                    log.debug("Row %d: %s", row.number, error)
        except asyncio.CancelledError:  # a stop has cut a call whose response did not come: ``run`` says so
            raise
        except BaseException as error:  # noqa: BLE001  (raised by ``run``, once the others have finished)
            self._failure = self._failure or error

    @property
    def _may_go_on(self) -> bool:
        return self._failure is None and self._ownership.may_act and self._stop.asked_by is None

    async def _submit(self, row: Row) -> None:
        self._under_way.add(row.number)
        try:
            await self._make_calls(row)
        except errors.WorkflowsError:
            if self._state(row.number).is_due:
                self._given_up.append(row.number)
            raise
        finally:
            self._under_way.discard(row.number)

    async def _make_calls(self, row: Row) -> None:
        number, state = row.number, self._state(row.number)
        case_id, record_id = await self._subjects.of(row, state, self._checked_file)
        parameters_id = state.parameters_id or self._state(WHOLE_BATCH).parameters_id
        if row.parameters is not None and state.parameters_id is None and not self._is_inline:
            parameters_id = (await self._call(number, "parameters", self._create_set(row.parameters))).id
            self._note(number, begun=None, parameters_id=parameters_id)
        given = self._parameters if row.parameters is None else row.parameters
        details = RunDetails(
            self._workflow_definition_id,
            case_id,
            None if self._is_inline else parameters_id,
            record_id,
            given if self._is_inline else None,
            self._locale,
            self._expires_at,
        )
        # An expiry that is counted from now is another in each attempt.
        run = await self._call(number, "run", lambda: endpoints.run_workflow(details, self._generation))
        try:
            self._started_runs.add(run)
        except errors.OutcomeUnknown as error:
            await self._record(number, error=error_fields(error))
            raise
        self._end_user_runs.note(run)
        await self._record(number, **changes_of(run, case_id, record_id))

    async def _checked_file(self, number: int, path: str) -> Upload:
        from airflow_provider_workflows.files_to_upload import file_to_upload  # noqa: PLC0415  (seldom)

        try:
            return await asyncio.to_thread(file_to_upload, DOCUMENT_FILES, path)
        except errors.WorkflowsError as error:
            await self._record(number, begun=None, error=error_fields(error))
            raise

    def _create_set(self, parameters: Mapping[str, Any]) -> Callable[[], Endpoint[Parameters]]:
        return lambda: endpoints.create_parameters(self._workflow_definition_id, parameters)

    async def _call(
        self, number: int, begun: str, endpoint: Callable[[], Endpoint[ResponseModel]]
    ) -> ResponseModel:
        attempts = Attempts(begun)
        while True:
            await self._flow_control.turn(begun)
            if self._flow_control.gave_up is not None:
                await self._record(number, error=error_fields(self._flow_control.gave_up))
                raise self._flow_control.gave_up
            self._ownership.require()
            self._stop.require()
            changes: dict[str, Any] = {"begun": begun, "error": None}
            if begun == "run":
                # By this time of the request a person finds the run in the dashboard, should the response be lost.
                changes["submitted_at"] = time.time()
            await self._record(number, **changes)
            try:
                # The write may have waited for two minutes, and the task been told to stop meanwhile.
                self._ownership.require()
                self._stop.require()
            except (errors.Stopped, errors.SubmissionStopped):
                await self._record(number, begun=None, submitted_at=None)
                raise
            try:
                response = await self._client.perform(attempts.request(endpoint))
            except errors.OutcomeUnknown as error:
                self._flow_control.lost(attempts, error)
                await self._record(number, error=error_fields(error))
                raise
            except errors.WorkflowsError as error:
                await self._record(number, begun=None, error=error_fields(error))
                if not await self._flow_control.another(attempts, error):
                    raise
            else:
                self._flow_control.succeeded(attempts)
                return response

    def _state(self, number: int) -> RowState:
        return self._states.get(number) or self._states.setdefault(number, RowState())

    def _note(self, number: int, **changes: Any) -> None:
        self._state(number).change(changes)
        self._journal.note({"row": number, **changes})

    def _record(self, number: int, **changes: Any) -> Awaitable[None]:
        self._state(number).change(changes)
        return self._journal.record({"row": number, **changes})
