"""A batch whose input has changed: each row that is as before keeps what it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.bad_rows import named_rows
from airflow_provider_workflows.batch.journal import Entry, write_entries
from airflow_provider_workflows.batch.left_out import RowContent, read_left_out, write_left_out
from airflow_provider_workflows.batch.manifest import Manifest, ManifestRow, read_manifest
from airflow_provider_workflows.batch.repair import entries_of
from airflow_provider_workflows.batch.row_state import RowState
from airflow_provider_workflows.batch.submit import WHOLE_BATCH
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.storage import shown

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: What is sent for all rows, and is part of the digest of each.
_COMMON = "workflow_definition_id, parameters or table_id"


@dataclass(frozen=True)
class Changes:
    """How an input differs from the one of an earlier try.

    :param what: which arguments have changed
    :param kept: rows that have the same key and the same digest as before, or as in an input before that
    :param changed: rows that have an earlier key and another digest
    :param new: rows whose key was not there before
    :param vanished: earlier rows whose key is no longer there
    """

    what: str
    kept: int
    changed: int
    new: int
    vanished: int

    def __str__(self) -> str:
        """Return the words of a log line."""
        return (
            f"{self.what} has changed since the last try: {counted(self.kept, 'row is', 'rows are')} as before, "
            f"{counted(self.changed, 'has', 'have')} changed, {counted(self.new, 'is', 'are')} new, and "
            f"{counted(self.vanished, 'has', 'have')} vanished, to be left out of the output"
        )


def take_over(
    earlier: ObjectStoragePath,
    earlier_manifest: Manifest,
    states: Mapping[int, RowState],
    state_folder: ObjectStoragePath,
    manifest: Manifest,
    *,
    with_parameters: bool,
) -> Changes:
    """Begin the journal of a changed input with the states of those rows that are as before.

    :param earlier: where the batch has kept its state until now
    :param earlier_manifest: the input until now
    :param states: the state of each row until now, by number
    :param state_folder: where the batch keeps its state from now on
    :param manifest: the input from now on
    :param with_parameters: whether the parameters for all rows are the earlier ones
    :raises InvalidInput: where rows have no keys by which they could be found, saying what differs
    """
    what = "items" if with_parameters else _COMMON
    if not (earlier_manifest.has_keys and manifest.has_keys):
        difference = ""
        if with_parameters:
            difference = f": {_difference(earlier, earlier_manifest, state_folder, manifest)}"
        raise InvalidInput(
            f"{what} has changed since this task's first try{difference}. Without a key in each row it cannot be "
            "told which rows are which, so nothing was sent. Give the rows that there were, or set "
            'on_clear="start_over" and clear the task, which submits all rows anew; what was submitted is in '
            f"{shown(earlier)}"
        )
    comparison = _Comparison(read_manifest(earlier, earlier_manifest), states, read_left_out(earlier))
    entries: list[Entry] = [{"row": WHOLE_BATCH}]
    if with_parameters and (state := states.get(WHOLE_BATCH)) is not None:
        entries = [{"row": WHOLE_BATCH, "parameters_id": state.parameters_id}]
    for row in read_manifest(state_folder, manifest):
        if (state := comparison.state_of(row)) is not None:
            entries += entries_of(row.number, state)
    write_left_out(state_folder, comparison.left_out)
    write_entries(state_folder, entries)
    return comparison.changes(what)


class _Comparison:
    """Finds the rows of an input in the earlier input, by their keys.

    A bad row may have the key of a good one, and be bad because of that: only the good one has anything to keep.

    :param earlier: the earlier rows
    :param states: the state of each earlier row, by number
    :param left_out: the states of rows of inputs before that, by key and digest
    """

    def __init__(
        self,
        earlier: Iterable[ManifestRow],
        states: Mapping[int, RowState],
        left_out: Mapping[RowContent, RowState],
    ) -> None:
        #: What no row of the new input has taken.
        self._left: dict[RowContent, RowState] = dict(left_out)
        self._good: dict[str, str] = {}
        self._bad: set[str | int] = set()
        self._bad_now: set[str | int] = set()
        self._bad_found: set[str | int] = set()
        self._counts: Counter[str] = Counter()
        for row in earlier:
            if row.skipped is None:
                self._good[row.key] = row.digest
                self._left[row.key, row.digest] = states.get(row.number, RowState())
            else:
                self._bad.add(_name_of(row))

    def state_of(self, row: ManifestRow) -> RowState | None:
        """Return the state that a row had when it was the same; None if it has changed, is new, or is bad."""
        name = _name_of(row)
        was_bad = name in self._bad
        if was_bad:
            self._bad_found.add(name)
        if row.skipped is not None:
            self._bad_now.add(name)
            self._counts["kept" if was_bad else "changed" if row.key in self._good else "new"] += 1
            return None
        digest = self._good.pop(row.key, None)
        state = self._left.pop((row.key, row.digest), None)
        if state is not None:
            self._counts["kept"] += 1
        else:
            self._counts["changed" if digest is not None or was_bad else "new"] += 1
        return state

    @property
    def left_out(self) -> Mapping[RowContent, RowState]:
        """The states that no row has taken, once each was asked for."""
        return self._left

    def changes(self, what: str) -> Changes:
        """Return what was found, once it was asked for each row.

        :param what: which arguments have changed
        """
        vanished = (self._good.keys() - self._bad_now) | (self._bad - self._bad_found)
        counts = self._counts
        return Changes(what, counts["kept"], counts["changed"], counts["new"], len(vanished))


def _name_of(row: ManifestRow) -> str | int:
    """Return the key of a row; its number for one that is left out and has none, which is the key of no other."""
    return row.key or row.number


def _difference(
    earlier: ObjectStoragePath,
    earlier_manifest: Manifest,
    state_folder: ObjectStoragePath,
    manifest: Manifest,
) -> str:
    counts = f"{counted(earlier_manifest.rows, 'row')} then, {manifest.rows:,} now"
    pairs = zip(read_manifest(earlier, earlier_manifest), read_manifest(state_folder, manifest), strict=False)
    for before, now in pairs:
        if (before.number, before.digest) != (now.number, now.digest):
            name = named_rows([now.number], [] if now.line is None else [now.line])
            return f"{counts}, and {name} is the first that differs"
    return counts
