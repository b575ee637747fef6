"""The channel between a task or trigger and its supervisor: what may be asked through it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_parameters,
)


class Task(Protocol):
    """What names a task of a DAG run."""

    @property
    def dag_id(self) -> str:
        """Id of the DAG."""

    @property
    def run_id(self) -> str:
        """Id of the DAG run."""

    @property
    def task_id(self) -> str:
        """Id of the task."""

    @property
    def map_index(self) -> int:
        """Index of a mapped task; -1 for one that is not mapped."""


def _find_task_runner() -> ModuleType:
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415  (not while parsing)

    # It is declared, and set when a process has a supervisor.
    if "SUPERVISOR_COMMS" not in getattr(task_runner, "__annotations__", {}):
        raise FeatureChangedError("airflow.sdk.execution_time.task_runner declares no SUPERVISOR_COMMS")
    return task_runner


SUPERVISOR = Feature(
    "airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS, with asend and, in a triggerer, start_reader",
    purpose="tell what kind of process a hook or a callback runs in",
    without="Connections are read as in the triggerer, and messages about deadlines name no tasks",
    find=_find_task_runner,
)


#: Reentrant: a signal handler may ask while the thread that it interrupts does.
_turn = threading.RLock()


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Let one thread at a time ask the supervisor, by whatever call of Airflow's asks it within the block.

    In a real task Airflow's own channel sees to that. Under ``airflow dags test`` it is gone while a question
    is dealt with, so that one of another thread fails, and the channel may be lost.
    """
    with _turn:
        yield


def is_asynchronous() -> bool:
    """Return whether this process can ask its supervisor without blocking the event loop.

    ``airflow dags test`` runs triggers without the asynchronous half of the channel. True where it cannot be told,
    since it is so in every real triggerer.
    """
    runner = SUPERVISOR.get()
    return runner is None or hasattr(getattr(runner, "SUPERVISOR_COMMS", None), "asend")


def is_triggerer() -> bool:
    """Return whether this process is a triggerer's, whose supervisor responds to a callback's questions.

    In Airflow 3.3 an executor's process for callbacks gets no response at all to a question about tasks or XComs,
    and would wait for it for ever. So False where that cannot be decided.
    """
    runner = SUPERVISOR.get()
    return runner is not None and hasattr(getattr(runner, "SUPERVISOR_COMMS", None), "start_reader")


def _find_task_states() -> Any:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415  (not while parsing)

    require_parameters(RuntimeTaskInstance.get_task_states, "dag_id", "run_ids")
    return RuntimeTaskInstance.get_task_states


TASK_STATES = Feature(
    "airflow.sdk.execution_time.task_runner.RuntimeTaskInstance.get_task_states(dag_id, run_ids)",
    purpose="list the states of a run's tasks",
    without="Messages about DAG runs name no tasks; whether another task has ended is read from its files alone",
    find=_find_task_states,
)


def task_states(dag_id: str, run_id: str) -> dict[str, str]:
    """Return the state of each task of a run; empty where Airflow cannot tell.

    A mapped task's key is ``task_3`` for map index 3.

    :raises Exception: when the supervisor cannot be asked
    """
    get_task_states = TASK_STATES.get()
    if get_task_states is None:
        return {}
    states = get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    return {key: str(getattr(state, "value", state)) for key, state in sorted(states.items())}


#: The states of a task that nothing but a clear makes run again.
_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


def has_ended(task: Task) -> bool | None:
    """Return whether a task has ended for good, as one whose run is gone has; None where Airflow cannot tell.

    :param task: the task, which may be one of another DAG
    """
    get_task_states = TASK_STATES.get()
    if get_task_states is None:
        return None
    try:
        states = task_states(task.dag_id, task.run_id)
    except Exception:  # noqa: BLE001  (there is no supervisor, or the API server is away)
        return None
    state = states.get(task.task_id if task.map_index < 0 else f"{task.task_id}_{task.map_index}")
    return state is None or state in _ENDED
