"""The data of a task's page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState

from airflow_provider_workflows.airflow_internals import stored_task_state, task_reports
from airflow_provider_workflows.api.polling import FRACTION_OF_AGE
from airflow_provider_workflows.batch.report import ReportPhase
from airflow_provider_workflows.operators.instruction import (
    INSTRUCTION_KEY,
    INSTRUCTION_VALID_SECONDS,
    Action,
    Instruction,
)
from airflow_provider_workflows.ui.buttons import UNKNOWN_STAYS, reasons_against, runs
from airflow_provider_workflows.ui.reports import report_of
from airflow_provider_workflows.ui.task_states import has_ended, has_failed
from airflow_provider_workflows.xcom_keys import REPORT_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.airflow_internals.task_reports import TaskWithReport
    from airflow_provider_workflows.task_identity import TaskIdentity

#: A task that waits in the triggerer for longer says so if none is running.
TRIGGERER_MISSED_SECONDS = 60.0

_ENDED = ReportPhase.ENDED.value
#: A worker tells Airflow every few seconds that it is at work; one that is silent for longer may be lost.
WORKER_MISSED_SECONDS = 45.0

_NO_WORKER = (
    "The worker has not been heard of for more than {seconds:,} seconds: it may be lost, or cut off from Airflow. "
    "Airflow ends this try by itself ([scheduler] task_instance_heartbeat_timeout). Do nothing until then: a "
    "retry, or a repair, goes on with the runs that there are."
)
_CUT_OFF = (
    "The latest try was cut off before its last report: its worker was lost, or somebody has set its state. What "
    "is shown is as of that report, and more may have been submitted since. A repair reads first what was "
    "submitted, and keeps it."
)
_NO_TRIGGERER = (
    "The task waits in the triggerer, and needs one that runs: none is running. Nothing is polled until one is "
    "started (airflow triggerer); what runs in the service goes on."
)
#: Airflow clears a task within a second of a button; an instruction that is older was left behind.
CLEARED_WITHIN_SECONDS = 10.0
_LEFT_BEHIND = (
    "{name} has asked for something ({action}), and Airflow has not cleared the task for it: the API server may "
    "have ended in between. Who clears the task now has it done. A button that is pressed two minutes after "
    "it, or later, takes its place."
)
_NO_SOUND_REPORT = (
    "What the task has reported cannot be shown: it is damaged, or another version has written it."
)


def task_data(
    task: TaskIdentity, session: Session, *, may_clear: bool, now: datetime
) -> dict[str, Any] | None:
    """Return what the page of a task shows, as JSON; None if there is no such task instance.

    It takes three queries at most.

    :param task: which task
    :param session: of the metadata database
    :param may_clear: whether the user may clear the task
    :param now: the present time
    """
    found = task_reports.read_task(task, REPORT_KEY, session)
    if found is None:
        return None
    report = report_of(found.report)
    stored = stored_task_state.read_task_state(task, INSTRUCTION_KEY, session)
    instruction = _instruction(stored)
    is_stop = instruction is not None and instruction["action"] == Action.STOP.value
    return {
        "state": found.state,
        "is_over": has_ended(found.state),
        "try_number": found.try_number,
        "started_at": _epoch(found.started_at),
        "ended_at": _epoch(found.ended_at),
        "report": report,
        "instruction": instruction,
        "notice": _notice(found, report, session, now) or _left_behind(found, stored, now),
        "has_failed": has_failed(found.state),
        "unknown_stays": UNKNOWN_STAYS,
        "buttons": reasons_against(
            report,
            found.state,
            may_clear=may_clear,
            takes_instructions=stored_task_state.takes_instructions(),
            operator=found.operator,
            stop_asked_by=instruction["asked_by"] if instruction is not None and is_stop else None,
        ),
        "runs": 0 if report is None else runs(report),
        "fraction_of_age": FRACTION_OF_AGE,
    }


def _notice(
    task: TaskWithReport, report: Mapping[str, Any] | None, session: Session, now: datetime
) -> str | None:
    if task.report is not None and report is None:
        return _NO_SOUND_REPORT
    if task.state == TaskInstanceState.RUNNING.value:
        return _worker_is_missed(task, now)
    if has_failed(task.state) and report is not None and report.get("phase", _ENDED) != _ENDED:
        return _CUT_OFF
    if task.state != TaskInstanceState.DEFERRED.value or task.deferred_at is None:
        return None
    if (now - task.deferred_at).total_seconds() < TRIGGERER_MISSED_SECONDS:
        return None
    return None if task_reports.is_triggerer_alive(now, session) else _NO_TRIGGERER


def _worker_is_missed(task: TaskWithReport, now: datetime) -> str | None:
    # The heartbeat of an earlier try says nothing of this one.
    heard = max((moment for moment in (task.heartbeat_at, task.started_at) if moment), default=now)
    silent = (now - heard).total_seconds()
    return _NO_WORKER.format(seconds=int(silent) // 10 * 10) if silent > WORKER_MISSED_SECONDS else None


def _left_behind(task: TaskWithReport, stored: Any, now: datetime) -> str | None:
    """Return the words for an instruction that the next clear follows, though nobody may expect it any more."""
    try:
        instruction = Instruction.from_json(stored)
    except (LookupError, TypeError, ValueError):
        return None
    age = now.timestamp() - instruction.asked_at
    # A try that has begun since has found it.
    has_begun = task.started_at is not None and task.started_at.timestamp() >= instruction.asked_at
    is_left = CLEARED_WITHIN_SECONDS < age <= INSTRUCTION_VALID_SECONDS and not has_begun
    if instruction.action is Action.STOP or not has_ended(task.state) or not is_left:
        return None
    return _LEFT_BEHIND.format(name=instruction.asked_by, action=instruction.action.value.replace("_", " "))


def _instruction(stored: Any) -> dict[str, Any] | None:
    if not isinstance(stored, Mapping) or not isinstance(stored.get("action"), str):
        return None
    return {
        "action": stored["action"],
        "asked_by": str(stored.get("asked_by")),
        "asked_at": stored.get("asked_at"),
        "rows": stored.get("rows"),
        "outcome": stored.get("outcome"),
    }


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
