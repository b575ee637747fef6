"""The rows of a batch whose runs are waited for: what has become of them, for its report."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.journal import Entry, states
from airflow_provider_workflows.batch.problem_rows import MAX_LISTED_ROWS, ProblemsOnTheWay, problem_of
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.submit import WHOLE_BATCH
from airflow_provider_workflows.batch.tally import Tally

if TYPE_CHECKING:
    from airflow_provider_workflows.api import Statuses
    from airflow_provider_workflows.api.polling import Wait
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.storage import ObjectStoragePath

#: What the wait needs of a row's state. The ids of cases alone would take 9 MB for a hundred thousand rows.
_FIELDS = frozenset(
    {
        "workflow_id",
        "compared_case_id",
        "compared_record_id",
        "submitted_at",
        "begun",
        "status",
        "ended_at",
        "error",
    }
)


class WatchedRows:
    """Counts the rows of a batch while its runs end, and lists those with something wrong.

    :param folder: where the batch keeps its state
    :param counts: rows by outcome, for those rows that have no run to wait for
    :param report: what was reported last; None to read it from the state
    :param problems: lists the rows with something wrong; None to begin such a list beside the output
    :param output_options: how the output is written, and so a list that is begun
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        counts: Mapping[str, int],
        report: BatchReport | None,
        problems: ProblemsOnTheWay | None,
        output_options: OutputOptions,
    ) -> None:
        self._folder = folder
        self._others = Counter({RowOutcome(name): number for name, number in counts.items()})
        #: What was reported last; None until the state was read.
        self.report = report
        self._tally = Tally(time.time())
        self._problems = problems
        self._output_options = output_options
        #: Rows that are still to be listed, if something is wrong with them.
        self._unlisted: list[tuple[int, RowState, RowOutcome]] = []
        self._measured_at: object = None

    def read_running(self, statuses: Statuses, is_stopped: Callable[[], bool]) -> dict[int, RowState]:
        """Return the state of each row whose run goes on, and count those that ended before. It blocks.

        :param statuses: which status means what, as the connection says
        :param is_stopped: returns whether nobody waits any more
        :raises Exception: if the state cannot be read
        """
        self.report = self.report or BatchReport.read(self._folder)
        if self.report is not None:
            self._tally = Tally(self.report.begun_at)
            first_row = self.report.first_row
            # The state is beside the output.
            folder = self._folder.parent.parent
            skipped = self._others[RowOutcome.SKIPPED]
            self._problems = self._problems or ProblemsOnTheWay(
                folder, self._folder, first_row, skipped, options=self._output_options
            )
        rows = states(self._folder, fields=_FIELDS, is_stopped=is_stopped)
        for number, state in rows.items():
            if state.ended_at is not None:
                # Without a status the service did not know the run, or refused access to it.
                self._tally.add_ended(number, state.status, state.error, state.submitted_at, state.ended_at)
            if not state.is_running and number != WHOLE_BATCH:
                self._list_if_problem(number, state, statuses)
        for number in [number for number, state in rows.items() if not state.is_running]:
            del rows[number]
        return rows

    @property
    def done(self) -> int:
        """Number of rows for whose run nobody waits any more."""
        return sum(self._tally.statuses.values()) + sum(self._tally.others.values())

    def begun_report(self, running: int) -> BatchReport:
        """Return the report with which the wait begins.

        :param running: number of runs to wait for
        """
        if self.report is None:
            # The worker of another version has written none.
            now = time.time()
            rows = running + self.done + sum(self._others.values())
            self.report = BatchReport("", "", ReportPhase.WAITING, now, rows, str(self._folder), "", now, now)
        return self.report

    def goes_on(self, row: int, error: Mapping[str, Any]) -> None:
        """Count a row whose run goes on, though the wait for it has ended.

        :param row: its number
        :param error: what has ended the wait, as the journal has it
        """
        self._tally.add_other(row, RowOutcome.RUNNING, error)

    def ended(self, entry: Entry, wait: Wait, statuses: Statuses) -> None:
        """Count a row whose run has ended.

        :param entry: what the journal says of it
        :param wait: the wait that has ended
        :param statuses: which status means what, as the connection says
        """
        row: int = entry["row"]
        self._tally.add_ended(row, entry["status"], entry["error"], wait.started, entry["ended_at"])
        fields = {name: value for name, value in entry.items() if name != "row"}
        self._list_if_problem(row, RowState(wait.case_id, record_id=wait.record_id, **fields), statuses)

    async def report_now(self, running: int, statuses: Statuses) -> BatchReport:
        """Return the report with the counts of now.

        :param running: number of runs that are waited for
        :param statuses: which status means what, as the connection says
        """
        report = self.begun_report(running)
        measured_at = (self.done, statuses)
        if self._measured_at != measured_at:
            outcomes = self._others + self._tally.outcomes(statuses)
            outcomes[RowOutcome.RUNNING] += running
            # In a thread: thousands of rows may have failed.
            report = await asyncio.to_thread(report.counted, self._tally, outcomes, statuses)
            if self._problems is not None:
                unlisted, self._unlisted = self._unlisted, []
                await asyncio.to_thread(self._problems.take, unlisted)
                report = self._problems.reported(report)
            self._measured_at = measured_at
        return report

    def _list_if_problem(self, row: int, state: RowState, statuses: Statuses) -> None:
        """Have a row be listed if something is wrong with it, as long as the list has room."""
        outcome = state.outcome(statuses)
        is_problem = problem_of(row, None, state, outcome, state.error) is not None
        if is_problem and len(self._unlisted) < MAX_LISTED_ROWS:
            self._unlisted.append((row, state, outcome))
