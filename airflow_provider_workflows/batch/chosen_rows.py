"""The rows that a person has chosen to be submitted, and no others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.row_ranges import read_row_ranges, row_ranges
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.state_files import read_whole
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.manifest import Manifest, ManifestRow
    from airflow_provider_workflows.storage import ObjectStoragePath

_NAME = "chosen_rows.json"
_NOTHING = RowState()
#: Why rows of an outcome cannot be submitted.
_REFUSED_OUTCOMES = {
    RowOutcome.RUNNING: "they have a run, which the task waits for",
    RowOutcome.RESULT_MISSING: "their run has succeeded, and a repair fetches the result",
    RowOutcome.SKIPPED: "they are bad: correct the input, and repair the batch",
}


@dataclass(frozen=True)
class ChosenRows:
    """The rows that an instruction names, by what may be done with them.

    :param instruction_id: id of the instruction
    :param submits: numbers of the rows that are submitted
    :param billed_again: how many of these have a run that has succeeded
    :param runs: how many others have a run, which the task waits for
    :param unknown: how many others may have a run, and are left alone
    :param bad: how many others are bad, or have vanished from the input
    """

    instruction_id: str
    submits: Collection[int]
    billed_again: int = 0
    runs: int = 0
    unknown: int = 0
    bad: int = 0

    def __str__(self) -> str:
        """Return the words of a log line."""
        words = [counted(len(self.submits), *_forms("of the chosen rows {} submitted"))]
        if self.billed_again:
            words.append(counted(self.billed_again, *_forms("of them had succeeded, and {} billed again")))
        if self.runs:
            words.append(counted(self.runs, *_forms("with a run that has not ended {} waited for")))
        if self.unknown:
            words.append(
                counted(self.unknown, *_forms("may have a run, and {} left alone"))
                + ' unless on_unknown_outcome is "resubmit"'
            )
        if self.bad:
            words.append(counted(self.bad, *_forms("{0} bad, or {0} not in the input any more")))
        return ", ".join(words)

    def in_input(self, before: Iterable[ManifestRow], now: Iterable[ManifestRow]) -> ChosenRows:
        """Return the same rows in another input, in which they are found by their keys.

        :param before: the rows of the input for which they were chosen
        :param now: the rows of the input from now on
        """
        keys = {row.key for row in before if row.number in self.submits and row.skipped is None}
        submits = frozenset(row.number for row in now if row.key in keys and row.skipped is None)
        return dataclasses.replace(self, submits=submits, bad=self.bad + len(self.submits) - len(submits))

    def write(self, state_folder: ObjectStoragePath) -> None:
        """Write them down, before the journal says that they are due.

        An outcome names other rows afterwards: a try that is killed right then would not find them again.

        :param state_folder: where the batch keeps its state
        """
        fields = dataclasses.asdict(self) | {"submits": row_ranges(self.submits)}
        write_whole(state_folder / _NAME, json.dumps(fields).encode())

    @classmethod
    def read(
        cls, state_folder: ObjectStoragePath, instruction_id: str, manifest: Manifest
    ) -> ChosenRows | None:
        """Return what a try has written that was killed while it followed the same instruction, or None.

        :param state_folder: where the batch keeps its state
        :param instruction_id: id of the instruction
        :param manifest: the checked input
        """
        try:
            fields: dict[str, Any] = json.loads(read_whole(state_folder / _NAME))
            if fields["instruction_id"] != instruction_id:
                return None
            submits = read_row_ranges(fields["submits"], manifest) if fields["submits"] else frozenset()
            return cls(**{**fields, "submits": submits})
        except (FileNotFoundError, LookupError, TypeError, ValueError):
            return None


def choose(
    instruction_id: str,
    states: Mapping[int, RowState],
    statuses: Statuses,
    rows: Iterable[ManifestRow],
    *,
    named: Collection[int] | None,
    outcome: RowOutcome | None,
    unknown: bool,
    overdue: Collection[int] = (),
) -> ChosenRows:
    """Return the rows that an instruction names.

    :param instruction_id: its id
    :param states: the state of each row that has one, by number
    :param statuses: which status means what, as the connection says
    :param rows: the rows of the manifest
    :param named: numbers of rows; None for those of ``outcome``
    :param outcome: the outcome of rows; None for those of ``named``
    :param unknown: whether rows are submitted that may have a run
    :param overdue: numbers of rows whose run was past its expiry when the wait for it ended: named, they are
        submitted, though the service may say that their run goes on
    :raises InvalidInput: if rows of this outcome cannot be submitted
    """
    if outcome in _REFUSED_OUTCOMES:
        raise InvalidInput(
            f"outcome: rows that are {outcome.value} are not submitted: {_REFUSED_OUTCOMES[outcome]}"
        )
    submits, counts = set(), dict.fromkeys(("billed_again", "runs", "unknown", "bad"), 0)
    for row in rows:
        found = states.get(row.number, _NOTHING).outcome(statuses)
        if not (found is outcome if named is None else row.number in named):
            continue
        if row.skipped is not None:
            # By its state it is a row that was not submitted.
            counts["bad"] += named is not None
        elif found is RowOutcome.RUNNING and row.number not in overdue:
            counts["runs"] += 1
        elif found is RowOutcome.UNKNOWN and not unknown:
            counts["unknown"] += 1
        else:
            submits.add(row.number)
            counts["billed_again"] += found is RowOutcome.SUCCEEDED
    return ChosenRows(instruction_id, frozenset(submits), **counts)


def _forms(words: str) -> tuple[str, str]:
    """Return words for one row and for several, with "is" and "are" in place of braces."""
    return words.format("is"), words.format("are")
