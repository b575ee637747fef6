"""The list of rows with something wrong, beside the output of their batch, for its page and for people."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.api.expiry import EXPIRED_ADVICE
from airflow_provider_workflows.api.status import EXPIRED_STATUS
from airflow_provider_workflows.batch.manifest import manifest_lines
from airflow_provider_workflows.batch.output_options import DEFAULT_OUTPUT
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.spreadsheet_lines import SpreadsheetLines
from airflow_provider_workflows.batch.unknown_rows import UNKNOWN_ROW_ADVICE, UNKNOWN_ROWS_NAME
from airflow_provider_workflows.storage import remove_file, shown
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.batch.report import BatchReport
    from airflow_provider_workflows.storage import ObjectStoragePath

log = logging.getLogger(__name__)

PROBLEM_ROWS_NAME = "problem_rows.csv"
COLUMNS = (
    *("row", "place", "outcome", "code", "message", "fingerprint", "workflow_id", "case_id"),
    "record_id",
)
#: While the batch goes on, this many rows are listed.
MAX_LISTED_ROWS = 10_000
#: The code of a row that was left out because it was bad.
BAD_ROW = "BadRow"
#: What is said of rows that met no error.
WITHOUT_ERROR: Mapping[RowOutcome, Mapping[str, str]] = {
    RowOutcome.UNKNOWN: {
        "kind": "OutcomeUnknown",
        "message": "The task was cut off while it submitted this row, so nobody here knows whether there is a run. "
        f"{UNKNOWN_ROWS_NAME} lists all such rows. {UNKNOWN_ROW_ADVICE}",
    },
    RowOutcome.NOT_SUBMITTED: {"kind": "NotSubmitted", "message": "The row was not sent."},
    RowOutcome.RUNNING: {"kind": "DeadlineReached", "message": "The wait ended before the workflow did."},
    RowOutcome.FAILED: {"kind": "WorkflowFailed", "message": "The workflow ended in a failure status."},
}
_EXPIRED: Mapping[str, str] = {
    "kind": "WorkflowFailed",
    "message": f"The workflow has expired (status {EXPIRED_STATUS}) before it was completed. {EXPIRED_ADVICE}",
}
_BYTES_IN_MEMORY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A row with something wrong; nothing in it is personal.

    :param row: its number
    :param place: where its key is found: ``line 8 of the file``, or ``row 7``
    :param outcome: what has become of it
    :param code: the service's error code, the status in which the run has failed, or the kind of the error
    :param message: what went wrong
    :param fingerprint: what the service's support asks for
    :param workflow_id: id of its run
    :param case_id: id of its case
    :param record_id: id of its record
    """

    row: int
    place: str
    outcome: RowOutcome
    code: str
    message: str
    fingerprint: str | None = None
    workflow_id: str | None = None
    case_id: str | None = None
    record_id: str | None = None

    def values(self) -> list[int | str | None]:
        """Return the value of each column."""
        texts = (self.place, self.outcome.value, self.code, self.message)
        ids = (self.fingerprint, self.workflow_id, self.case_id, self.record_id)
        return [self.row, *(text or None for text in (*texts, *ids))]


def said_without_error(outcome: RowOutcome, status: str | None) -> Mapping[str, str]:
    """Return what is said of a row that met no error, by its outcome and its run's status, as an error's fields."""
    if outcome is RowOutcome.FAILED and status == EXPIRED_STATUS:
        return _EXPIRED
    return WITHOUT_ERROR[outcome]


def problem_of(
    row: int, line: int | None, state: RowState, outcome: RowOutcome, error: Mapping[str, Any] | None
) -> ProblemRow | None:
    """Return what is wrong with a row, or None if nothing is.

    :param row: its number
    :param line: the line of the file at which it begins, if it is from one that has lines
    :param state: what the journal says of it
    :param outcome: what has become of it
    :param error: the fields of its error
    """
    if outcome in (RowOutcome.SUCCEEDED, RowOutcome.RUNNING):
        return None
    if outcome is RowOutcome.NOT_SUBMITTED and not error:
        return None
    fields = error or said_without_error(outcome, state.status)
    # The status in which a run has failed says more than that it has.
    code = fields.get("code") or (state.status if outcome is RowOutcome.FAILED and not error else None)
    return ProblemRow(
        row,
        place_of(row, line),
        outcome,
        code or fields["kind"],
        fields["message"],
        fields.get("fingerprint"),
        state.workflow_id,
        state.case_id,
        state.record_id,
    )


def skipped_row(row: int, line: int | None, reason: str) -> ProblemRow:
    """Return what is wrong with a row that was left out because it was bad.

    :param row: its number
    :param line: the line of the file at which it begins, if it is from one that has lines
    :param reason: why it is bad
    """
    return ProblemRow(row, place_of(row, line), RowOutcome.SKIPPED, BAD_ROW, reason)


def place_of(row: int, line: int | None) -> str:
    """Return where a row's key is found.

    :param row: its number
    :param line: the line of the file at which it begins, if it is from one that has lines
    """
    return f"row {row}" if line is None else f"line {line} of the file"


class AllProblems:
    """The whole list, as a try writes it at its end: rows come in their order, and are kept on the disk.

    :param options: how the output is written, and so the list
    """

    def __init__(self, options: OutputOptions = DEFAULT_OUTPUT) -> None:
        self.number = 0
        self._mode = options.mode
        self._lines = SpreadsheetLines(options.delimiter)
        self._file = tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115  (open until it is written)

    def add(self, problem: ProblemRow) -> None:
        """Take note of the next row."""
        self.number += 1
        self._file.write(self._lines.line(problem.values()))

    def write(self, folder: ObjectStoragePath) -> None:
        """Write the list into the folder of the output; without such rows, remove the one that is there.

        :raises Exception: if it cannot be written
        """
        path = folder / PROBLEM_ROWS_NAME
        if not self.number:
            remove_file(path)
            return
        self._file.seek(0)
        with replacing(path, mode=self._mode) as file:
            file.write(self._lines.header(COLUMNS))
            shutil.copyfileobj(self._file, file)


class Places:
    """Where the rows of an input are in their file, and which were left out, as the manifest says.

    :param lines: the manifest's lines after the first, each as JSON
    :param first_row: number of the first row
    """

    def __init__(self, lines: Iterable[bytes], first_row: int) -> None:
        #: Number and line of each row whose line does not follow on that of the row before.
        self._rows, self._lines = array("L"), array("L")
        #: Those rows that were left out, as far as they are listed.
        self.skipped: list[ProblemRow] = []
        number = first_row - 1
        for text in lines:
            number += 1
            if b'"line"' not in text and b'"skipped"' not in text and b'"row"' not in text:
                continue
            fields = json.loads(text)
            number = fields.get("row", number)
            if "line" in fields:
                self._rows.append(number)
                self._lines.append(fields["line"])
            if "skipped" in fields and len(self.skipped) < MAX_LISTED_ROWS:
                self.skipped.append(skipped_row(number, self.line_of(number), fields["skipped"]))

    @classmethod
    def read(cls, state_folder: ObjectStoragePath, first_row: int) -> Places:
        """Return the places of a batch's rows.

        :param state_folder: where the batch keeps its state
        :param first_row: number of the first row
        :raises FileNotFoundError: if the manifest is gone
        """
        return cls(manifest_lines(state_folder), first_row)

    def line_of(self, row: int) -> int | None:
        """Return the line of the file at which a row begins; None if its input has no lines.

        :param row: its number
        """
        index = bisect_right(self._rows, row) - 1
        return None if index < 0 else self._lines[index] + row - self._rows[index]


class ProblemsOnTheWay:
    """The list while the batch goes on: the first ten thousand rows that are found, in the order of their numbers.

    :param folder: the folder of the output
    :param state_folder: where the batch keeps its state
    :param first_row: number of the first row
    :param skipped: number of rows that were left out because they are bad
    :param options: how the output is written, and so the list
    """

    def __init__(
        self,
        folder: ObjectStoragePath,
        state_folder: ObjectStoragePath,
        first_row: int,
        skipped: int = 0,
        *,
        options: OutputOptions = DEFAULT_OUTPUT,
    ) -> None:
        self._path = folder / PROBLEM_ROWS_NAME
        self._state_folder = state_folder
        self._first_row = first_row
        self._skipped = skipped
        self._mode = options.mode
        self._lines = SpreadsheetLines(options.delimiter)
        self._places: Places | None = None
        #: The line of each row that is listed, by its number.
        self._listed: dict[int, bytes] = {}
        self._written = 0
        self._is_available = True

    def take(self, rows: Iterable[tuple[int, RowState, RowOutcome]]) -> None:
        """List those rows that have something wrong, and write the list if it has grown. It blocks.

        What cannot be written is left out: the list is written again when the try ends.

        :param rows: number, state and outcome of rows
        """
        if not self._is_available:
            return
        try:
            problems = [
                found for found in rows if problem_of(found[0], None, *found[1:], found[1].error) is not None
            ]
            if self._places is None and (problems or self._skipped):
                self._places = Places.read(self._state_folder, self._first_row)
                for skipped in self._places.skipped:
                    self._listed[skipped.row] = self._lines.line(skipped.values())
            for row, state, outcome in problems:
                if self._places is not None and len(self._listed) < MAX_LISTED_ROWS:
                    line = self._places.line_of(row)
                    problem = cast("ProblemRow", problem_of(row, line, state, outcome, state.error))
                    self._listed[row] = self._lines.line(problem.values())
            self._write()
        except Exception as error:  # noqa: BLE001  (a page that lags must not end a batch)
            self._is_available = False
            log.warning(
                "The list %s could not be written: %s. It is written again when the try ends.",
                shown(self._path),
                type(error).__name__,
            )

    def reported(self, report: BatchReport) -> BatchReport:
        """Return a report that says where the list is, if it was written."""
        return dataclasses.replace(report, problem_rows=shown(self._path)) if self._written else report

    def _write(self) -> None:
        if len(self._listed) == self._written:
            return
        with replacing(self._path, mode=self._mode) as file:
            file.write(self._lines.header(COLUMNS))
            file.writelines(self._listed[row] for row in sorted(self._listed))
        self._written = len(self._listed)
