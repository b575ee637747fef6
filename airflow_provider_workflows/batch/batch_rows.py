"""What has become of the rows of a batch, as its journal says, and what a later try makes of them."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.journal import states
from airflow_provider_workflows.batch.manifest import Manifest, read_manifest
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
from airflow_provider_workflows.batch.row_state import RowOutcome, RowState
from airflow_provider_workflows.batch.state_files import state_is_gone
from airflow_provider_workflows.batch.submit import WHOLE_BATCH
from airflow_provider_workflows.batch.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.place import BatchPlace, TaskIdentity

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
        """The ids of the workflow and the case of each row, each with the row's number."""
        rows = ((number, state) for number, state in self.states.items() if number != WHOLE_BATCH)
        return [(number, given) for number, state in rows for given in (state.workflow_id, state.case_id)]

    @property
    def cases(self) -> int:
        """Number of rows that have a case: it never gets smaller, also where rows are submitted again."""
        return sum(state.case_id is not None for state in self._rows())

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
        return repair_of(self._outcomes())

    def tally(self, begun_at: float) -> Tally:
        """Return what has become of the rows that the journal names.

        :param begun_at: when the batch began, in seconds since the epoch
        """
        return Tally.of(
            begun_at,
            self.states.items(),
            self._statuses,
            is_counted=lambda number, _: number != WHOLE_BATCH,
        )

    def skipped_reasons(self) -> tuple[Reason, ...]:
        """Return why rows were left out, the commonest reason first."""
        reasons = Reasons()
        for row in read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped):
            if row.skipped is not None:
                reasons.add(RowOutcome.SKIPPED, row.skipped, row.number)
        return reasons.folded().get(RowOutcome.SKIPPED, ())

    def require_journal(self, cases: int) -> None:
        """Return if the journal has as many rows with a case as Airflow's record of the batch.

        :param cases: number of rows that have a case, as the record says
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
                f"the journal has cases of {self.cases:,} rows, and there were {cases:,} or more",
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
            for row in read_manifest(self.state_folder, self.manifest, is_stopped=self.is_stopped)
            if row.skipped is None and self.states.get(row.number, _NOTHING).is_due
        }
        found = find_in_other_shards(self.place.folder, task, wanted) if wanted else {}
        adopt(self.state_folder, self.states, found)
        return len(found)

    def wait_again(self) -> None:
        """Have those runs be waited for that were not seen to end, though the wait for them has ended."""
        wait_again(self.state_folder, self.states, rows_to_wait_for_again(self.states, self._statuses))

    def submit_again(self, rows: list[int]) -> None:
        """Make rows due.

        :param rows: numbers of rows
        """
        submit_again(self.state_folder, self.states, rows)

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
