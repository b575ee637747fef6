"""The little of a task's context that the operators use, for tests that need no running Airflow."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Have a test run on the event loop that its class or module names as ``LOOP``, or else on asyncio's own."""
    test = item.getparent(pytest.Class), item.getparent(pytest.Module)
    loops = [getattr(part.obj, "LOOP", None) for part in test if part is not None]
    return {"loop": next((loop for loop in loops if loop is not None), asyncio.new_event_loop)}


class TaskInstance:
    """Keeps XComs, and what a rescheduled or retried task is told of its past."""

    def __init__(self, max_tries: int = 1) -> None:
        self.max_tries = max_tries
        self.try_number = 1
        self.xcoms: dict[str, Any] = {}
        self.first_reschedule_date: dt.datetime | None = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def get_first_reschedule_date(self, context: object) -> dt.datetime | None:
        return self.first_reschedule_date


class TaskStateStore:
    """Keeps JSON, as Airflow's does."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.stored.get(key, "null"))

    def set(self, key: str, value: Any, *, retention: object = None) -> None:
        self.stored[key] = json.dumps(value, allow_nan=False)

    def delete(self, key: str) -> None:
        self.stored.pop(key, None)


@pytest.fixture
def context() -> dict[str, Any]:
    """The context of one task instance; a retry has the same one."""
    return {
        "ti": TaskInstance(),
        "task_state_store": TaskStateStore(),
        "outlet_events": OutletEventAccessors(),
    }
