"""What a try is to do about the run of an earlier one, by its record.

Of a batch's rows, ``batch/repair.py`` says it.
"""

from __future__ import annotations

import enum

from airflow_provider_workflows.api import Outcome
from airflow_provider_workflows.operators.run_record import RunPhase, RunRecord


class Decision(enum.Enum):
    """What a try of the task is to do about the run of a record."""

    SUBMIT = "submit a run"
    REATTACH = "go on with the run that was submitted"
    KEEP = "keep the run that has succeeded"
    UNKNOWN = "decide what to do about a run that may have been submitted"


_DECISIONS = {
    RunPhase.SUBMITTING: Decision.UNKNOWN,
    RunPhase.NOT_SUBMITTED: Decision.SUBMIT,
    RunPhase.SUBMITTED: Decision.REATTACH,
    RunPhase.SUCCEEDED: Decision.KEEP,
    RunPhase.FAILED: Decision.SUBMIT,
}


#: What to do about a run whose last status is recorded, by what the connection says of it now.
DECISION_AT_END = {
    Outcome.SUCCESS: Decision.KEEP,
    Outcome.FAILURE: Decision.SUBMIT,
    Outcome.PENDING: Decision.REATTACH,
}


def decide(record: RunRecord | None) -> Decision:
    """Return what to do, by what is recorded alone.

    :param record: what an earlier try has written; None if there is nothing
    """
    return Decision.SUBMIT if record is None else _DECISIONS[record.phase]


_DESCRIPTIONS = {
    RunPhase.SUBMITTING: "a run may have been submitted",
    RunPhase.NOT_SUBMITTED: "no run was submitted",
    RunPhase.SUBMITTED: "workflow {0.workflow_id} was submitted",
    RunPhase.SUCCEEDED: "workflow {0.workflow_id} has succeeded",
    RunPhase.FAILED: "workflow {0.workflow_id} has ended in {0.status}",
}


def described(record: RunRecord) -> str:
    """Return the words for a record, as a clause of a log line."""
    words = _DESCRIPTIONS[record.phase].format(record)
    return f"for {record.subject} {words}"
