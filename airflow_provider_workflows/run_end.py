"""How a try of a single run has failed, in words: for the task's log and its alerts.

``batch/try_end.py`` says it of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_workflows.clear_wording import ClearChoices
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.run_report import RunOutcome

if TYPE_CHECKING:
    from airflow_provider_workflows.run_report import RunReport

_NOTHING = "no run billed"
_ONE = "1 run billed"
_WORDS = {
    RunOutcome.RUNNING: "the run goes on",
    RunOutcome.SUCCEEDED: "the run has succeeded",
    RunOutcome.FAILED: "the run has failed",
    RunOutcome.UNKNOWN: "nobody knows whether there is a run",
    RunOutcome.NOT_SUBMITTED: "no run was started",
}


@dataclass(frozen=True)
class EarlierRun:
    """What is recorded of the run of an earlier try.

    :param outcome: what has become of it
    :param words: the words for it, as a clause
    :param workflow_id: its id, if it is known
    """

    outcome: RunOutcome
    words: str
    workflow_id: str | None = None

    @property
    def work(self) -> str:
        """What a retry or a repair does about it, its cost first; what their input is shows only then."""
        verb = "keeps" if self.outcome is RunOutcome.SUCCEEDED else "goes on with"
        return f"{_NOTHING} if the input is that of the earlier try; {verb} workflow {self.workflow_id}"


@dataclass(frozen=True)
class RunEnd:
    """How a try has failed.

    :param report: what there is to say of the run
    :param page: address of the run's page
    :param retries_left: how often Airflow may try the task again
    :param is_retryable: whether the error that has ended the try is worth a retry
    :param durable: whether the run is recorded; without it each try submits another
    :param resubmits_unknown: whether a retry or a clear submits again what may have been submitted
    :param choices: how a person has the task repaired or started over
    :param earlier: the run of an earlier try that the next one goes on with, where this try has started none
    """

    report: RunReport
    page: str
    retries_left: int
    is_retryable: bool
    durable: bool = True
    resubmits_unknown: bool = False
    choices: ClearChoices = field(default_factory=ClearChoices)
    earlier: EarlierRun | None = None

    @property
    def lines(self) -> list[str]:
        """The lines of the block: what failed and why, where to find more, and what to do at what cost."""
        report = self.report
        status = f", status {report.status}" if report.status else ""
        earlier = f" By the record of the earlier tries, {self.earlier.words}." if self.earlier else ""
        lines = [f"Try {report.try_number} has failed: {_WORDS[report.outcome]}{status}.{earlier}"]
        if report.error is not None:
            lines.append(f"Error: {report.error['type']}: {report.error['message']}")
        lines.append(f"Page: {self.page}")
        if report.dashboard_url:
            lines.append(f"Dashboard: {report.dashboard_url}")
        return [
            *lines,
            self._retry,
            f"A repair ({self.choices.repair}): {self._work}.",
            f"Starting over ({self.choices.start_over}): {_ONE}; submits a new run, whatever there is.",
        ]

    def __str__(self) -> str:
        """Return the block."""
        return "\n".join(self.lines)

    @property
    def _retry(self) -> str:
        if not self.is_retryable:
            return "Airflow does not retry the task."
        if not self.retries_left:
            return "No retry is left."
        left = counted(self.retries_left, "retry is", "retries are")
        return f"A retry: {self._work}. {left} left."

    @property
    def _work(self) -> str:
        """What a retry or a repair does, its cost first."""
        if self.earlier is not None and self.earlier.workflow_id is not None:
            return self.earlier.work
        outcome = self.report.outcome if self.earlier is None else self.earlier.outcome
        if not self.durable or outcome is RunOutcome.FAILED:
            return f"{_ONE}; submits a new run"
        if outcome is RunOutcome.NOT_SUBMITTED:
            return f"{_ONE}; submits the run"
        if outcome is RunOutcome.UNKNOWN and self.resubmits_unknown:
            return f"{_ONE}; submits a run, at the risk of a second one"
        if outcome is RunOutcome.UNKNOWN:
            return f"{_NOTHING}; submits nothing as long as it is not known whether there is a run"
        kept = "keeps the run" if outcome is RunOutcome.SUCCEEDED else "waits for the run that there is"
        return f"{_NOTHING}; {kept}"
