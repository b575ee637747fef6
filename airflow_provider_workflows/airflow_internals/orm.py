"""Airflow's metadata database, from the API server: tasks that are deferred, and their XComs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import TaskInstanceState

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

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

    :raises RuntimeError: if Airflow offers none
    """
    create_session = SESSION.get()
    if create_session is None:
        raise RuntimeError("Airflow's database cannot be written to")
    with create_session() as session:
        yield session


class _Models(NamedTuple):
    task_instance: Any
    trigger: Any
    xcom: Any


def _find_models() -> _Models:
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.trigger import Trigger  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415

    ids = ("dag_id", "run_id", "task_id", "map_index")
    require_attributes(TaskInstance, "state", "next_method", "trigger_id", *ids)
    require_attributes(Trigger, "id", "classpath", "kwargs", "created_date")
    require_attributes(XComModel, "key", "value", *ids)
    require_parameters(XComModel.set, "key", "value", "serialize", "session", *ids)
    return _Models(TaskInstance, Trigger, XComModel)


DEFERRED_TASKS = Feature(
    "airflow.models: taskinstance.TaskInstance, trigger.Trigger, xcom.XComModel with set(..., serialize=False)",
    purpose="find the tasks that wait for a workflow",
    without="Workflows are polled as without webhooks",
    find=_find_models,
)


@dataclass(frozen=True)
class DeferredTask:
    """A task that waits in the triggerer; its row is locked until the session ends.

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
        self._models.xcom.set(key, value, serialize=False, session=self._session, **self._ids)


def deferred_tasks(classpath: str, session: Session) -> list[DeferredTask]:
    """Return all tasks that wait with a trigger of a class; none where Airflow cannot tell.

    :param classpath: module and name of the trigger's class
    :param session: of the metadata database; the tasks' rows are locked until it ends
    """
    from sqlalchemy import select  # noqa: PLC0415

    models = DEFERRED_TASKS.get()
    if models is None:
        return []
    found = session.execute(
        select(models.task_instance, models.trigger)
        .join(models.trigger, models.trigger.id == models.task_instance.trigger_id)
        .where(
            models.task_instance.state == TaskInstanceState.DEFERRED.value,
            models.trigger.classpath == classpath,
        )
        .with_for_update(of=models.task_instance)
    ).all()
    return [
        DeferredTask(trigger.kwargs, trigger.created_date, None, row, session, models)
        for row, trigger in found
    ]


def deferred_tasks_with_xcom(
    classpath: str, next_method: str, key: str, texts: Iterable[str], session: Session
) -> list[DeferredTask]:
    """Return the tasks that wait with a trigger of a class, and whose XCom is one of several texts.

    Upper and lower case are the same. The result is empty where Airflow cannot tell.

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
    task_instance, trigger, xcom = models
    found = session.execute(
        select(task_instance, xcom.value, trigger)
        .join(trigger, trigger.id == task_instance.trigger_id)
        .join(
            xcom,
            (xcom.dag_id == task_instance.dag_id)
            & (xcom.run_id == task_instance.run_id)
            & (xcom.task_id == task_instance.task_id)
            & (xcom.map_index == task_instance.map_index),
        )
        .where(
            task_instance.state == TaskInstanceState.DEFERRED.value,
            task_instance.next_method == next_method,
            trigger.classpath == classpath,
            xcom.key == key,
            # A JSON column is compared as text: each database writes text in JSON in the one way.
            func.lower(cast(xcom.value, String(64))).in_(list(texts)),
        )
        .with_for_update(of=task_instance)
    ).all()
    return [
        DeferredTask(trigger.kwargs, trigger.created_date, value, row, session, models)
        for row, value, trigger in found
    ]
