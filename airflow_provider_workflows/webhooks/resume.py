"""Find the tasks that wait for a run, and resume them, from the API server.

Airflow has no public call for this; ``airflow_internals`` says what is used, and what happens without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_provider_workflows.airflow_internals import deferral, orm
from airflow_provider_workflows.triggers.workflow_status import WorkflowStatusTrigger
from airflow_provider_workflows.xcom_keys import WORKFLOW_ID_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.webhooks.payload import Completion

#: As Airflow stores the trigger of a task that waits for one run.
TRIGGER_CLASSPATH = f"{WorkflowStatusTrigger.__module__}.{WorkflowStatusTrigger.__qualname__}"
RESUME_METHOD = "execute_complete"


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
    now = datetime.now(timezone.utc)
    wait = timedelta(seconds=deferral.seconds_before_event())
    for task in found:
        workflow_id = task.xcom.lower()
        # The XCom may hold another run's id; the trigger says which run it waits for, and with which connection.
        if (
            task.arguments.get("workflows_conn_id") != conn_id
            or str(task.arguments.get("workflow_id")).lower() != workflow_id
        ):
            continue
        resumption.awaited.add(workflow_id)
        seconds = (task.deferred_at + wait - now).total_seconds()
        if seconds > 0:
            resumption.too_early[workflow_id] = max(seconds, resumption.too_early.get(workflow_id, 0.0))
        else:
            event = {"workflow_id": workflow_id, "status": completions[workflow_id].status}
            deferral.resume(task.row, event, session)
    return resumption
