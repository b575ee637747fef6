"""Which tasks wait for the run of a webhook, and how they are resumed, on the API server.

Airflow has no public call for this; ``airflow_internals`` says what is used, and what happens without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_workflows.airflow_internals import deferral, orm
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.webhooks.trigger_cache import TriggerCache
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.airflow_internals.orm import DeferredTask
    from airflow_provider_workflows.webhooks.payload import Completion

#: As Airflow stores the trigger of a task that waits for one run.
TRIGGER_CLASSPATH = f"{WorkflowStatusTrigger.__module__}.{WorkflowStatusTrigger.__qualname__}"
RESUME_METHOD = "execute_complete"
#: SQL pattern of the id of a workflow in an XCom, as JSON.
WORKFLOW_ID_PATTERN = f'"{"-".join("_" * characters for characters in (8, 4, 4, 4, 12))}"'


@dataclass
class Resumption:
    """What became of the tasks that wait for some runs.

    :param awaited: the ids of those runs that a task waits for
    :param too_early: those whose task may not be resumed yet, and in how many seconds it may
    """

    awaited: set[str] = field(default_factory=set)
    too_early: dict[str, float] = field(default_factory=dict)


def can_resume() -> bool:
    """Return whether this Airflow has what resuming needs; when it has not, that is logged, once."""
    return deferral.RESUME.is_available() and orm.DEFERRED_TASKS.is_available()


def resume_tasks(completions: Mapping[str, Completion], conn_id: str, session: Session) -> Resumption:
    """Resume each task that is deferred for one of the runs; tasks of other connections are left alone.

    :param completions: runs that have ended, by id in lower case
    :param conn_id: id of the connection whose webhooks these are
    :param session: of the metadata database; the caller commits
    """
    found = orm.deferred_tasks_with_xcom(
        TRIGGER_CLASSPATH,
        RESUME_METHOD,
        WORKFLOW_ID_KEY,
        [json.dumps(workflow_id) for workflow_id in completions],
        session,
    )
    resumption = Resumption()
    for task in [*found, *_stored_elsewhere(completions, session)]:
        run = _awaited_run(task)
        # The XCom may hold another run's id; the trigger says which run it waits for, and with which connection.
        if run.conn_id == conn_id and run.workflow_id in completions:
            _resume(task, completions[run.workflow_id], resumption, session)
    return resumption


class _AwaitedRun(NamedTuple):
    """What a task waits for.

    :param workflow_id: id of the run, in lower case
    :param conn_id: id of the connection
    """

    workflow_id: str
    conn_id: str | None


def _awaited_run(task: DeferredTask) -> _AwaitedRun:
    arguments = task.arguments
    return _AwaitedRun(str(arguments.get("workflow_id")).lower(), arguments.get("workflows_conn_id"))


_tasks_stored_elsewhere = TriggerCache(_awaited_run)


def _stored_elsewhere(completions: Mapping[str, Completion], session: Session) -> list[DeferredTask]:
    """Return the tasks whose XCom is not the id itself: an XCom backend has it, and the database a path."""
    triggers = orm.deferred_triggers(
        TRIGGER_CLASSPATH, session, key=WORKFLOW_ID_KEY, not_like=WORKFLOW_ID_PATTERN
    )
    runs = _tasks_stored_elsewhere.of(triggers, session)
    ended = [trigger for trigger, run in runs.items() if run.workflow_id in completions]
    tasks = orm.deferred_tasks(ended, session, lock=True)
    return [task for task in tasks if task.row.next_method == RESUME_METHOD]


def _resume(task: DeferredTask, completion: Completion, resumption: Resumption, session: Session) -> None:
    workflow_id = completion.workflow_id
    resumption.awaited.add(workflow_id)
    may_resume_at = task.deferred_at + timedelta(seconds=deferral.seconds_before_event())
    seconds = (may_resume_at - datetime.now(timezone.utc)).total_seconds()
    if seconds > 0:
        resumption.too_early[workflow_id] = max(seconds, resumption.too_early.get(workflow_id, 0.0))
    else:
        event = {"workflow_id": workflow_id, "status": completion.status, **completion.evidence_fields}
        deferral.resume(task.row, event, session)
