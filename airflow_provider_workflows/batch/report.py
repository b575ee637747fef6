"""What there is to say of a batch: its page, its alerts, its log and other tasks read it, in other processes."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.reasons import Reason, shortened
from airflow_provider_workflows.batch.repair import Repair
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.batch.state_files import read_whole
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_workflows.api.status import Statuses
    from airflow_provider_workflows.batch.tally import Tally
    from airflow_provider_workflows.storage import ObjectStoragePath

FORMAT = 1
KIND = "batch"
#: Counted among the outcomes: rows that are still to be submitted.
DUE = "due"
#: This many statuses are reported, the commonest.
MAX_STATUSES = 50
#: What changes with the time alone.
_BY_TIME = ("at", "rows_per_second", "expected_end")
#: Outcomes that do not change while a batch waits or fetches, so that their reasons stay.
_WITHOUT_RUN = (RowOutcome.NOT_SUBMITTED, RowOutcome.SKIPPED, RowOutcome.UNKNOWN)
#: In the folder of a batch's state: what the worker has reported, for the triggerer to go on with.
_NAME = "report.json"


class ReportPhase(str, enum.Enum):
    """What a batch is at."""

    SUBMITTING = "submitting"
    """Rows are submitted."""
    WAITING = "waiting"
    """Runs are waited for."""
    FETCHING = "fetching"
    """Results are fetched, and the output is written."""
    ENDED = "ended"
    """The try has ended."""


@dataclass(frozen=True)
class BatchReport:
    """What there is to say of a batch at one moment. Moments are seconds since the epoch; no value is personal.

    :param workflow_definition_id: id of the workflow definition
    :param conn_id: id of the connection
    :param phase: what the batch is at
    :param phase_started_at: since when
    :param rows: number of rows, of which each has one outcome
    :param state_folder: URI of the folder of the batch's state
    :param output: URI of the output, which is there once a try has ended
    :param begun_at: when the batch began
    :param at: when this was written
    :param outcomes: number of rows by outcome, with ``"due"`` for those that are still to be submitted
    :param statuses: number of rows by the status of their run
    :param rows_per_second: how many rows the present phase has dealt with in a second
    :param expected_end: when the present phase ends at this rate; None if that cannot be told yet
    :param completions: when runs have ended, as ``Completions.to_json`` has it
    :param durations: how long they took, as ``Durations.to_json`` has it
    :param reasons: by outcome, why rows have ended so, the commonest first
    :param repair: what a repair would make of the rows
    :param input: URI of the input; None if it is a list
    :param unknown_rows: URI of the list of rows that may have a run; None if there are no such rows
    :param problem_rows: URI of the list of rows with something wrong; None if there are no such rows
    :param owner: ``{"try_number", "since"}`` of the try that has claimed the batch
    :param webhooks: whether webhooks say when runs have ended
    :param outage: ``{"reason", "since", "until"}`` of an outage that is being waited out
    :param stopped_by: who has stopped the submission
    :param deadline: when the wait ends at the latest
    :param ended_at: when the try has ended
    :param try_number: number of the try
    :param resubmits_unknown: whether a clear submits rows again that may have been submitted
    :param first_row: number of the first row, which is not 1 in a shard
    :param last_row: number of the last row, where ``where`` has passed over rows in between
    :param error: ``{"type", "message", "code", "fingerprint"}`` of what has ended the try, beside its rows
    :param written: number of rows of the output that are written; 0 while rows are submitted or waited for
    """

    workflow_definition_id: str
    conn_id: str
    phase: ReportPhase
    phase_started_at: float
    rows: int
    state_folder: str
    output: str
    begun_at: float
    at: float
    outcomes: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    rows_per_second: float = 0.0
    expected_end: float | None = None
    completions: Mapping[str, Any] = field(default_factory=dict)
    durations: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[RowOutcome, tuple[Reason, ...]] = field(default_factory=dict)
    repair: Repair = field(default_factory=lambda: Repair(0, 0, 0, 0))
    input: str | None = None
    unknown_rows: str | None = None
    problem_rows: str | None = None
    owner: Mapping[str, Any] | None = None
    webhooks: bool = False
    outage: Mapping[str, Any] | None = None
    stopped_by: str | None = None
    deadline: float | None = None
    ended_at: float | None = None
    try_number: int = 1
    resubmits_unknown: bool = False
    first_row: int = 1
    last_row: int | None = None
    error: Mapping[str, Any] | None = None
    written: int = 0

    @property
    def done(self) -> int:
        """Number of rows that the present phase has dealt with: submitted, ended, or written."""
        if self.phase is ReportPhase.FETCHING:
            return self.written
        open_rows = self.outcomes.get(DUE, 0)
        if self.phase is not ReportPhase.SUBMITTING:
            open_rows += self.outcomes.get(RowOutcome.RUNNING.value, 0)
        return self.rows - open_rows

    @classmethod
    def begun(cls, workflow_definition_id: str, begun_at: float, *, conn_id: str = "", **more: Any) -> Self:
        """Return the report of a batch that begins, without its rows and its place.

        :param workflow_definition_id: id of the workflow definition
        :param begun_at: when it began, in seconds since the epoch
        :param conn_id: id of the connection
        :param more: other fields
        """
        return cls(
            workflow_definition_id,
            conn_id,
            ReportPhase.SUBMITTING,
            phase_started_at=begun_at,
            rows=0,
            state_folder="",
            output="",
            begun_at=begun_at,
            at=begun_at,
            **more,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON, about 20 kB at most."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        statuses = sorted(self.statuses.items(), key=lambda item: -item[1])[:MAX_STATUSES]
        return {
            "format": FORMAT,
            "kind": KIND,
            **fields,
            "phase": self.phase.value,
            "outcomes": dict(self.outcomes),
            "statuses": dict(statuses),
            "completions": dict(self.completions),
            "durations": dict(self.durations),
            "owner": None if self.owner is None else dict(self.owner),
            "outage": None if self.outage is None else dict(self.outage),
            "error": None if self.error is None else dict(self.error),
            "reasons": {
                outcome.value: [reason.to_json() for reason in some]
                for outcome, some in shortened(self.reasons).items()
            },
            "repair": dataclasses.asdict(self.repair),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the report that ``to_json`` made JSON of.

        :raises LookupError: if a field is missing
        :raises TypeError: if there are other fields
        :raises ValueError: if it is of another format, or a value cannot be right
        """
        given = dict(fields)
        if (given.pop("format"), given.pop("kind")) != (FORMAT, KIND):
            raise ValueError("it is not a report of a batch in the format that this version reads")
        reasons = {
            RowOutcome(outcome): tuple(map(Reason.from_json, some))
            for outcome, some in given["reasons"].items()
        }
        typed = {
            "phase": ReportPhase(given["phase"]),
            "reasons": reasons,
            "repair": Repair(**given["repair"]),
        }
        return cls(**{**given, **typed})

    def write(self, folder: ObjectStoragePath) -> None:
        """Write the report into the folder of the batch's state, for the process that waits.

        :raises Exception: if it cannot be written
        """
        write_whole(folder / _NAME, json.dumps(self.to_json()).encode())

    @classmethod
    def read(cls, folder: ObjectStoragePath) -> Self | None:
        """Return the report in the folder of a batch's state; None if it cannot be read.

        :param folder: where the batch keeps its state
        """
        with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
            return cls.from_json(json.loads(read_whole(folder / _NAME)))
        return None

    def at_phase(self, phase: ReportPhase, at: float) -> Self:
        """Return the report of a batch that begins with a phase.

        :param phase: what it is at now
        :param at: now
        """
        started = self.phase_started_at if phase is self.phase else at
        is_waiting = phase in (ReportPhase.SUBMITTING, ReportPhase.WAITING)
        return dataclasses.replace(
            self,
            phase=phase,
            phase_started_at=started,
            at=at,
            rows_per_second=0.0,
            expected_end=None,
            written=0 if is_waiting else self.written,
            deadline=self.deadline if is_waiting else None,
            outage=self.outage if is_waiting else None,
        )

    def has_changed_since(self, earlier: BatchReport) -> bool:
        """Return whether it says something else than an earlier one, beside what changes with the time alone.

        :param earlier: another report of the same batch
        """
        same_time = {name: getattr(self, name) for name in _BY_TIME}
        return self != dataclasses.replace(earlier, **same_time)

    def counted(self, tally: Tally, outcomes: Mapping[RowOutcome, int], statuses: Statuses) -> Self:
        """Return the report with the counts of now.

        :param tally: what has become of the rows
        :param outcomes: number of rows by outcome, those left out that are still to be submitted
        :param statuses: which status means what, as the connection says
        """
        due = self.rows - sum(outcomes.values())
        without_run = {outcome: some for outcome, some in self.reasons.items() if outcome in _WITHOUT_RUN}
        shown = {outcome.value: number for outcome, number in sorted(outcomes.items()) if number}
        return dataclasses.replace(
            self,
            outcomes=shown | ({DUE: due} if due > 0 else {}),
            statuses=dict(tally.statuses),
            completions=tally.completions(statuses),
            durations=tally.durations.to_json(),
            reasons={**without_run, **tally.reasons(statuses)},
            repair=repair_after_clear(outcomes, due, resubmits_unknown=self.resubmits_unknown),
        )


def repair_after_clear(outcomes: Mapping[RowOutcome, int], due: int, *, resubmits_unknown: bool) -> Repair:
    """Return what a repair would make of the rows.

    :param outcomes: number of rows by outcome
    :param due: number of rows that are still to be submitted
    :param resubmits_unknown: whether it submits rows again that may have been submitted
    """
    unknown = outcomes.get(RowOutcome.UNKNOWN, 0)
    submits = outcomes.get(RowOutcome.NOT_SUBMITTED, 0) + outcomes.get(RowOutcome.FAILED, 0) + max(0, due)
    return Repair(
        keeps=outcomes.get(RowOutcome.SUCCEEDED, 0) + outcomes.get(RowOutcome.RESULT_MISSING, 0),
        waits_for=outcomes.get(RowOutcome.RUNNING, 0),
        submits=submits + unknown * resubmits_unknown,
        leaves_unknown=0 if resubmits_unknown else unknown,
    )
