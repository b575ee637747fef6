"""What the buttons of a task's page do: they leave an instruction for the task, and have Airflow clear it."""

from __future__ import annotations

import re
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.operators.instruction import INSTRUCTION_KEY, Action, Instruction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_workflows.airflow_internals.task_reports import TaskId
    from airflow_provider_workflows.ui.airflow_api import AirflowApi

#: An instruction is a value of the task state store, which has 64 kB for each.
MAX_ROWS_CHARACTERS = 20_000
_ROWS = re.compile(r"[0-9]{1,12}(-[0-9]{1,12})?(,[0-9]{1,12}(-[0-9]{1,12})?)*", re.ASCII)
#: With this outcome a row has no run of its own that could be submitted again.
_NEVER_SUBMITTED = (RowOutcome.SKIPPED, RowOutcome.RUNNING)


class Asked(BaseModel):
    """What a person asks for by a button.

    :param action: which button
    :param rows: the rows to resubmit, such as ``"1-50,61"``
    :param outcome: the outcome of the rows to resubmit, in place of ``rows``
    :param confirmed_runs: the number of runs that the person has typed to start over
    :param include_downstream: whether the tasks after this one are cleared as well
    """

    model_config = ConfigDict(extra="forbid")

    action: Action
    rows: str | None = Field(None, max_length=MAX_ROWS_CHARACTERS)
    outcome: RowOutcome | None = None
    confirmed_runs: int | None = None
    include_downstream: bool = True


def require_sense(asked: Asked, data: Mapping[str, Any]) -> None:
    """Return if what is asked for makes sense for a task as it is now.

    :param asked: what a person asks for
    :param data: of the task's page
    :raises HTTPException: with 409 and the reason if it does not, or no longer
    """
    reason = data["buttons"][asked.action.value]
    if reason is None and asked.action is Action.START_OVER and asked.confirmed_runs != data["runs"]:
        reason = f"Starting over submits {data['runs']:,} runs: type that number to confirm it."
    if reason is None and asked.action is Action.RESUBMIT:
        reason = _against_rows(asked)
    if reason is not None:
        raise HTTPException(HTTPStatus.CONFLICT, reason)


def _against_rows(asked: Asked) -> str | None:
    if (asked.rows is None) is (asked.outcome is None):
        return "Name the rows to resubmit, or one outcome."
    if asked.rows is not None and not _ROWS.fullmatch(asked.rows):
        return "Name rows by their numbers, such as 1-50,61."
    if asked.outcome in _NEVER_SUBMITTED:
        return "Rows that are bad, or whose run goes on, cannot be resubmitted."
    if asked.outcome is RowOutcome.RESULT_MISSING:
        return (
            "A repair fetches results that are missing. To run such rows again, name them by their numbers."
        )
    return None


def instruction_of(asked: Asked, user_name: str) -> Instruction:
    """Return the instruction that a button leaves for the task.

    :param asked: what a person asks for
    :param user_name: the person's name, as Airflow has it
    """
    is_resubmit = asked.action is Action.RESUBMIT
    return Instruction(
        uuid.uuid4().hex,
        asked.action,
        time.time(),
        user_name,
        asked.rows if is_resubmit else None,
        asked.outcome if is_resubmit else None,
    )


async def leave(asked: Asked, instruction: Instruction, task: TaskId, api: AirflowApi) -> str:
    """Leave an instruction for a task, and clear the task unless it is to stop; return what was done, in words.

    Both are calls of Airflow's own API with the user's rights. If the clear is refused, the instruction is removed.

    :param asked: what a person asks for
    :param instruction: made of it
    :param task: the task
    :param api: of Airflow, with the rights of the person
    :raises HTTPException: with Airflow's reason if it refuses one of the calls
    """
    clear = {
        "dry_run": True,
        "only_failed": False,
        "dag_run_id": task.run_id,
        "task_ids": [task.task_id if task.map_index < 0 else [task.task_id, task.map_index]],
        "include_downstream": asked.include_downstream,
        "reset_dag_runs": True,
        # Two who press at once: the second finds the task at work.
        "prevent_running_task": True,
    }
    is_stop = asked.action is Action.STOP
    if not is_stop:
        # What Airflow refuses, it nearly always refuses here, before anything is written.
        _require(await api.call("POST", "dags", task.dag_id, "clearTaskInstances", body=clear))
    store = _store_of(task)
    value = instruction.to_json()
    _require(await api.call("PUT", *store, query=_map_index(task), body={"value": value}))
    if is_stop:
        return "The task stops submitting within a few seconds. What runs goes on, and is waited for."
    cleared = await api.call(
        "POST", "dags", task.dag_id, "clearTaskInstances", body={**clear, "dry_run": False}
    )
    if not cleared.is_success:
        removed = await api.call("DELETE", *store, query=_map_index(task))
        if not removed.is_success:
            # Who may not delete it can make it too old to be followed.
            expired = {"value": {**value, "asked_at": 0.0}}
            await api.call("PUT", *store, query=_map_index(task), body=expired)
        _require(cleared)
    others = max(len(cleared.content["task_instances"]) - 1, 0)
    after = f", and {others:,} after it" if others else ""
    return f"Airflow has cleared the task{after}: it begins in a few seconds."


def _store_of(task: TaskId) -> tuple[str, ...]:
    return (
        "dags", task.dag_id, "dagRuns", task.run_id, "taskInstances", task.task_id, "state-store", INSTRUCTION_KEY,
    )  # fmt: skip


def _map_index(task: TaskId) -> dict[str, str]:
    return {"map_index": str(task.map_index)}


def _require(response: Any) -> None:
    if not response.is_success:
        status = response.status if 400 <= response.status < 500 else HTTPStatus.BAD_GATEWAY
        raise HTTPException(status, f"Airflow has refused it: {response.reason}.")
