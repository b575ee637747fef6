"""How a try of a batch has ended, in words: for the task's log, its error and alerts.

``run_end.py`` says it of a single run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.progress import counts_in_words
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.clear_wording import ClearChoices
from airflow_provider_workflows.counted import counted

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.failure_policy import FailurePolicy
    from airflow_provider_workflows.batch.report import BatchReport

#: This many reasons of an outcome are named, the commonest.
SHOWN_REASONS = 3
_TIMES = "\N{MULTIPLICATION SIGN}"
_WELL = (RowOutcome.SUCCEEDED, RowOutcome.SKIPPED)


@dataclass(frozen=True)
class RetryWork:
    """What a retry of the task would do.

    :param submits: rows that it submits
    :param waits_for: rows whose run it waits for
    :param fetches: rows whose result it fetches
    """

    submits: int
    waits_for: int
    fetches: int

    @property
    def rows(self) -> int:
        """Number of rows with which it goes on."""
        return self.submits + self.waits_for + self.fetches

    def __str__(self) -> str:
        """Return what it does, and what that costs."""
        if not self.rows:
            return "would change nothing"
        parts = [
            f"submits {self.submits:,} ({runs_billed(self.submits)})" if self.submits else "",
            f"waits for {self.waits_for:,}" if self.waits_for else "",
            f"fetches the results of {self.fetches:,}" if self.fetches else "",
        ]
        return ", ".join(filter(None, parts))


@dataclass(frozen=True)
class TryEnd:
    """How a try has ended.

    :param report: what there is to say of the batch
    :param policy: when the batch counts as failed, and what a retry submits; None if that is not known
    :param withheld: rows that no retry submits, as a person has said, by outcome
    :param page: address of the batch's page; None if it has no page
    :param retries_left: how often Airflow may try the task again; None if that is not known
    :param is_retryable: whether the error that ended the try is worth a retry; None if it has succeeded
    :param choices: how a person has the task repaired or started over
    :param has_output: whether the output is there
    """

    report: BatchReport
    policy: FailurePolicy | None = None
    withheld: Mapping[RowOutcome, int] = field(default_factory=dict)
    page: str | None = None
    retries_left: int | None = None
    is_retryable: bool | None = None
    choices: ClearChoices = field(default_factory=ClearChoices)
    has_output: bool = True

    @property
    def failed(self) -> int:
        """Number of rows that did not succeed; those that were skipped because they are bad do not count."""
        return sum(number for name, number in self.report.outcomes.items() if name not in _WELL)

    @property
    def lines(self) -> list[str]:
        """The lines of the block: counts, reasons, where to find more, and what to do at what cost."""
        report = self.report
        counts = f"{counts_in_words(report.outcomes)}; {counted(report.rows, 'row')} in all"
        return [
            f"Try {report.try_number} of the batch has ended: {counts}.",
            *(f"{text}." for text in self._reasons),
            *self._places,
            *self._choices,
        ]

    def __str__(self) -> str:
        """Return the block."""
        return "\n".join(self.lines)

    @property
    def sentence(self) -> str:
        """The words of the batch's error."""
        report = self.report
        skipped = report.outcomes.get(RowOutcome.SKIPPED.value, 0)
        counts = {name: number for name, number in report.outcomes.items() if name not in _WELL}
        and_skipped = f", and {counted(skipped, 'bad row was', 'bad rows were')} skipped" if skipped else ""
        words = (
            f"{self.failed:,} of {counted(report.rows, 'row')} did not succeed ({counts_in_words(counts)})"
        )
        parts = [
            f"{words}{and_skipped}.",
            *(f"{text}." for text in self._reasons),
            f"Each row is in {report.output}, with its outcome, error code and error.",
            f"{self._stopped}" if self._stopped else "",
            f"A retry {self._retry}." if self._retry is not None else "",
        ]
        return " ".join(filter(None, parts))

    @property
    def _reasons(self) -> list[str]:
        texts = []
        for outcome, reasons in sorted(self.report.reasons.items(), key=lambda item: item[0].value):
            number = self.report.outcomes.get(outcome.value, 0)
            if not number or not reasons:
                continue
            # A reason is a sentence of its own elsewhere.
            words = [
                f"{each.rows:,} {_TIMES} {each.reason.removesuffix('.')}, {_rows(each.examples)}"
                for each in reasons
            ]
            others = len(words) - SHOWN_REASONS
            more = f"; {counted(others, 'more reason')}" if others > 0 else ""
            texts.append(f"{number:,} {outcome.value}: {'; '.join(words[:SHOWN_REASONS])}{more}")
        return texts

    @property
    def _places(self) -> list[str]:
        report = self.report
        places = {
            "Output": report.output if self.has_output else None,
            "Rows with something wrong": report.problem_rows,
            "Unknown rows": report.unknown_rows,
            "Page": self.page,
        }
        return [f"{name}: {place}" for name, place in places.items() if place]

    @property
    def _choices(self) -> list[str]:
        report, repair = self.report, self.report.repair
        lines = [self._stopped] if self._stopped else []
        if self._retry is not None and self.failed:
            lines.append(f"A retry {self._retry}. {self._retries_left}".strip())
        cost = runs_billed(repair.submits)
        missing = report.outcomes.get(RowOutcome.RESULT_MISSING.value, 0)
        fetches = f", fetches {counted(missing, 'missing result')}" if missing else ""
        good = report.rows - report.outcomes.get(RowOutcome.SKIPPED.value, 0)
        rows = "the one row" if good == 1 else f"all {counted(good, 'row')}"
        return [
            *lines,
            f"A repair ({self.choices.repair}): {cost}; {repair}{fetches}.",
            f"Starting over ({self.choices.start_over}) submits {rows}: {runs_billed(good)}.",
        ]

    @property
    def _stopped(self) -> str:
        unsent = self.withheld.get(RowOutcome.NOT_SUBMITTED, 0)
        if not unsent:
            return ""
        unsent_rows = counted(unsent, "was", "were")
        return f"{unsent_rows} not sent because a person said so: the next clear submits the rest."

    @property
    def _retry(self) -> RetryWork | None:
        return None if self.policy is None else self.policy.retry_of(self.report.outcomes, self.withheld)

    @property
    def _retries_left(self) -> str:
        if self.is_retryable is None or self.retries_left is None:
            return ""
        if not self.is_retryable:
            return "Airflow does not retry the task."
        if not self.retries_left:
            return "No retry is left."
        return f"{counted(self.retries_left, 'retry is', 'retries are')} left."


def runs_billed(number: int) -> str:
    """Return what a number of runs costs, in words: ``1 run billed``.

    :param number: of runs
    """
    return f"{counted(number, 'run')} billed" if number else "no run billed"


def _rows(examples: str) -> str:
    return f"row{'' if examples.isdigit() else 's'} {examples}"
