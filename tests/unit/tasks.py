"""The little of a task and of a trigger's process that operators and sensors use, where no Airflow runs."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
from airflow.sdk.module_loading import import_string
from pydantic import JsonValue, TypeAdapter

_JSON: TypeAdapter[Any] = TypeAdapter(JsonValue)


class TaskInstance:
    """Keeps XComs, and what a rescheduled or retried task learns of its past."""

    dag_id = "checks"
    run_id = "manual__2026-01-31"
    task_id = "check"
    map_index = -1

    def __init__(self, max_tries: int = 1) -> None:
        self.max_tries = max_tries
        self.try_number = 1
        self.xcoms: dict[str, Any] = {}
        self.first_reschedule_date: dt.datetime | None = None

    def clear(self) -> None:
        """Do what a clear and the scheduler after it do: the next try has as many retries as the first one had."""
        self.max_tries += self.try_number
        self.try_number += 1
        self.xcoms.clear()

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcoms.get(key)

    def get_first_reschedule_date(self, context: object) -> dt.datetime | None:
        return self.first_reschedule_date


class TaskStateStore:
    """Keeps JSON, as Airflow's does."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.stored.get(key, "null"))

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        # Airflow takes lists and no tuples.
        self.stored[key] = json.dumps(_JSON.validate_python(value), allow_nan=False)

    def delete(self, key: str) -> None:
        self.stored.pop(key, None)


def stored_trigger(deferred: TaskDeferred) -> Any:
    """Make the trigger of a deferred task anew, from what is stored of it."""
    path, fields = deferred.trigger.serialize()
    return import_string(path)(**json.loads(json.dumps(fields)))


def event_of(deferred: TaskDeferred) -> Any:
    """Run the trigger as a triggerer does, from what is stored of it, and return what is stored of its event."""
    trigger = stored_trigger(deferred)

    async def first_event() -> Any:
        return await anext(trigger.run())

    return json.loads(json.dumps(asyncio.run(first_event()).payload))


def rescheduled(context: Any, again: AirflowRescheduleException) -> None:
    """Let the time pass until Airflow would run the task again."""
    now = dt.datetime.now(dt.timezone.utc)
    context["ti"].first_reschedule_date = context["ti"].first_reschedule_date or now
    context["task_reschedule_count"] = context.get("task_reschedule_count", 0) + 1
    time.sleep(max(0.0, (again.reschedule_date - now).total_seconds()))
