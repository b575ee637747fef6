"""Count what has become of the rows of a batch, row by row, for its report."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.status import Outcome, Statuses
from airflow_provider_workflows.batch.completions import Completions, Durations
from airflow_provider_workflows.batch.reasons import MAX_COUNTED_REASONS, Reason, Reasons, reason_of_row
from airflow_provider_workflows.batch.row_state import OUTCOMES, RowOutcome, RowState

if TYPE_CHECKING:
    from collections.abc import Hashable


class Tally:
    """What has become of rows. A row takes four bytes.

    What a status means may be known later than the status, so that rows are counted by status.

    :param begun_at: when the batch began, in seconds since the epoch
    """

    def __init__(self, begun_at: float) -> None:
        #: Rows by the status in which their run has ended.
        self.statuses: Counter[str] = Counter()
        #: All other rows, by outcome.
        self.others: Counter[RowOutcome] = Counter()
        self.durations = Durations()
        self._completions = Completions(begun_at)
        self._rows_by_status: dict[str, array[int]] = {}
        self._reasons = Reasons()

    @classmethod
    def of(cls, begun_at: float, states: Iterable[tuple[int, RowState]], statuses: Statuses) -> Tally:
        """Return the tally of rows as the journal says.

        :param begun_at: when the batch began, in seconds since the epoch
        :param states: the number and the state of each row
        :param statuses: which status means what, as the connection says
        """
        tally = cls(begun_at)
        for number, state in states:
            tally.add(number, state, statuses)
        return tally

    def add(self, row: int, state: RowState, statuses: Statuses) -> None:
        """Count a row as the journal has it.

        :param row: its number
        :param state: what the journal says
        :param statuses: which status means what, as the connection says
        """
        if state.workflow_id is not None and state.ended_at is not None:
            self.add_ended(row, state.status, state.error, state.submitted_at, state.ended_at)
        else:
            self.add_other(row, state.outcome(statuses), state.error)

    def add_ended(
        self,
        row: int,
        status: str | None,
        error: Mapping[str, Any] | None,
        submitted_at: float | None,
        ended_at: float,
    ) -> None:
        """Count a row whose run has ended.

        :param row: its number
        :param status: the status in which the run has ended, if that was seen
        :param error: why it was not seen
        :param submitted_at: when the run was submitted, in seconds since the epoch
        :param ended_at: when its end was seen, in seconds since the epoch
        """
        group: Hashable = RowOutcome.FAILED
        if status is None or error is not None:
            self.add_other(row, RowOutcome.FAILED, error)
        else:
            group = status
            self.statuses[status] += 1
            if status not in self._rows_by_status and len(self._rows_by_status) < MAX_COUNTED_REASONS:
                self._rows_by_status[status] = array("I")
            if (rows := self._rows_by_status.get(status)) is not None:
                rows.append(row)
        self._completions.add(group, ended_at)
        if submitted_at is not None:
            self.durations.add(ended_at - submitted_at)

    def add_other(self, row: int, outcome: RowOutcome, error: Mapping[str, Any] | None = None) -> None:
        """Count a row whose run was not seen in a status that ends it.

        :param row: its number
        :param outcome: what has become of it
        :param error: why
        """
        self.others[outcome] += 1
        if (reason := reason_of_row(outcome, None, error)) is not None:
            self._reasons.add(outcome, reason, row)

    def outcomes(self, statuses: Statuses) -> Counter[RowOutcome]:
        """Return the rows by outcome.

        :param statuses: which status means what, as the connection says
        """
        outcomes = Counter(self.others)
        for status, number in self.statuses.items():
            outcomes[OUTCOMES[statuses.outcome(status)]] += number
        return outcomes

    def completions(self, statuses: Statuses) -> dict[str, Any]:
        """Return when runs have succeeded or failed, as ``Completions.to_json`` has it.

        :param statuses: which status means what, as the connection says
        """
        names: dict[Hashable, str] = {
            status: OUTCOMES[outcome].value
            for status in list(self.statuses)
            if (outcome := statuses.outcome(status)) is not Outcome.PENDING
        }
        return self._completions.to_json({**names, RowOutcome.FAILED: RowOutcome.FAILED.value})

    def reasons(self, statuses: Statuses) -> dict[RowOutcome, tuple[Reason, ...]]:
        """Return why rows have ended as they have, by outcome. It takes a moment for many rows.

        :param statuses: which status means what, as the connection says
        """
        failed = {
            status: rows
            for status, rows in list(self._rows_by_status.items())
            if statuses.outcome(status) is Outcome.FAILURE
        }
        return self._reasons.folded(also={RowOutcome.FAILED: failed})
