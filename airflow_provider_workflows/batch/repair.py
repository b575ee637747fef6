"""What a later try of a batch goes on with: which rows it keeps, waits for, or submits again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.journal import Entry, write_entries
from airflow_provider_workflows.batch.row_state import SUBMIT_AGAIN, WAIT_AGAIN, RowOutcome, RowState
from airflow_provider_workflows.batch.submit import WHOLE_BATCH

if TYPE_CHECKING:
    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.storage import ObjectStoragePath


@dataclass(frozen=True)
class Repair:
    """What becomes of the rows of an earlier try.

    :param keeps: rows whose run has succeeded
    :param waits_for: rows whose run goes on
    :param submits: rows that are submitted now
    :param leaves_unknown: rows that may have a run, and are left alone
    :param leaves_failed: rows whose run has failed, and that are left alone
    :param withholds: rows without a run that are not submitted before the next clear, as a person has said
    """

    keeps: int
    waits_for: int
    submits: int
    leaves_unknown: int
    leaves_failed: int = 0
    withholds: int = 0

    def __str__(self) -> str:
        """Return the words of a log line."""
        words = f"keeps {self.keeps:,}, waits for {self.waits_for:,}, submits {self.submits:,} anew"
        if self.leaves_failed:
            words += f", leaves {self.leaves_failed:,} whose run has failed"
        if self.leaves_unknown:
            words += f", leaves {self.leaves_unknown:,} of which it is not known whether there is a run"
        if self.withholds:
            words += f", withholds {self.withholds:,} without a run until the next clear"
        return words


def rows_to_submit_again(
    states: Mapping[int, RowState], statuses: Statuses, *, failed: bool, unknown: bool
) -> list[int]:
    """Return the numbers of rows that are submitted again, beside those that have no run; no withheld one.

    :param states: the state of each row, by number
    :param statuses: which status means what, as the connection says
    :param failed: whether to submit those whose run has failed
    :param unknown: whether to submit those that may have been submitted
    """
    again = [RowOutcome.FAILED] * failed + [RowOutcome.UNKNOWN] * unknown
    return [
        number
        for number, state in states.items()
        if number != WHOLE_BATCH and not state.withheld and state.outcome(statuses) in again
    ]


def rows_to_wait_for_again(states: Mapping[int, RowState], statuses: Statuses) -> list[int]:
    """Return the numbers of rows whose run was not seen to end, though the wait for it has ended.

    :param states: the state of each row, by number
    :param statuses: which status means what, as the connection says
    """
    return [
        number
        for number, state in states.items()
        if state.workflow_id is not None and not state.is_running and not state.has_ended_by(statuses)
    ]


def wait_again(state_folder: ObjectStoragePath, states: Mapping[int, RowState], rows: Iterable[int]) -> None:
    """Have the runs of rows be waited for, in the journal and in ``states``.

    :param state_folder: where the batch keeps its state
    :param states: the state of each row, by number; changed
    :param rows: numbers of rows that have a run
    """
    _change(state_folder, states, rows, WAIT_AGAIN)


def submit_again(
    state_folder: ObjectStoragePath, states: Mapping[int, RowState], rows: Iterable[int]
) -> None:
    """Make rows due, in the journal and in ``states``.

    :param state_folder: where the batch keeps its state
    :param states: the state of each row, by number; changed
    :param rows: numbers of rows
    """
    _change(state_folder, states, rows, SUBMIT_AGAIN)


def _change(
    state_folder: ObjectStoragePath,
    states: Mapping[int, RowState],
    rows: Iterable[int],
    entry: Mapping[str, None],
) -> None:
    numbers = list(rows)
    for number in numbers:
        states[number].change(entry)
    write_entries(state_folder, ({"row": number, **entry} for number in numbers))


def adopt(
    state_folder: ObjectStoragePath, states: dict[int, RowState], found: Mapping[int, RowState]
) -> None:
    """Go on with states that were found elsewhere, in the journal and in ``states``.

    :param state_folder: where the batch keeps its state
    :param states: the state of each row, by number; changed
    :param found: the states of rows that have none of their own
    """
    states.update(found)
    write_entries(
        state_folder, (entry for number, state in found.items() for entry in entries_of(number, state))
    )


def begin_journal(state_folder: ObjectStoragePath) -> None:
    """Write the journal's first entry: by it a later try sees that a journal is gone.

    :param state_folder: where the batch keeps its state
    """
    write_entries(state_folder, [{"row": WHOLE_BATCH}])


def entries_of(row: int, state: RowState) -> list[Entry]:
    """Return the entries of a journal that say what a row's state does.

    :param row: its number
    :param state: of the row
    """
    fields = {name: value for name, value in dataclasses.asdict(state).items() if value is not None}
    ended: dict[str, Any] = {name: fields.pop(name) for name in ("status", "ended_at") if name in fields}
    entries: list[Entry] = [{"row": row, **fields}]
    if ended:
        # An entry about the end of a run is one of its own, and names the run.
        entries.append({"row": row, "workflow_id": state.workflow_id, **ended})
    return entries


def repair_of(counts: Mapping[RowOutcome, int], due: int) -> Repair:
    """Return what becomes of the rows of an earlier try, once those that are due are due.

    :param counts: rows by outcome
    :param due: rows that may be submitted
    """
    return Repair(
        keeps=counts.get(RowOutcome.SUCCEEDED, 0),
        waits_for=counts.get(RowOutcome.RUNNING, 0),
        submits=due,
        leaves_unknown=counts.get(RowOutcome.UNKNOWN, 0),
        leaves_failed=counts.get(RowOutcome.FAILED, 0),
        withholds=counts.get(RowOutcome.NOT_SUBMITTED, 0) - due,
    )
