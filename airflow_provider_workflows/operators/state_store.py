"""Where a task keeps what it must remember: in Airflow's task state store, in files, or in both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_workflows import configuration
from airflow_provider_workflows.airflow_internals.exceptions import AirflowFailException
from airflow_provider_workflows.airflow_internals.task_state import (
    a_clear_discards_task_state,
    task_state_store,
)
from airflow_provider_workflows.api.errors import InvalidInput

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_workflows.airflow_internals.task_state import TaskStateStore

_STATE_FOLDER = "[workflows] state_folder"


class FirstOfTwo:
    """A store, and another that may have what was kept there before Airflow was upgraded.

    :param first: is written to
    :param second: is read where the first has nothing
    """

    def __init__(self, first: TaskStateStore, second: TaskStateStore) -> None:
        self._first = first
        self._second = second

    def get(self, key: str) -> Any:
        """Return a value, or None if both lack it."""
        value = self._first.get(key)
        return self._second.get(key) if value is None else value

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        """Write a value, which must be JSON; it is stored once this returns."""
        self._first.set(key, value, retention=retention)

    def delete(self, key: str) -> None:
        """Remove a value from both."""
        self._second.delete(key)
        self._first.delete(key)


def state_store(context: Context, *, outlasts_clear: bool = True) -> TaskStateStore:
    """Return the store of a task.

    :param context: the task's context
    :param outlasts_clear: whether what is written must still be there after a clear; False for what the API server
        reads or writes too, which is in Airflow's own store where there is one
    :raises AirflowFailException: if it has no store: without one a retry would submit, and bill, again
    :raises InvalidInput: if the folder for the files is not a place that can be reached from here
    """
    store, files = task_state_store(context), _files(context)
    if store is None and files is None:
        raise AirflowFailException(
            "There is nowhere to remember what this task submits, and a retry would submit it again: this Airflow "
            "has no task state store, which Airflow 3.3 and newer have. Nothing was submitted. Set "
            f"{_STATE_FOLDER} in Airflow's configuration (AIRFLOW__WORKFLOWS__STATE_FOLDER) to a folder that all "
            "workers share, such as s3://conn_id@bucket/folder; or set durable=False for a single run, whose "
            "retries then submit another."
        )
    if store is not None and files is not None:
        in_files = outlasts_clear and a_clear_discards_task_state()
        return FirstOfTwo(files, store) if in_files else FirstOfTwo(store, files)
    return store or files  # type: ignore[return-value]


def has_state_store(context: Context) -> bool:
    """Return whether a task can remember anything over its tries.

    :param context: the task's context
    :raises InvalidInput: if the folder for the files is not a place that can be reached from here
    """
    return task_state_store(context) is not None or _files(context) is not None


def a_clear_forgets() -> bool:
    """Return whether a clear discards what a task remembers, unless Airflow is asked to keep it."""
    if not a_clear_discards_task_state():
        return False
    try:
        return configuration.state_folder() is None
    except InvalidInput:
        # The task has failed of it before it could remember anything.
        return False


def _files(context: Context) -> TaskStateStore | None:
    folder = configuration.state_folder()
    if folder is None:
        return None
    # Here: few set the option, and each file of a DAG is imported over and over.
    from airflow_provider_workflows.operators.file_store import FileStore  # noqa: PLC0415
    from airflow_provider_workflows.storage import storage_path  # noqa: PLC0415

    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return FileStore(storage_path(_STATE_FOLDER, folder), (ti.dag_id, ti.run_id, ti.task_id, map_index))
