"""Which buttons of a task's page can be pressed, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import TaskInstanceState

from airflow_provider_workflows.operators.instruction import Action
from airflow_provider_workflows.ui.reports import BATCH, count, mapping, number
from airflow_provider_workflows.ui.task_states import has_failed, may_be_cleared

_ACTIONS = tuple(action.value for action in Action)
#: Why a user without the right presses no button.
NOT_ALLOWED_TO_CLEAR = (
    "You may not clear this task: that takes Airflow's permission to edit the DAG's task instances."
)
#: Why no button can be pressed where Airflow has no task state store.
NO_INSTRUCTIONS = (
    "This Airflow has no place in which a button could leave the task what it is pressed for, as Airflow 3.3 has: "
    "clear the task in Airflow itself, and it does what on_clear says."
)
_NO_REPORT = "The task has reported nothing yet."
_REPAIR_FIRST = "The task has ended before it has reported anything: repair it, and see what it reports."
#: What a person can do about rows of which nobody knows whether they have a run.
UNKNOWN_STAYS = (
    "This DAG lets no row be submitted again that may have a run. Search the service's dashboard for the run; if "
    'it has no such run, set on_unknown_outcome="resubmit" in the DAG and repair the batch, or leave the row '
    "as it is."
)
_OPERATORS = ("RunWorkflowOperator", "RunWorkflowBatchOperator", "RunWorkflowTask", "WorkflowsBatchTask")
_AT_WORK = "The task is at work: wait until it has ended."
_NOT_SUBMITTING = "The task is not submitting: there is nothing to stop."


def reasons_against(
    report: Mapping[str, Any] | None,
    state: str | None,
    *,
    may_clear: bool,
    takes_instructions: bool = True,
    stop_asked_by: str | None = None,
    operator: str | None = None,
) -> dict[str, str | None]:
    """Return for each button why it cannot be pressed; None if it can.

    :param report: what the task has reported
    :param state: Airflow's state of the task
    :param may_clear: whether the user may clear it
    :param takes_instructions: whether Airflow can keep for the task what a button is pressed for
    :param stop_asked_by: who has asked already to stop the submission
    :param operator: name of the task's class
    """
    if not may_clear:
        return dict.fromkeys(_ACTIONS, NOT_ALLOWED_TO_CLEAR)
    if not takes_instructions:
        return dict.fromkeys(_ACTIONS, NO_INSTRUCTIONS)
    if report is None:
        return _against_without_report(state, operator)
    is_batch = report["kind"] == BATCH
    against = {
        Action.REPAIR: _against_repair(report, state) if is_batch else _against_repair_of_run(report),
        Action.START_OVER: _against_start_over(report),
        Action.RESUBMIT: _against_resubmit(report),
    }
    if not may_be_cleared(state):
        against = dict.fromkeys(against, _AT_WORK)
    against[Action.STOP] = _against_stop(report, state, stop_asked_by)
    return {action.value: reason for action, reason in against.items()}


def _against_without_report(state: str | None, operator: str | None) -> dict[str, str | None]:
    """Return why no button can be pressed but Repair, with which the task itself says what it finds."""
    if operator not in _OPERATORS or not has_failed(state):
        return dict.fromkeys(_ACTIONS, _NO_REPORT)
    return {**dict.fromkeys(_ACTIONS, _REPAIR_FIRST), Action.REPAIR.value: None}


def runs(report: Mapping[str, Any]) -> int:
    """Return how many runs starting over submits, each of which is billed.

    :param report: what the task has reported
    """
    return max(number(report.get("rows")) - count(report, "skipped"), 0) if report["kind"] == BATCH else 1


def _against_start_over(report: Mapping[str, Any]) -> str | None:
    if runs(report):
        return None
    if not number(report.get("rows")) and mapping(report, "error"):
        return (
            "The task has failed before it has counted its rows, so that nobody could be told how many runs this "
            'submits: correct what its error names, or set on_clear="start_over" in the DAG and clear the task.'
        )
    return "There is no row that can be submitted."


def _against_resubmit(report: Mapping[str, Any]) -> str | None:
    if report["kind"] != BATCH:
        return "A single run has no rows: repair it, or start over."
    return (
        None
        if number(report.get("rows"))
        else "The task has failed before it has counted its rows: repair it."
    )


def _against_repair(report: Mapping[str, Any], state: str | None) -> str | None:
    repair = mapping(report, "repair")
    # Something else than its rows has failed the task, such as the input: what a repair finds is not known here.
    if mapping(report, "error") and has_failed(state):
        return None
    if number(repair.get("submits")) or number(repair.get("waits_for")) or count(report, "result_missing"):
        return None
    if number(repair.get("leaves_unknown")):
        return (
            "A repair submits nothing: what is left are rows that may have a run, which unknown.csv lists. "
            f"{UNKNOWN_STAYS}"
        )
    return "There is nothing to repair: a repair submits nothing and waits for nothing."


def _against_repair_of_run(report: Mapping[str, Any]) -> str | None:
    outcome = report.get("outcome")
    if outcome == "succeeded":
        return "There is nothing to repair: the run has succeeded."
    if outcome == "unknown":
        return (
            "Nobody knows whether there is a run. Search the service's dashboard for it, and start over if it "
            "has no such run."
        )
    return None


def _against_stop(report: Mapping[str, Any], state: str | None, stop_asked_by: str | None) -> str | None:
    if state != TaskInstanceState.RUNNING.value:
        return _NOT_SUBMITTING
    if stop_asked_by is not None:
        return f"{stop_asked_by} has asked for it already; it takes a few seconds."
    if report["kind"] == BATCH:
        return None if report.get("phase") == "submitting" else "All rows that are due have been submitted."
    return (
        "The run has been started: the service has no call that stops it."
        if report.get("workflow_id")
        else None
    )
