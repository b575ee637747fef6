"""What the buttons of a task's page do: they leave an instruction for the task, and have Airflow clear it."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState
from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_workflows.airflow_internals import stored_task_state
from airflow_provider_workflows.airflow_internals.orm import database_session
from airflow_provider_workflows.airflow_internals.task_state import options_of_clear
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.counted import counted
from airflow_provider_workflows.operators.instruction import (
    INSTRUCTION_KEY,
    INSTRUCTION_VALID_SECONDS,
    Action,
    Instruction,
)
from airflow_provider_workflows.ui.buttons import UNKNOWN_STAYS
from airflow_provider_workflows.ui.reports import number
from airflow_provider_workflows.ui.task_states import may_be_cleared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_workflows.task_identity import TaskIdentity
    from airflow_provider_workflows.ui.airflow_api import AirflowApi

#: An instruction is a value of the task state store, which has 64 kB for each.
MAX_ROWS_CHARACTERS = 20_000
#: An instruction gives way to another after this long, in seconds: an API server may have been killed before it
#: had Airflow clear the task, or a worker before it followed it.
PENDING_SECONDS = 120.0
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
        reason = f"Starting over submits {counted(data['runs'], 'run')}: type that number to confirm it."
    if reason is None and asked.action is Action.RESUBMIT:
        reason = _against_rows(asked, data["report"])
    if reason is not None:
        raise HTTPException(HTTPStatus.CONFLICT, reason)


def _against_rows(asked: Asked, report: Mapping[str, Any]) -> str | None:
    if (asked.rows is None) is (asked.outcome is None):
        return "Name the rows to resubmit, or one outcome."
    if asked.rows is not None:
        return _against_numbers(asked.rows, report)
    if asked.outcome is RowOutcome.UNKNOWN and report.get("resubmits_unknown") is not True:
        return UNKNOWN_STAYS
    if asked.outcome in _NEVER_SUBMITTED:
        return "Rows that are bad, or whose run goes on, cannot be resubmitted."
    if asked.outcome is RowOutcome.RESULT_MISSING:
        return (
            "A repair fetches results that are missing. To run such rows again, name them by their numbers."
        )
    return None


def _against_numbers(rows: str, report: Mapping[str, Any]) -> str | None:
    if not _ROWS.fullmatch(rows):
        return "Name rows by their numbers, such as 1-50,61."
    first = max(number(report.get("first_row")), 1)
    last = number(report.get("last_row")) or first + number(report.get("rows")) - 1
    for part in rows.split(","):
        begin, _, end = part.partition("-")
        if end and int(end) < int(begin):
            return f"{part} ends before it begins: the smaller number comes first, as in 1-50."
        if not first <= int(begin) <= int(end or begin) <= last:
            return f"{part} is not within the rows of this batch, which are {first:,} to {last:,}."
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


async def leave(asked: Asked, instruction: Instruction, task: TaskIdentity, api: AirflowApi) -> str:
    """Leave an instruction for a task, and clear the task unless it is to stop; return what was done, in words.

    An instruction that another person has left, and that is still to be followed, stays. The clear is a call of
    Airflow's own API with the user's rights; if it is refused, the instruction is removed.

    :param asked: what a person asks for
    :param instruction: made of it
    :param task: the task
    :param api: of Airflow, with the rights of the person
    :raises HTTPException: with 409 if another instruction is to be followed first, or the task has gone on; with
        Airflow's reason if it refuses the clear
    """
    clear = {
        "dry_run": True,
        "only_failed": False,
        "dag_run_id": task.run_id,
        "task_ids": [task.task_id if task.map_index < 0 else [task.task_id, task.map_index]],
        "include_downstream": asked.include_downstream,
        "reset_dag_runs": True,
        "prevent_running_task": True,
        # What the task remembers says what is left to do, and the instruction is beside it.
        **options_of_clear(),
    }
    is_stop = asked.action is Action.STOP
    if not is_stop:
        # What Airflow refuses, it nearly always refuses here, before anything is written.
        _require(await api.call("POST", "dags", task.dag_id, "clearTaskInstances", body=clear))
    await asyncio.to_thread(_claim, instruction, task)
    if is_stop:
        return "The task stops submitting within a few seconds. What runs goes on, and is waited for."
    cleared = await api.call(
        "POST", "dags", task.dag_id, "clearTaskInstances", body={**clear, "dry_run": False}
    )
    if not cleared.is_success:
        await asyncio.to_thread(_remove, instruction, task)
        _require(cleared)
    others = max(len(cleared.content["task_instances"]) - 1, 0)
    after = f", and {others:,} after it" if others else ""
    return f"Airflow has cleared the task{after}: it begins in a few seconds."


def _claim(instruction: Instruction, task: TaskIdentity) -> None:
    """Store an instruction, at once for all API servers: of two who press at the same time, one comes too late."""
    is_stop = instruction.action is Action.STOP
    expires_at = datetime.now(timezone.utc) + timedelta(seconds=2 * INSTRUCTION_VALID_SECONDS)
    has_gone_on = False

    def is_free(state: str | None, stored: Any) -> bool:
        nonlocal has_gone_on
        has_gone_on = not (state == TaskInstanceState.RUNNING.value if is_stop else may_be_cleared(state))
        return not has_gone_on and not _is_pending(stored, instruction)

    with database_session() as session:
        is_stored, before = stored_task_state.claim_task_state(
            task, INSTRUCTION_KEY, instruction.to_json(), expires_at, session, is_free=is_free
        )
    if is_stored:
        return
    if _is_pending(before, instruction):
        earlier = Instruction.from_json(before)
        name = earlier.action.value.replace("_", " ")
        raise HTTPException(
            HTTPStatus.CONFLICT,
            f"{earlier.asked_by} has asked for something first ({name}), and the task follows that: nothing was "
            "done. Wait until it has ended; if it does not begin, try again in two minutes.",
        )
    raise HTTPException(HTTPStatus.CONFLICT, "The task has gone on in the meantime: nothing was done.")


def _is_pending(stored: Any, instruction: Instruction) -> bool:
    """Return whether a stored instruction is still to be followed, and must not give way to another."""
    try:
        earlier = Instruction.from_json(stored)
    except (LookupError, TypeError, ValueError):
        return False
    # A stop holds until the next clear, which every other instruction comes with.
    if earlier.action is Action.STOP and instruction.action is not Action.STOP:
        return False
    return instruction.asked_at - earlier.asked_at <= PENDING_SECONDS


def _remove(instruction: Instruction, task: TaskIdentity) -> None:
    with database_session() as session:
        stored_task_state.delete_task_state(task, INSTRUCTION_KEY, instruction.to_json(), session)


def _require(response: Any) -> None:
    if not response.is_success:
        status = response.status if 400 <= response.status < 500 else HTTPStatus.BAD_GATEWAY
        raise HTTPException(status, f"Airflow has refused it: {response.reason}.")
