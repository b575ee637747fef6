"""Values of a task's state store in Airflow's database, which the API server reads and writes for a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_workflows.airflow_internals.feature import Feature, require_attributes
from airflow_provider_workflows.airflow_internals.task_reports import IDS, is_task, page_models
from airflow_provider_workflows.task_identity import TaskIdentity

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class _TaskState(NamedTuple):
    model: Any
    dag_run: Any
    #: The columns by which a value belongs to a task instance.
    ids: tuple[str, ...]


def _find_task_state() -> _TaskState:
    from airflow.models.dagrun import DagRun  # noqa: PLC0415
    from airflow.models.task_state_store import TaskStateStoreModel  # noqa: PLC0415

    # Airflow 3.4 counts mapped tasks within regions.
    ids = IDS if hasattr(TaskStateStoreModel, "map_index") else (*IDS[:3], "region_index", "region_id")
    require_attributes(TaskStateStoreModel, "key", "value", "updated_at", "expires_at", "dag_run_id", *ids)
    require_attributes(DagRun, "id", "dag_id", "run_id")
    return _TaskState(TaskStateStoreModel, DagRun, ids)


INSTRUCTIONS = Feature(
    "airflow.models: task_state_store.TaskStateStoreModel, dagrun.DagRun",
    purpose="leave a task what a person asks for by a button of its page",
    without="The buttons of the pages cannot be pressed: clear the task in Airflow, and set `on_clear`",
    find=_find_task_state,
    since="3.3.0",
)


def takes_instructions() -> bool:
    """Return whether a button can leave a task what it is pressed for."""
    return INSTRUCTIONS.is_available()


def read_task_state(task: TaskIdentity, key: str, session: Session) -> Any:
    """Return a value of a task's state store, or None if it is missing or is no JSON."""
    from sqlalchemy import select  # noqa: PLC0415

    stores = INSTRUCTIONS.get()
    if stores is None:
        return None
    model = stores.model
    ids = _state_ids(stores, task, session)
    text = session.scalar(select(model.value).filter_by(key=key, **ids)) if ids else None
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def claim_task_state(
    task: TaskIdentity,
    key: str,
    value: Any,
    expires_at: datetime,
    session: Session,
    *,
    is_free: Callable[[str | None, Any], bool],
) -> tuple[bool, Any]:
    """Write a value of a task's state store if nothing speaks against it, and nobody else can at the same time.

    The task's row is locked until the session ends, as Airflow locks it while it clears the task.

    :param task: which
    :param key: of the value
    :param value: to write, JSON
    :param expires_at: from when on Airflow may remove it
    :param session: of ``database_session``
    :param is_free: is given Airflow's state of the task and the present value, None if it is missing or no
        JSON, and returns whether the new one may take its place
    :return: whether it was written, and the value that was there before
    """
    from sqlalchemy import select  # noqa: PLC0415

    instance, stores = page_models().task_instance, _task_state()
    model, run = stores.model, stores.dag_run
    locked = session.execute(select(instance.state).where(*is_task(instance, task)).with_for_update()).first()
    before = read_task_state(task, key, session)
    if locked is None or not is_free(locked.state, before):
        return False, before
    ids = _state_ids(stores, task, session)
    stored = session.scalars(select(model).filter_by(key=key, **ids)).first()
    if stored is None:
        run_id = session.scalar(select(run.id).filter_by(dag_id=task.dag_id, run_id=task.run_id))
        stored = model(dag_run_id=run_id, key=key, **ids)
        session.add(stored)
    stored.value, stored.expires_at = json.dumps(value), expires_at
    stored.updated_at = datetime.now(timezone.utc)
    return True, before


def delete_task_state(task: TaskIdentity, key: str, value: Any, session: Session) -> bool:
    """Delete a value of a task's state store if it is still a certain one, and return whether it was.

    :param task: which
    :param key: of the value
    :param value: which ``claim_task_state`` has written
    :param session: of ``database_session``
    """
    from sqlalchemy import delete  # noqa: PLC0415

    stores = _task_state()
    ids = _state_ids(stores, task, session)
    if not ids:
        return False
    chosen = delete(stores.model).filter_by(key=key, value=json.dumps(value), **ids)
    deleted: Any = session.execute(chosen.execution_options(synchronize_session=False))
    return bool(deleted.rowcount)


def _task_state() -> _TaskState:
    stores = INSTRUCTIONS.get()
    if stores is None:
        raise RuntimeError(
            "this Airflow has no task state store, in which a button leaves what it is pressed for"
        )
    return stores


def _state_ids(stores: _TaskState, task: TaskIdentity, session: Session) -> dict[str, Any]:
    """Return what a value of a task's state store is found by; empty if there is no such task."""
    from sqlalchemy import select  # noqa: PLC0415

    if stores.ids == IDS:
        return {name: getattr(task, name) for name in IDS}
    instance = page_models().task_instance
    chosen = select(*(getattr(instance, name) for name in stores.ids)).where(*is_task(instance, task))
    row = session.execute(chosen).first()
    return {} if row is None else dict(zip(stores.ids, row, strict=True))
