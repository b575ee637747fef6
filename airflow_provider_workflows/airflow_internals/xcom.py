"""XComs of any task by its ids, from the worker, the triggerer and where the UI asks for a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.airflow_internals.feature import Feature, require_parameters

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

_TASK = ("key", "dag_id", "task_id", "run_id", "map_index")


def _find_xcom() -> Any:
    # Importing it reads the configuration for the XCom backend, so it is not done while a DAG is parsed.
    from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415

    require_parameters(XCom.get_value, "ti_key", "key")
    require_parameters(XCom.get_one, *_TASK)
    return XCom


XCOM = Feature(
    "airflow.sdk.execution_time.xcom.XCom: get_value(ti_key, key), get_one(key, ...)",
    purpose="read the XComs of a task by its ids",
    without="Links and messages leave out what is in XComs",
    find=_find_xcom,
)


def _find_live_xcom() -> Any:
    from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415

    require_parameters(XCom.aget_one, *_TASK)
    require_parameters(XCom.aset, "value", *_TASK)
    return XCom


LIVE_XCOM = Feature(
    "airflow.sdk.execution_time.xcom.XCom: aget_one, aset(key, value, ...)",
    purpose="read and write XComs while a task waits in the triggerer",
    without="The page of a run or batch that waits in the triggerer stands still until the wait ends. A "
    "batch is polled as without webhooks",
    find=_find_live_xcom,
    since="3.3.0",
)


def value_of(ti_key: TaskInstanceKey, key: str) -> Any:
    """Return an XCom of a task instance, or None if it is missing or Airflow cannot read it."""
    xcom = XCOM.get()
    return None if xcom is None else xcom.get_value(ti_key=ti_key, key=key)


def read(key: str, *, dag_id: str, run_id: str, task_id: str, map_index: int | None) -> Any:
    """Return an XCom of a task instance, or None if it is missing or Airflow cannot read it.

    :param map_index: its map index; None for a task that is not mapped
    """
    xcom = XCOM.get()
    if xcom is None:
        return None
    return xcom.get_one(key=key, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)


async def read_in_trigger(key: str, task: Any) -> Any:
    """Return an XCom of a trigger's task, or None if it is missing or Airflow cannot read it.

    :param task: the trigger's ``task_instance``
    """
    xcom = LIVE_XCOM.get()
    return None if xcom is None else await xcom.aget_one(key=key, **_ids(task))


def is_live() -> bool:
    """Return whether a trigger can read and write XComs, as it runs the same Airflow."""
    return LIVE_XCOM.is_available()


async def write_in_trigger(key: str, value: Any, task: Any) -> None:
    """Write an XCom of a trigger's task; nothing is written where Airflow cannot.

    :param value: must be JSON
    :param task: the trigger's ``task_instance``
    """
    xcom = LIVE_XCOM.get()
    if xcom is not None:
        await xcom.aset(key, value, **_ids(task))


def _find_direct_xcom() -> Any:
    from airflow.sdk.bases.xcom import BaseXCom  # noqa: PLC0415
    from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415

    require_parameters(BaseXCom.set, "key", "value", *_TASK[1:])
    return BaseXCom, XCom


DIRECT_XCOM = Feature(
    "airflow.sdk.bases.xcom.BaseXCom: set(key, value, ...), beside what is configured as xcom_backend",
    purpose="keep in its database what an XCom backend would store elsewhere, so that webhooks find it",
    without="With such an XCom backend, each batch is told of all completions of its connection",
    find=_find_direct_xcom,
)


def write_to_database(key: str, value: Any, task: Any) -> None:
    """Write an XCom of the running task to Airflow's database, whatever XCom backend there is.

    :param value: must be JSON
    :param task: the task instance in the task's context
    """
    direct, backend = DIRECT_XCOM.get() or (None, None)
    if direct is None or direct is backend:
        task.xcom_push(key=key, value=value)
    else:
        direct.set(key, value, **_ids(task))


async def read_from_database(key: str, task: Any) -> Any:
    """Return an XCom of a trigger's task from Airflow's database, past the XCom backend; None if it is missing.

    :param task: the trigger's ``task_instance``
    """
    live = LIVE_XCOM.get()
    if live is None:
        return None
    direct, _ = DIRECT_XCOM.get() or (live, None)
    return await direct.aget_one(key=key, **_ids(task))


def _ids(task: Any) -> dict[str, Any]:
    return {
        "dag_id": task.dag_id,
        "task_id": task.task_id,
        "run_id": task.run_id,
        "map_index": -1 if task.map_index is None else task.map_index,
    }
