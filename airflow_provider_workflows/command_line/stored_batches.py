"""Batches as their state beside the output has them, read without Airflow's database."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.output import existing_output
from airflow_provider_workflows.batch.output_options import DEFAULT_OUTPUT, OUTPUT_NAME
from airflow_provider_workflows.batch.place import STATE_FOLDER, BatchFile, BatchPlace
from airflow_provider_workflows.batch.problem_rows import COLUMNS, PROBLEM_ROWS_NAME, Places, place_of
from airflow_provider_workflows.batch.report import DUE, BatchReport, ReportPhase, repair_after_clear
from airflow_provider_workflows.batch.reported_rows import ReportedRows
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.spreadsheet_lines import OtherColumns, SpreadsheetRows
from airflow_provider_workflows.batch.state_files import read_lines
from airflow_provider_workflows.batch.submit import WHOLE_BATCH
from airflow_provider_workflows.batch.unknown_rows import UNKNOWN_ROWS_NAME
from airflow_provider_workflows.operators.batch_record import BatchPhase, BatchRecord
from airflow_provider_workflows.storage import (
    ObjectStoragePath,
    from_working_directory,
    shown,
    storage_path,
)

if TYPE_CHECKING:
    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.task_identity import TaskIdentity

_PHASES = {BatchPhase.SUBMITTING: ReportPhase.SUBMITTING, BatchPhase.WAITING: ReportPhase.WAITING}
#: A mapped task writes into a folder named by its map index, which has this many digits at least.
_MAP_INDEX_DIGITS = 5


@dataclass(frozen=True)
class UnknownRow:
    """A row of which nobody knows whether it has a run; its key, which may be personal, is left out.

    :param row: its number
    :param place: where its key is found: ``line 8 of the file``, or ``row 7``
    :param submitted_at: when the request was sent that may have started a run, in seconds since the epoch
    :param case_id: id of its case
    :param record_id: id of its record
    """

    row: int
    place: str
    submitted_at: float | None
    case_id: str | None
    record_id: str | None


class StoredBatch:
    """A batch as its state says.

    :param state_folder: where it keeps its state
    :param file: what that says of its task
    :raises InvalidInput: if it is of a version of this package that this one cannot read
    """

    def __init__(self, state_folder: ObjectStoragePath, file: BatchFile) -> None:
        # The folder may have been copied from where the record says that it is.
        self._place = BatchPlace(state_folder.parent.parent, state_folder)
        self.task: TaskIdentity = file.task
        self.is_over = file.is_over
        #: When the latest try has ended, in seconds since the epoch; None while one acts, or if it was killed.
        self.ended_at = file.ended_at
        try:
            self.record = BatchRecord.from_json(file.record)
        except (LookupError, TypeError, ValueError):
            raise InvalidInput(
                f"{shown(state_folder)}: the record of {file.task} is of another version of "
                "airflow-provider-workflows. Read it with that version"
            ) from None
        self._written = BatchReport.read(state_folder)

    @property
    def conn_id(self) -> str | None:
        """The id of its connection, if the batch has waited in the triggerer and so has left it."""
        return self._written.conn_id or None if self._written is not None else None

    def rows(self, statuses: Statuses, *, resubmits_unknown: bool = False) -> ReportedRows:
        """Return the rows as the journal has them, with their report.

        :param statuses: which status means what, as the connection says
        :param resubmits_unknown: whether a repair submits rows again that may have been submitted
        :raises FileNotFoundError: if a file of the state is gone
        :raises OutcomeUnknown: if the state is damaged
        """
        folder = self._place.folder
        output = existing_output(folder)
        begun = self._written or BatchReport.begun("", self.record.begun_at)
        rows = ReportedRows(
            self._place,
            self.record.manifest,
            statuses,
            lambda: False,
            report=dataclasses.replace(
                begun, begun_at=self.record.begun_at, stopped_by=self.record.stopped_by
            ),
            output=output or DEFAULT_OUTPUT.path_in(folder),
            output_options=DEFAULT_OUTPUT,
        )
        rows.has_output = output is not None
        report = rows.report_at(_PHASES.get(self.record.phase, ReportPhase.ENDED))
        outcomes = Counter({RowOutcome(name): number for name, number in report.outcomes.items()})
        due = 0
        if report.phase is ReportPhase.SUBMITTING:
            due = (
                self.record.manifest.rows
                - self.record.manifest.skipped
                - len(rows.states.keys() - {WHOLE_BATCH})
            )
            outcomes[RowOutcome.NOT_SUBMITTED] -= due
        elif report.phase is ReportPhase.ENDED:
            missing = min(_results_missing(folder), outcomes[RowOutcome.SUCCEEDED])
            outcomes[RowOutcome.SUCCEEDED] -= missing
            outcomes[RowOutcome.RESULT_MISSING] = missing
        rows.report = dataclasses.replace(
            report,
            outcomes={name.value: number for name, number in outcomes.items() if number}
            | ({DUE: due} if due else {}),
            repair=repair_after_clear(outcomes, due, resubmits_unknown=resubmits_unknown),
            problem_rows=_if_there(folder / PROBLEM_ROWS_NAME),
            unknown_rows=_if_there(folder / UNKNOWN_ROWS_NAME),
            ended_at=self.ended_at,
            written=report.rows if output is not None and self.ended_at is not None else 0,
        )
        return rows

    def unknown_rows(self, statuses: Statuses) -> list[UnknownRow]:
        """Return the rows that may have a run, in order; raises as ``rows``.

        :param statuses: which status means what, as the connection says
        """
        rows = self.rows(statuses)
        found = {
            number: state
            for number, state in sorted(rows.states.items())
            if number != WHOLE_BATCH and state.outcome(statuses) is RowOutcome.UNKNOWN
        }
        if not found:
            return []
        places = Places.read(self._place.state_folder, self.record.manifest.first_row)
        return [
            UnknownRow(
                number,
                place_of(number, places.line_of(number)),
                state.submitted_at,
                state.case_id,
                state.record_id,
            )
            for number, state in found.items()
        ]


def stored_batches(uri: str) -> list[StoredBatch]:
    """Return the batches whose output or state is at a place, the latest start of each task.

    :param uri: a URI or a path: of an output's folder or file, of the folder above those of mapped tasks, or of a
        state folder
    :raises InvalidInput: if there is no batch, or the place cannot be read
    """
    path = storage_path("URI", from_working_directory(uri.strip()))
    names = _names_in(path)
    if names is None and path.suffix:
        # A file of results, which may not be there yet, or of problem rows.
        path = path.parent
        names = _names_in(path)
    if names is None:
        raise InvalidInput(f"URI: there is no folder {shown(path)}")
    if (file := BatchFile.read(path)) is not None:
        return [StoredBatch(path, file)]
    # Parts of an output are in a folder beside the state.
    is_within = path.name == STATE_FOLDER or (path.name == OUTPUT_NAME and STATE_FOLDER not in names)
    outputs = [path.parent, path] if is_within else [path]
    outputs += [path / name for name in names if name.isdigit() and len(name) >= _MAP_INDEX_DIGITS]
    found = [batch for output in outputs for batch in _batches_of(output)]
    if not found:
        raise InvalidInput(
            f"URI: there is no batch in {shown(path)}, which has no folder {STATE_FOLDER}. Give the output_path of "
            "the batch's task as it was rendered: the folder that its results are in"
        )
    return found


def _batches_of(output: ObjectStoragePath) -> Iterator[StoredBatch]:
    """Yield the latest start of each task whose output is in a folder."""
    starts: dict[str, list[tuple[int, str]]] = {}
    for name in _names_in(output / STATE_FOLDER) or ():
        task, _, number = name.partition("-")
        starts.setdefault(task, []).append((int(number) if number.isdigit() else 1, name))
    for numbered in starts.values():
        for _, name in sorted(numbered, reverse=True):
            state_folder = output / STATE_FOLDER / name
            if (file := BatchFile.read(state_folder)) is not None:
                yield StoredBatch(state_folder, file)
                break


def _names_in(folder: ObjectStoragePath) -> list[str] | None:
    """Return the names in a folder, in order; None if it is not there, or is a file."""
    try:
        entries = folder.fs.ls(folder.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        # Each kind of storage has its own errors, whose text may hold keys.
        raise InvalidInput(f"URI: {shown(folder)} could not be read: {type(error).__name__}") from error
    if [entry for entry in entries if _is_itself(entry, folder)]:
        return None
    return sorted(str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in entries)


def _is_itself(entry: dict[str, Any], folder: ObjectStoragePath) -> bool:
    """Return whether an entry is the file that a listing was asked of."""
    name, path = str(entry["name"]).strip("/"), str(folder.path).strip("/")
    return entry["type"] == "file" and name == path


def _results_missing(folder: ObjectStoragePath) -> int:
    """Return how many results could not be fetched: the journal does not say so, the list of problem rows does."""
    path = folder / PROBLEM_ROWS_NAME
    try:
        rows = SpreadsheetRows((line.decode() for line in read_lines(path)), COLUMNS)
    except FileNotFoundError:
        return 0
    except OtherColumns:
        raise InvalidInput(f"URI: {shown(path)} has other columns than this version reads") from None
    wanted = (COLUMNS.index("outcome"), RowOutcome.RESULT_MISSING.value)
    return sum(wanted in enumerate(row) for row in rows)


def _if_there(path: ObjectStoragePath) -> str | None:
    return shown(path) if path.exists() else None
