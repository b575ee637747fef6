"""Airflow's metadata database, from the API server: tasks that are deferred, and their XComs."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import TaskInstanceState

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

#: This much of an XCom is compared with ids, in characters.
MAX_XCOM_CHARACTERS = 64
#: SQLite takes 32,766 values in a query.
MAX_IDS_PER_QUERY = 1000

# No module of ``airflow.models`` is imported before it is used: workers import this package too.


def _find_create_session() -> Any:
    from airflow.utils.session import create_session  # noqa: PLC0415

    return create_session


SESSION = Feature(
    "airflow.utils.session.create_session()",
    purpose="write to Airflow's database",
    without="Webhooks are refused with status 503, and workflows are polled",
    find=_find_create_session,
)


@contextmanager
def database_session() -> Iterator[Session]:
    """Open a session of the metadata database; commit at the end, or roll back where an exception ends it.

    SQLite locks no rows, so it is locked whole: what is read is still true when it is written.

    :raises RuntimeError: if Airflow offers none
    :raises sqlalchemy.exc.StatementError: without the values that were to be written, which do not go into logs
    """
    from sqlalchemy.exc import StatementError  # noqa: PLC0415

    create_session = SESSION.get()
    if create_session is None:
        raise RuntimeError("Airflow's database cannot be written to")
    try:
        with create_session() as session:
            if session.get_bind().dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session
    except StatementError as error:
        error.hide_parameters = True
        raise


class _Models(NamedTuple):
    task_instance: Any
    trigger: Any
    xcom: Any
    #: Whether the function that writes an XCom can be told that the value is JSON already.
    takes_json: bool


def _find_models() -> _Models:
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.trigger import Trigger  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415

    ids = ("dag_id", "run_id", "task_id", "map_index")
    require_attributes(TaskInstance, "state", "next_method", "trigger_id", *ids)
    require_attributes(Trigger, "id", "classpath", "kwargs", "created_date")
    require_attributes(XComModel, "key", "value", *ids)
    require_parameters(XComModel.set, "key", "value", "session", *ids)
    takes_json = "serialize" in inspect.signature(XComModel.set).parameters
    return _Models(TaskInstance, Trigger, XComModel, takes_json)


DEFERRED_TASKS = Feature(
    "airflow.models: taskinstance.TaskInstance, trigger.Trigger, xcom.XComModel with set(...)",
    purpose="find the tasks that wait for a workflow",
    without="Workflows are polled as without webhooks",
    find=_find_models,
)


class TriggerKey(NamedTuple):
    """Which trigger a task waits with: SQLite gives the id of a trigger that is gone to the next one.

    :param id: its id
    :param created_date: since when the task waits
    """

    id: int
    created_date: datetime


@dataclass(frozen=True)
class DeferredTask:
    """A task that waits in the triggerer.

    :param arguments: those of its trigger
    :param deferred_at: since when it waits
    :param xcom: the XCom that it was found by, if it was
    :param row: Airflow's task instance
    """

    arguments: Mapping[str, Any]
    deferred_at: datetime
    xcom: Any
    row: Any
    _session: Session
    _models: _Models

    @property
    def trigger(self) -> TriggerKey:
        """Which trigger it waits with."""
        return TriggerKey(self.row.trigger_id, self.deferred_at)

    @property
    def _ids(self) -> dict[str, Any]:
        row = self.row
        return {
            "dag_id": row.dag_id,
            "run_id": row.run_id,
            "task_id": row.task_id,
            "map_index": row.map_index,
        }

    def read_xcom(self, key: str) -> Any:
        """Return an XCom of the task, or None."""
        from sqlalchemy import select  # noqa: PLC0415

        return self._session.scalar(select(self._models.xcom.value).filter_by(key=key, **self._ids))

    def write_xcom(self, key: str, value: Any) -> None:
        """Write an XCom of the task, as JSON."""
        from sqlalchemy import delete  # noqa: PLC0415

        xcom = self._models.xcom
        if self._models.takes_json:
            xcom.set(key, value, serialize=False, session=self._session, **self._ids)
            return
        # Below Airflow 3.2 it would store the JSON as a text.
        self._session.execute(delete(xcom).filter_by(key=key, **self._ids))
        run = {"dag_run_id": self.row.dag_run.id, "timestamp": datetime.now(timezone.utc)}
        self._session.add(xcom(key=key, value=value, **run, **self._ids))


def deferred_triggers(
    classpath: str, session: Session, *, key: str | None = None, not_like: str = ""
) -> list[TriggerKey]:
    """Return the triggers of a class that tasks wait with; none where Airflow cannot tell. Nothing is locked.

    :param classpath: module and name of the trigger's class
    :param session: of the metadata database
    :param key: of an XCom of the task; None for tasks with any XComs
    :param not_like: SQL pattern that this XCom, as JSON, is not like
    """
    from sqlalchemy import String, cast, select  # noqa: PLC0415

    models = DEFERRED_TASKS.get()
    if models is None:
        return []
    task_instance, trigger, xcom, _ = models
    chosen = (
        select(trigger.id, trigger.created_date)
        .join(task_instance, trigger.id == task_instance.trigger_id)
        .where(
            task_instance.state == TaskInstanceState.DEFERRED.value,
            trigger.classpath == classpath,
        )
    )
    if key is not None:
        chosen = chosen.join(xcom, _is_xcom_of(xcom, task_instance)).where(
            xcom.key == key, cast(xcom.value, String(MAX_XCOM_CHARACTERS)).not_like(not_like)
        )
    return [TriggerKey(*found) for found in session.execute(chosen)]


def deferred_tasks(
    triggers: Collection[TriggerKey], session: Session, *, lock: bool = False
) -> list[DeferredTask]:
    """Return the tasks that wait with some triggers.

    :param triggers: from ``deferred_triggers``
    :param session: of the metadata database
    :param lock: whether the tasks' rows are locked until the session ends
    """
    from sqlalchemy import select  # noqa: PLC0415

    models = DEFERRED_TASKS.get()
    if models is None:
        return []
    tasks = []
    given = sorted(triggers)
    for begin in range(0, len(given), MAX_IDS_PER_QUERY):
        ids = [trigger.id for trigger in given[begin : begin + MAX_IDS_PER_QUERY]]
        chosen = (
            select(models.task_instance, models.trigger)
            .join(models.trigger, models.trigger.id == models.task_instance.trigger_id)
            .where(models.task_instance.state == TaskInstanceState.DEFERRED.value, models.trigger.id.in_(ids))
        )
        if lock:
            # In order, so that two API servers do not wait for each other.
            chosen = chosen.order_by(models.trigger.id).with_for_update(of=models.task_instance)
        tasks += [
            DeferredTask(trigger.kwargs, trigger.created_date, None, row, session, models)
            for row, trigger in session.execute(chosen)
        ]
    return tasks


def _is_xcom_of(xcom: Any, task_instance: Any) -> Any:
    return (
        (xcom.dag_id == task_instance.dag_id)
        & (xcom.run_id == task_instance.run_id)
        & (xcom.task_id == task_instance.task_id)
        & (xcom.map_index == task_instance.map_index)
    )


def deferred_tasks_with_xcom(
    classpath: str, next_method: str, key: str, texts: Iterable[str], session: Session
) -> list[DeferredTask]:
    """Return the tasks that wait with a trigger of a class, and whose XCom is one of several texts.

    Upper and lower case are the same. The tasks' rows are locked. The result is empty where Airflow cannot tell.

    :param classpath: module and name of the trigger's class
    :param next_method: the method with which the task resumes
    :param key: of the XCom
    :param texts: what the XCom may be, as JSON and in lower case
    :param session: of the metadata database; the tasks' rows are locked until it ends
    """
    from sqlalchemy import String, cast, func, select  # noqa: PLC0415

    models = DEFERRED_TASKS.get()
    if models is None:
        return []
    task_instance, trigger, xcom, _ = models
    found = session.execute(
        select(task_instance, xcom.value, trigger)
        .join(trigger, trigger.id == task_instance.trigger_id)
        .join(xcom, _is_xcom_of(xcom, task_instance))
        .where(
            task_instance.state == TaskInstanceState.DEFERRED.value,
            task_instance.next_method == next_method,
            trigger.classpath == classpath,
            xcom.key == key,
            # A JSON column is compared as text: each database writes text in JSON in the one way.
            func.lower(cast(xcom.value, String(MAX_XCOM_CHARACTERS))).in_(list(texts)),
        )
        .with_for_update(of=task_instance)
    ).all()
    return [
        DeferredTask(trigger.kwargs, trigger.created_date, value, row, session, models)
        for row, value, trigger in found
    ]
