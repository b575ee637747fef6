"""Where a task keeps what it must remember: in Airflow's task state store, or in files without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_workflows import configuration
from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.task_state import task_state_store

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workflows.airflow_internals.task_state import TaskStateStore

_STATE_FOLDER = "[workflows] state_folder"


def state_store(context: Context) -> TaskStateStore:
    """Return the store of a task.

    :param context: the task's context
    :raises AirflowFailException: if it has no store: without one a retry would submit, and bill, again
    :raises InvalidInput: if the folder for the files is not a place that can be reached from here
    """
    store = _state_store(context)
    if store is None:
        raise AirflowFailException(
            "There is nowhere to remember what this task submits, and a retry would submit it again: this Airflow "
            "has no task state store, which Airflow 3.3 and newer have. Nothing was submitted. Set "
            f"{_STATE_FOLDER} in Airflow's configuration (AIRFLOW__WORKFLOWS__STATE_FOLDER) to a folder that all "
            "workers share, such as s3://conn_id@bucket/folder; or set durable=False for a single run, whose "
            "retries then submit another."
        )
    return store


def has_state_store(context: Context) -> bool:
    """Return whether a task can remember anything over its tries.

    :param context: the task's context
    :raises InvalidInput: if the folder for the files is not a place that can be reached from here
    """
    return _state_store(context) is not None


def _state_store(context: Context) -> TaskStateStore | None:
    store = task_state_store(context)
    if store is not None:
        return store
    folder = configuration.state_folder()
    if folder is None:
        return None
    # Here: few Airflows need it, and each file of a DAG is imported over and over.
    from airflow_provider_workflows.operators.file_store import FileStore  # noqa: PLC0415
    from airflow_provider_workflows.storage import storage_path  # noqa: PLC0415

    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return FileStore(storage_path(_STATE_FOLDER, folder), (ti.dag_id, ti.run_id, ti.task_id, map_index))
