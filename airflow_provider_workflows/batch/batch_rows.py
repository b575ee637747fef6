"""What has become of the rows of a batch, as its journal says, and what a later try makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.chosen_rows import ChosenRows, choose
from airflow_provider_workflows.batch.journal import Entry, states, write_entries
from airflow_provider_workflows.batch.manifest import Manifest, ManifestRow, read_manifest
from airflow_provider_workflows.batch.other_shards import find_in_other_shards
from airflow_provider_workflows.batch.reasons import Reason, Reasons
from airflow_provider_workflows.batch.repair import (
    Repair,
    adopt,
    repair_of,
    rows_to_submit_again,
    rows_to_wait_for_again,
    submit_again,
    wait_again,
)
from airflow_provider_workflows.batch.row_ranges import read_row_ranges
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.state_files import state_is_gone
from airflow_provider_workflows.batch.submit import WHOLE_BATCH
from airflow_provider_workflows.batch.tally import Tally
from airflow_provider_workflows.batch.withheld import NOT_CHOSEN, release, withhold
from airflow_provider_workflows.counted import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.place import BatchPlace
    from airflow_provider_workflows.task_identity import TaskIdentity

#: The outcomes of rows that a wait counts itself.
_WAITED_FOR = (RowOutcome.RUNNING, RowOutcome.SUCCEEDED, RowOutcome.FAILED)
_NOTHING = RowState()


class BatchRows:
    """The rows of one batch whose input was checked.

    :param place: where the output and the batch's state are
    :param manifest: the checked input
    :param statuses: which status means what, as the connection says
    :param is_stopped: returns whether the task was told to stop
    """

    def __init__(
        self, place: BatchPlace, manifest: Manifest, statuses: Statuses, is_stopped: Callable[[], bool]
    ) -> None:
        self.place = place
        self.state_folder = place.state_folder
        self.manifest = manifest
        self._statuses = statuses
        self.is_stopped = is_stopped

    @cached_property
    def states(self) -> dict[int, RowState]:
        """The state of each row that the journal names, by number."""
        return states(self.state_folder, is_stopped=self.is_stopped)

    def manifest_rows(self) -> Iterator[ManifestRow]:
        """Yield the rows of the manifest, in order.

        :raises FileNotFoundError: if the manifest is gone
        :raises OutcomeUnknown: if it is not the manifest that was written
        """
        return read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped)

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
    def ids(self) -> list[tuple[int, str | None]]:
        """The ids of the workflow, the case and the record of each row, each with the row's number."""
        rows = ((number, state) for number, state in self.states.items() if number != WHOLE_BATCH)
        return [
            (number, given)
            for number, state in rows
            for given in (state.workflow_id, state.case_id, state.record_id)
        ]

    @property
    def cases(self) -> int:
        """Number of rows that have a case or a record, or had a run: submitting rows again makes it no smaller."""
        return sum(state.is_begun for state in self._rows())

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
        return repair_of(self._outcomes(), self.due)

    @property
    def withheld(self) -> Counter[RowOutcome]:
        """Rows that are not submitted before the next clear, as a person has said, by outcome."""
        return Counter(state.outcome(self._statuses) for state in self._rows() if state.withheld)

    def tally(self, begun_at: float) -> Tally:
        """Return what has become of the rows that the journal names.

        :param begun_at: when the batch began, in seconds since the epoch
        """
        rows = ((number, state) for number, state in self.states.items() if number != WHOLE_BATCH)
        return Tally.of(begun_at, rows, self._statuses)

    def skipped_reasons(self) -> tuple[Reason, ...]:
        """Return why rows were left out, the commonest reason first."""
        reasons = Reasons()
        for row in read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped):
            if row.skipped is not None:
                reasons.add(RowOutcome.SKIPPED, row.skipped, row.number)
        return reasons.folded().get(RowOutcome.SKIPPED, ())

    def require_journal(self, cases: int) -> None:
        """Return if the journal has as many rows with a case, a record or a run as Airflow's record of the batch.

        :param cases: number of such rows, as the record says
        :raises OutcomeUnknown: if some of them are gone, or all of the state
        """
        try:
            is_whole = bool(self.states) and self.cases >= cases
        except FileNotFoundError:
            raise state_is_gone(self.state_folder, "the folder is not there") from None
        except (AttributeError, LookupError, TypeError, ValueError):
            raise state_is_gone(self.state_folder, "a line of the journal cannot be read") from None
        if not is_whole:
            raise state_is_gone(
                self.state_folder,
                f"the journal has cases of {counted(self.cases, 'row')}, and there were {cases:,} or more",
            )

    def rows_to_submit_again(self, *, failed: bool, unknown: bool) -> list[int]:
        """Return the numbers of rows that are submitted again, beside those that have no run.

        :param failed: whether to submit those whose run has failed
        :param unknown: whether to submit those that may have been submitted
        """
        return rows_to_submit_again(self.states, self._statuses, failed=failed, unknown=unknown)

    def adopt_from_other_shards(self, task: TaskIdentity) -> int:
        """Go on with the runs that rows of this shard have in other shards, and return how many these are.

        :param task: the shard's task
        """
        if not self.manifest.has_keys or self.manifest.sharding is None:
            return 0
        wanted = {
            (row.key, row.digest): row.number
            for row in self.manifest_rows()
            if row.skipped is None and self.states.get(row.number, _NOTHING).is_due
        }
        found = find_in_other_shards(self.place.folder, task, wanted) if wanted else {}
        adopt(self.state_folder, self.states, found)
        return len(found)

    def wait_again(self) -> None:
        """Have those runs be waited for that were not seen to end, though the wait for them has ended."""
        wait_again(self.state_folder, self.states, rows_to_wait_for_again(self.states, self._statuses))

    @property
    def overdue(self) -> frozenset[int]:
        """Numbers of rows whose run was past its expiry and pending when the wait for it ended."""
        return frozenset(number for number, state in self.states.items() if state.is_overdue)

    def submit_again(self, rows: list[int]) -> None:
        """Make rows due.

        :param rows: numbers of rows
        """
        submit_again(self.state_folder, self.states, rows)

    def choose(
        self,
        instruction_id: str,
        *,
        rows: str | None,
        outcome: RowOutcome | None,
        unknown: bool,
        overdue: Collection[int] = (),
    ) -> ChosenRows:
        """Return the rows that an instruction names, as they were before a try followed it.

        :param instruction_id: its id
        :param rows: row numbers such as ``"1-50,61"``; None for the rows of ``outcome``
        :param outcome: the outcome of rows; None for those of ``rows``
        :param unknown: whether rows are submitted that may have a run
        :param overdue: numbers of rows whose run was past its expiry when the wait for it ended
        :raises InvalidInput: if the batch has no such row, or rows of this outcome cannot be submitted
        """
        found = ChosenRows.read(self.state_folder, instruction_id, self.manifest)
        if found is not None:
            return found
        return choose(
            instruction_id,
            self.states,
            self._statuses,
            self.manifest_rows(),
            named=None if rows is None else read_row_ranges(rows, self.manifest),
            outcome=outcome,
            unknown=unknown,
            overdue=overdue,
        )

    def submit_only(self, chosen: ChosenRows) -> None:
        """Make the chosen rows due, and withhold all others.

        :param chosen: the rows, of this input
        """
        chosen.write(self.state_folder)
        self.withhold(NOT_CHOSEN, but=chosen.submits)
        for number in chosen.submits:
            self.states.setdefault(number, RowState())
        self.submit_again(list(chosen.submits))

    def withhold(self, reason: Mapping[str, str], *, but: Collection[int] = ()) -> None:
        """Withhold rows until the next clear.

        :param reason: the error of those that have no run, and no error of their own
        :param but: numbers of rows that are not withheld
        """
        write_entries(self.state_folder, self._withheld(reason, but))

    def _withheld(self, reason: Mapping[str, str], but: Collection[int] = ()) -> list[Entry]:
        """Withhold rows in ``states``, and return what the journal has to say of it."""
        numbers = [
            row.number for row in self.manifest_rows() if row.skipped is None and row.number not in but
        ]
        return list(withhold(self.states, numbers, reason))

    def release(self) -> None:
        """Have no row be withheld any more."""
        write_entries(self.state_folder, release(self.states))

    @property
    def due(self) -> int:
        """Number of rows that may be submitted."""
        good = self.manifest.rows - self.manifest.skipped
        return good - sum(not state.is_due for state in self._rows())

    def _rows(self) -> list[RowState]:
        return [state for number, state in self.states.items() if number != WHOLE_BATCH]

    def _outcomes(self) -> Counter[RowOutcome]:
        outcomes = Counter(state.outcome(self._statuses) for state in self._rows())
        outcomes[RowOutcome.SKIPPED] = self.manifest.skipped
        outcomes[RowOutcome.NOT_SUBMITTED] += self.manifest.rows - sum(outcomes.values())
        return outcomes
