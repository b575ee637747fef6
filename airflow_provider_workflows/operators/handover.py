"""Hand a run's id over to the next try, where Airflow stores nothing more for the try that has started it.

A clear gives the task instance another id at once, also while a task runs. Airflow's API then responds with 404 to
whatever the try before would store under the old id, its task state included; Variables do not depend on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import Variable

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The next try reads the Variable for this many seconds: the try before may end after it has begun.
HANDOVER_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
FORMAT = 1
_DESCRIPTION = (
    "Left by airflow-provider-workflows: the run that a task has started while it was cleared. The task's next try "
    "removes it."
)


class Variables(Protocol):
    """Airflow's Variables, as a task has them."""

    @staticmethod
    def get(key: str, default: Any, deserialize_json: bool) -> Any:
        """Return the value of a Variable."""

    @staticmethod
    def set(key: str, value: Any, description: str | None, serialize_json: bool) -> None:
        """Write a Variable."""

    @staticmethod
    def delete(key: str) -> None:
        """Remove a Variable."""


class Handover:
    """Leaves the id of a run in an Airflow Variable, of a task's own, until its next try has found it.

    :param task: what the task instance is found by: DAG, run, task and map index
    :param variables: Airflow's Variables; others for a test
    """

    def __init__(self, task: tuple[str, str, str, int], variables: Any = None) -> None:
        self.key = f"workflows_handover_{hashlib.sha256(repr(task).encode()).hexdigest()[:32]}"
        self._variables: Variables = Variable if variables is None else variables
        #: Whether there is something that was left.
        self.is_left = False

    def leave(self, submission_id: str, workflow_id: str, started: float) -> None:
        """Leave the id of a run.

        :param submission_id: names the submission, as its record does
        :param workflow_id: id of the run
        :param started: when it was started, in seconds since the epoch
        :raises Exception: if Airflow does not store it either
        """
        value = {
            "format": FORMAT,
            "submission_id": submission_id,
            "workflow_id": workflow_id,
            "started": started,
        }
        self._variables.set(self.key, value, _DESCRIPTION, serialize_json=True)
        self.is_left = True

    def find(self, submission_id: str, sleep: Callable[[float], object]) -> tuple[str, float] | None:
        """Return the id of the run of a submission, and when it was started; None if it was not left.

        :param submission_id: names the submission, as its record does
        :param sleep: sleeps for a number of seconds
        :raises Exception: if Airflow cannot be asked
        """
        end = time.monotonic() + HANDOVER_SECONDS
        while True:
            value = self._variables.get(self.key, default=None, deserialize_json=True)
            if isinstance(value, Mapping) and value.get("format") == FORMAT:
                self.is_left = True
                if value.get("submission_id") == submission_id:
                    return str(value["workflow_id"]), float(value["started"])
            if time.monotonic() >= end:
                return None
            sleep(_PAUSE_SECONDS)

    def remove(self) -> None:
        """Remove what was left, once the run is recorded; and nothing of a failure."""
        if self.is_left:
            self.is_left = False
            with contextlib.suppress(Exception):
                self._variables.delete(self.key)


def handover_of(context: Context) -> Handover:
    """Return the handover of a task.

    :param context: the task's context
    """
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return Handover((ti.dag_id, ti.run_id, ti.task_id, map_index))
