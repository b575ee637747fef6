"""The rows of a batch, and what there is to say of them while it goes on and at its end."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.batch_rows import BatchRows
from airflow_provider_workflows.batch.problem_rows import PROBLEM_ROWS_NAME, ProblemsOnTheWay
from airflow_provider_workflows.batch.progress import Measured
from airflow_provider_workflows.batch.report import BatchReport, ReportPhase
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.tally import Tally
from airflow_provider_workflows.batch.unknown_rows import UNKNOWN_ROWS_NAME
from airflow_provider_workflows.storage import read_connection_again, shown
from airflow_provider_workflows.storage_retry import StorageRetry, failure_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.collect import Collection
    from airflow_provider_workflows.batch.manifest import Manifest
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.batch.place import BatchPlace
    from airflow_provider_workflows.batch.submit import Submission
    from airflow_provider_workflows.storage import ObjectStoragePath

log = logging.getLogger(__name__)


class ReportedRows(BatchRows):
    """The rows of one batch, and the report of them.

    :param place: where the output and the batch's state are
    :param manifest: the checked input
    :param statuses: which status means what, as the connection says
    :param is_stopped: returns whether the task was told to stop
    :param report: what there is to say of the batch, its rows and its place left out
    :param output: path of the output
    :param output_options: how it is written, and the lists beside it
    """

    def __init__(
        self,
        place: BatchPlace,
        manifest: Manifest,
        statuses: Statuses,
        is_stopped: Callable[[], bool],
        *,
        report: BatchReport,
        output: ObjectStoragePath,
        output_options: OutputOptions,
    ) -> None:
        super().__init__(place, manifest, statuses, is_stopped)
        #: How the output is written, and the lists beside it.
        self.output_options = output_options
        #: Lists rows with something wrong while the batch goes on.
        self.problems = ProblemsOnTheWay(
            place.folder, place.state_folder, manifest.first_row, manifest.skipped, options=output_options
        )
        #: Whether there is an output, or will be once the try has ended.
        self.has_output = True
        #: What was reported last.
        self.report = dataclasses.replace(
            report,
            rows=manifest.rows,
            first_row=manifest.first_row,
            last_row=manifest.last_row,
            state_folder=shown(place.state_folder),
            output=shown(output),
        )

    @property
    def stopped_by(self) -> str | None:
        """Name of the person who has stopped the submission while rows were submitted; None if nobody has."""
        return None

    def report_at(self, phase: ReportPhase) -> BatchReport:
        """Return what there is to say of the batch as the journal has it now, and keep it.

        :param phase: what the batch begins with
        """
        self.report_skipped()
        statuses, tally = self._statuses, self.tally(self.report.begun_at)
        outcomes = tally.outcomes(statuses)
        outcomes[RowOutcome.SKIPPED] = self.manifest.skipped
        outcomes[RowOutcome.NOT_SUBMITTED] += self.manifest.rows - sum(outcomes.values())
        self.report = self.report.counted(tally, outcomes, statuses).at_phase(phase, time.time())
        return self.report

    def report_skipped(self) -> None:
        """Say why rows were left out. It reads the manifest, once."""
        if self.manifest.skipped and RowOutcome.SKIPPED not in self.report.reasons:
            reasons = {**self.report.reasons, RowOutcome.SKIPPED: self.skipped_reasons()}
            self.report = dataclasses.replace(self.report, reasons=reasons)

    async def measure_submission(self, submission: Submission) -> Measured:
        """Return where the batch stands while rows are submitted.

        :param submission: submits them
        """
        report = await asyncio.to_thread(self._submission_report, submission)
        report = report.at_phase(ReportPhase.SUBMITTING, time.time())
        self.report = dataclasses.replace(report, stopped_by=self.stopped_by or report.stopped_by)
        return Measured(self.report)

    def _submission_report(self, submission: Submission) -> BatchReport:
        statuses = self._statuses
        tally = Tally.of(self.report.begun_at, submission.dealt_with(), statuses)
        outcomes = tally.outcomes(statuses)
        outcomes[RowOutcome.SKIPPED] = self.manifest.skipped
        report = self.report.counted(tally, outcomes, statuses)
        if not self.is_stopped():
            self.problems.take(
                (number, state, state.outcome(statuses)) for number, state in submission.dealt_with()
            )
        return self.problems.reported(report)

    async def measure_collection(self, collection: Collection, reported: BatchReport) -> Measured:
        """Return where the batch stands while results are fetched.

        :param collection: fetches them
        :param reported: what was reported before
        """
        missing = collection.outcomes[RowOutcome.RESULT_MISSING]
        outcomes = Counter(reported.outcomes)
        outcomes[RowOutcome.SUCCEEDED.value] -= missing
        outcomes[RowOutcome.RESULT_MISSING.value] += missing
        reasons = await asyncio.to_thread(collection.reasons.folded)
        self.report = dataclasses.replace(
            reported.at_phase(ReportPhase.FETCHING, time.time()),
            outcomes={name: number for name, number in outcomes.items() if number},
            reasons={**reported.reasons, **reasons},
            written=collection.written,
        )
        return Measured(self.report)

    def ended_report(self, collection: Collection) -> BatchReport:
        """Write the list of rows with something wrong, and return the report of a try that has ended. It blocks.

        :param collection: has written the output
        """
        statuses, tally = self._statuses, self.tally(self.report.begun_at)
        report = self.report.counted(tally, collection.outcomes, statuses)
        now = time.time()
        problems = self._written_problems(collection)
        unknown = collection.outcomes[RowOutcome.UNKNOWN]
        return dataclasses.replace(
            report.at_phase(ReportPhase.ENDED, now),
            reasons=collection.reasons.folded(),
            problem_rows=problems,
            unknown_rows=shown(self.place.folder / UNKNOWN_ROWS_NAME) if unknown else None,
            ended_at=now,
            written=collection.written,
        )

    def _written_problems(self, collection: Collection) -> str | None:
        """Write the list of rows with something wrong, and return its URI; None if there are no such rows."""
        path = self.place.folder / PROBLEM_ROWS_NAME
        retry = StorageRetry(
            f"The list {shown(path)}",
            meanwhile="the task waits",
            renew=partial(read_connection_again, path),
            is_stopped=self.is_stopped,
        )
        try:
            retry.run(lambda: collection.problems.write(self.place.folder))
        except Exception as error:  # noqa: BLE001  (the output says the same)
            log.warning("The list %s could not be written: %s.", shown(path), failure_reason(error))
        return shown(path) if collection.problems.number else None
