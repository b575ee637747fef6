"""Resuming the tasks that wait for a workflow, from the API server.

Airflow has no public call for this. What is used here is what its own API uses to resume a task that waited for a
person: ``handle_event_submit``. Where that is not as expected, nothing is woken, tasks poll as without webhooks,
and the log says so once.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.deferral import seconds_before_event
from airflow_provider_workflows.batch.inbox import add_completions
from airflow_provider_workflows.xcom_keys import INBOX_KEY, WORKFLOW_ID_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.webhooks.payload import Completion

log = logging.getLogger(__name__)

_SINGLE = "airflow_provider_workflows.triggers.workflow_status.WorkflowStatusTrigger"
_BATCH = "airflow_provider_workflows.triggers.batch_status.BatchStatusTrigger"
_RESUMES_WITH = "execute_complete"


@functools.cache
def can_resume() -> bool:
    """Whether this Airflow has what waking needs; when it has not, that is logged, once."""
    try:
        from airflow.models.trigger import handle_event_submit  # noqa: PLC0415
        from airflow.triggers.base import TriggerEvent  # noqa: PLC0415

        parameters = inspect.signature(handle_event_submit).parameters
        inspect.signature(TriggerEvent).bind({})
        as_expected = {"task_instance", "session"} <= parameters.keys()
    except Exception:  # noqa: BLE001  (whatever it is, it is not as expected)
        as_expected = False
    if not as_expected:
        log.warning(
            "Webhooks cannot resume tasks in this version of Airflow, so workflows are polled as without webhooks."
        )
    return as_expected


def resume_tasks(completions: Mapping[str, Completion], conn_id: str, session: Session) -> dict[str, float]:
    """Resume each task that is deferred for one of the workflows, and tell the batches that wait of the others.

    Tasks and batches of other connections are left alone.

    :param completions: workflows that have ended, by id
    :param conn_id: id of the connection whose webhooks these are
    :param session: of the metadata database; the caller commits
    :return: those workflows whose task may not be resumed yet, and in how many seconds it may
    """
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.trigger import Trigger, handle_event_submit  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415
    from airflow.triggers.base import TriggerEvent  # noqa: PLC0415
    from airflow.utils.state import TaskInstanceState  # noqa: PLC0415
    from sqlalchemy import String, cast, func, select  # noqa: PLC0415

    found = session.execute(
        select(TaskInstance, XComModel.value, Trigger)
        .join(Trigger, Trigger.id == TaskInstance.trigger_id)
        .join(
            XComModel,
            (XComModel.dag_id == TaskInstance.dag_id)
            & (XComModel.run_id == TaskInstance.run_id)
            & (XComModel.task_id == TaskInstance.task_id)
            & (XComModel.map_index == TaskInstance.map_index),
        )
        .where(
            TaskInstance.state == TaskInstanceState.DEFERRED,
            TaskInstance.next_method == _RESUMES_WITH,
            Trigger.classpath == _SINGLE,
            XComModel.key == WORKFLOW_ID_KEY,
            # A JSON column is compared as text: each database writes text in JSON in the one way.
            func.lower(cast(XComModel.value, String(64))).in_([json.dumps(name) for name in completions]),
        )
        .with_for_update(of=TaskInstance)
    ).all()
    # Another connection's service is to say itself how its workflow stands, whatever id this one has given away.
    waiting = [
        (task_instance, workflow_id.lower(), trigger)
        for task_instance, workflow_id, trigger in found
        if trigger.kwargs.get("workflows_conn_id") == conn_id
        and str(trigger.kwargs.get("workflow_id")).lower() == workflow_id.lower()
    ]
    too_early: dict[str, float] = {}
    now = datetime.now(timezone.utc)
    for task_instance, workflow_id, trigger in waiting:
        seconds = (trigger.created_date + timedelta(seconds=seconds_before_event()) - now).total_seconds()
        if seconds > 0:
            too_early[workflow_id] = max(seconds, too_early.get(workflow_id, 0.0))
            continue
        event: dict[str, Any] = {"workflow_id": workflow_id, "status": completions[workflow_id].status}
        submitted = TriggerEvent(event)  # type: ignore[no-untyped-call]
        handle_event_submit(submitted, task_instance=task_instance, session=session)
    singles = {workflow_id for _, workflow_id, _ in waiting}
    others = {name: completion.status for name, completion in completions.items() if name not in singles}
    if others:
        _put_into_inboxes(others, conn_id, session)
    return too_early


def _put_into_inboxes(statuses: Mapping[str, str], conn_id: str, session: Session) -> None:
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.trigger import Trigger  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415
    from airflow.utils.state import TaskInstanceState  # noqa: PLC0415
    from sqlalchemy import select  # noqa: PLC0415

    # The task's row is locked, so that two API servers do not write over each other's inbox.
    batches = session.execute(
        select(TaskInstance, Trigger)
        .join(Trigger, Trigger.id == TaskInstance.trigger_id)
        .where(TaskInstance.state == TaskInstanceState.DEFERRED, Trigger.classpath == _BATCH)
        .with_for_update(of=TaskInstance)
    ).all()
    for task_instance, trigger in batches:
        if trigger.kwargs.get("workflows_conn_id") != conn_id or not trigger.kwargs.get("webhooks"):
            continue
        of_task: dict[str, Any] = {
            "dag_id": task_instance.dag_id,
            "run_id": task_instance.run_id,
            "task_id": task_instance.task_id,
            "map_index": task_instance.map_index,
        }
        known = session.scalar(select(XComModel.value).filter_by(key=INBOX_KEY, **of_task))
        inbox = add_completions(known, statuses)
        XComModel.set(INBOX_KEY, inbox, serialize=False, session=session, **of_task)
