"""What Airflow keeps of a task over its tries: the task state store, and whether somebody has cleared it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.sdk import Context


class TaskStateStore(Protocol):
    """Values of one task instance, by key; they outlast its tries, and a clear."""

    def get(self, key: str) -> Any:
        """Return a value, or None if it is missing."""

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Write a value, which must be JSON; it is stored once this returns."""

    def delete(self, key: str) -> None:
        """Remove a value."""


def _find_store() -> Any:
    from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # noqa: PLC0415
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor  # noqa: PLC0415

    require_attributes(TaskStateStoreAccessor, "get", "set", "delete")
    require_parameters(TaskStateStoreAccessor.set, "key", "value", "retention")
    return NEVER_EXPIRE


TASK_STATE_STORE = Feature(
    'context["task_state_store"] with get, set(key, value, retention=NEVER_EXPIRE) and delete',
    purpose="store what a task has submitted",
    without="What a task must remember lives in the folder `[workflows] state_folder`, which all workers share. "
    "Without one, tasks that must remember what they submitted fail before they submit anything",
    find=_find_store,
    since="3.3.0",
)


def task_state_store(context: Context) -> TaskStateStore | None:
    """Return the store of a task that outlasts its tries, or None where Airflow has none.

    :param context: the task's context
    """
    store = cast("dict[str, Any]", context).get("task_state_store")
    return cast("TaskStateStore", store) if store is not None and TASK_STATE_STORE.is_available() else None


def has_task_state_store() -> bool:
    """Return whether this Airflow has a task state store, in which a button leaves what it is pressed for."""
    return TASK_STATE_STORE.is_available()


def _find_clear_of_state() -> bool:
    # Importing it would cost a worker the whole API server, so its source is read.
    package = importlib.util.find_spec("airflow")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        source = Path(folder, "api_fastapi", "core_api", "datamodels", "task_instances.py")
        if source.is_file():
            return CLEAR_OPTION in source.read_text(encoding="utf-8")
    raise FeatureChangedError("airflow/api_fastapi/core_api/datamodels/task_instances.py is not there")


#: What a request to clear a task says to keep its state; without it, Airflow 3.4 discards the state.
CLEAR_OPTION = "keep_task_state"
CLEAR_OF_STATE = Feature(
    "airflow.api_fastapi.core_api.datamodels.task_instances.ClearTaskInstancesBody.keep_task_state, found in its "
    "source",
    purpose="tell whether a clear discards what a task remembers",
    without="What a task remembers is in Airflow's task state store alone, which a clear may empty",
    find=lambda: (_find_clear_of_state(),),
)


def a_clear_discards_task_state() -> bool:
    """Return whether Airflow removes what a task remembers as it is cleared, unless it is asked not to."""
    found = CLEAR_OF_STATE.get()
    return found is not None and found[0]


def options_of_clear() -> dict[str, bool]:
    """Return what a request to Airflow's API says besides, so that a clear keeps what the task remembers."""
    return {CLEAR_OPTION: True} if a_clear_discards_task_state() else {}


def never_expire() -> Any:
    """Return the retention of values that are kept for as long as the DAG run."""
    return TASK_STATE_STORE.get()


def clears(context: Context) -> int:
    """Return a number that stays the same over the retries of a task, and that each clear raises.

    It is ``ti.max_tries``: a clear adds the tries that the task has had, also that of a running task, by the
    scheduler. Airflow documents the attribute, but not this. It tells a clear from a retry, and nothing more: what
    was submitted is decided by what is recorded.

    :param context: the task's context
    """
    return int(context["ti"].max_tries)


def retries_left(context: Context) -> int:
    """Return how often Airflow may try a task again after this try.

    :param context: the task's context
    """
    ti = context["ti"]
    return max(0, int(ti.max_tries) - int(ti.try_number) + 1)
