"""What the pages read and write of Airflow's database: tasks with reports, the audit log, and triggerers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)
from airflow_provider_workflows.airflow_internals.orm import SESSION
from airflow_provider_workflows.task_identity import TaskIdentity

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

IDS = ("dag_id", "run_id", "task_id", "map_index")
#: The columns of a task instance that a page shows.
_SHOWN = ("state", "try_number", "start_date", "end_date", "operator", "last_heartbeat_at")
#: Reports are read from the database in groups of this many.
_REPORTS_AT_ONCE = 200
#: A query names this many DAGs at most.
_MOST_NAMED_DAGS = 500

# No module of ``airflow.models`` is imported before it is used: workers import this package too.


class _Models(NamedTuple):
    task_instance: Any
    trigger: Any
    xcom: Any
    job: Any
    log: Any
    health_check_seconds: float


def _find_models() -> _Models:
    from airflow.configuration import conf  # noqa: PLC0415
    from airflow.jobs.job import Job  # noqa: PLC0415
    from airflow.models.log import Log  # noqa: PLC0415
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.trigger import Trigger  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415

    require_attributes(TaskInstance, "trigger_id", *IDS, *_SHOWN)
    require_attributes(Trigger, "id", "created_date")
    require_attributes(XComModel, "key", "value", "timestamp", *IDS)
    require_attributes(Job, "job_type", "state", "latest_heartbeat")
    require_parameters(Log, "event", "owner", "owner_display_name", "extra")
    seconds = conf.getfloat("triggerer", "triggerer_health_check_threshold", fallback=30.0)
    return _Models(TaskInstance, Trigger, XComModel, Job, Log, seconds)


PAGES = Feature(
    "airflow.models: taskinstance.TaskInstance, trigger.Trigger, xcom.XComModel, "
    "log.Log(event, owner, owner_display_name, extra), airflow.jobs.job.Job",
    purpose="show tasks on the pages of this package",
    without="The pages say that they can show nothing",
    find=_find_models,
)


@dataclass(frozen=True)
class TaskWithReport:
    """A task instance, and the report that it has written.

    :param id: which it is
    :param state: Airflow's state of it
    :param try_number: number of its latest try
    :param started_at: when that began
    :param ended_at: when that ended
    :param deferred_at: since when it waits in the triggerer; None if it does not
    :param report: the value of its XCom; None if it has none
    :param operator: name of its class
    :param heartbeat_at: when its worker has last told Airflow that it is at work
    """

    id: TaskIdentity
    state: str | None
    try_number: int
    started_at: datetime | None
    ended_at: datetime | None
    deferred_at: datetime | None
    report: Any
    operator: str | None = None
    heartbeat_at: datetime | None = None


@contextmanager
def reading_session() -> Iterator[Session]:
    """Open a session of the metadata database in which nothing is written.

    :raises RuntimeError: if Airflow offers none
    """
    create_session = SESSION.get()
    if create_session is None or PAGES.get() is None:
        raise RuntimeError("this Airflow does not let the pages read its database")
    with create_session() as session:
        yield session


def read_task(task: TaskIdentity, key: str, session: Session) -> TaskWithReport | None:
    """Return a task instance with its report, or None if there is no such task instance.

    :param task: which
    :param key: of the XCom that holds the report
    :param session: of the metadata database
    """
    chosen = _tasks_with_xcom(page_models(), key, is_outer=True)
    instance = page_models().task_instance
    row = session.execute(chosen.where(*is_task(instance, task))).first()
    return None if row is None else _task_with_report(row)


def read_reports(
    key: str, dag_ids: set[str], since: datetime, session: Session, *, containing: str | None = None
) -> Iterator[TaskWithReport]:
    """Yield the task instances of some DAGs that have written a report, the latest report first.

    :param key: of the XCom that holds the report
    :param dag_ids: of the DAGs
    :param since: from when on reports are read
    :param session: of the metadata database
    :param containing: text that the report contains, in lower or upper case; None for all
    """
    from sqlalchemy import String, cast, func  # noqa: PLC0415

    models = page_models()
    chosen = _tasks_with_xcom(models, key, is_outer=False).where(models.xcom.timestamp >= since)
    if containing is not None:
        text = func.lower(cast(models.xcom.value, String))
        chosen = chosen.where(text.contains(containing.lower(), autoescape=True))
    if len(dag_ids) <= _MOST_NAMED_DAGS:
        # One who may see few DAGs does not wait until the reports of all others are read.
        chosen = chosen.where(models.task_instance.dag_id.in_(dag_ids))
    chosen = chosen.order_by(models.xcom.timestamp.desc())
    for row in session.execute(chosen.execution_options(yield_per=_REPORTS_AT_ONCE)):
        if row.dag_id in dag_ids:
            yield _task_with_report(row)


def is_triggerer_alive(now: datetime, session: Session) -> bool:
    """Return whether a triggerer has reported to Airflow of late.

    :param now: the present time
    :param session: of the metadata database
    """
    from sqlalchemy import func, select  # noqa: PLC0415

    models = page_models()
    job = models.job
    latest = session.scalar(
        select(func.max(job.latest_heartbeat)).where(job.job_type == "TriggererJob", job.state == "running")
    )
    return latest is not None and (now - latest).total_seconds() <= models.health_check_seconds


def write_audit_log(
    task: TaskIdentity, event: str, user_name: str, extra: dict[str, Any], session: Session
) -> None:
    """Write into Airflow's audit log what a user has done with a task.

    :param task: which
    :param event: what was done, at most 60 characters
    :param user_name: who did it
    :param extra: more about it
    :param session: of the metadata database; the caller commits
    """
    log = page_models().log
    session.add(
        log(
            event=event,
            owner=user_name,
            owner_display_name=user_name,
            extra=json.dumps(extra),
            dag_id=task.dag_id,
            task_id=task.task_id,
            run_id=task.run_id,
            map_index=task.map_index,
        )
    )


def page_models() -> _Models:
    """Return Airflow's models, as the pages read them.

    :raises RuntimeError: where Airflow has others
    """
    found = PAGES.get()
    if found is None:
        raise RuntimeError("this Airflow does not let the pages read its database")
    return found


def _tasks_with_xcom(models: _Models, key: str, *, is_outer: bool) -> Any:
    from sqlalchemy import and_, select  # noqa: PLC0415

    instance, trigger, xcom = models.task_instance, models.trigger, models.xcom
    columns = [getattr(instance, name) for name in (*IDS, *_SHOWN)]
    is_xcom = and_(xcom.key == key, *(getattr(xcom, name) == getattr(instance, name) for name in IDS))
    return (
        select(*columns, trigger.created_date, xcom.value)
        .select_from(instance)
        .join(trigger, trigger.id == instance.trigger_id, isouter=True)
        .join(xcom, is_xcom, isouter=is_outer)
    )


def is_task(model: Any, task: TaskIdentity) -> list[Any]:
    """Return the conditions by which a row is of a task instance."""
    return [getattr(model, name) == getattr(task, name) for name in IDS]


def _task_with_report(row: Any) -> TaskWithReport:
    return TaskWithReport(
        TaskIdentity(*(getattr(row, name) for name in IDS)),
        row.state,
        row.try_number,
        row.start_date,
        row.end_date,
        row.created_date,
        row.value,
        row.operator,
        row.last_heartbeat_at,
    )
