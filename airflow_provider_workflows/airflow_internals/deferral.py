"""Tasks that wait: when a trigger may fire, whether a webhook can end the wait, and how long a sensor pauses."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_provider_workflows.airflow_internals.configuration import integer
from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_attributes,
    require_parameters,
)

if TYPE_CHECKING:
    import datetime as dt

    from airflow.sdk import Context
    from sqlalchemy.orm import Session

    _Sensor = BaseSensorOperator
else:
    _Sensor = object

#: An event is held back until the task has been deferred for this many of the worker's heartbeats.
#:
#: Airflow 3.3.2 marks a deferred task failed when its trigger fires before the scheduler has read that the
#: deferring process ended, which half of the workers notice a heartbeat late (apache/airflow issues 71580 and
#: 72716). With the default heartbeat of 5 seconds, 38 of 300 tasks failed whose trigger fired at once, 4 of 43
#: after 3 seconds, none after 10; with a heartbeat of 1 second none of 44 after 3.
HEARTBEATS_BEFORE_EVENT = 2
DEFAULT_HEARTBEAT_SECONDS = 5

_RESUMES_WITH = "handle_event_submit"
_RESUME_PARAMETERS = {"task_instance", "session"}


def seconds_before_event() -> float:
    """Return for how many seconds after a task has deferred no event may resume it."""
    heartbeat = integer("workers", "min_heartbeat_interval", default=DEFAULT_HEARTBEAT_SECONDS)
    return HEARTBEATS_BEFORE_EVENT * max(1, heartbeat)


def earliest_event(now: float) -> float:
    """Return when a trigger may fire for a task that defers at ``now``, both in seconds since the epoch."""
    return now + seconds_before_event()


def bounded(not_before: float, now: float) -> float:
    """Return a moment of ``earliest_event`` as it counts on this machine.

    Clocks differ, and are set: one that was put back by an hour would have the event wait for an hour.

    :param not_before: what another process has computed, in seconds since the epoch
    :param now: seconds since the epoch, by this machine's clock
    """
    return min(not_before, earliest_event(now))


async def hold_back_until(
    not_before: float | None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Return when a trigger may fire.

    :param not_before: the earliest moment, in seconds since the epoch; None for at once
    :param clock: returns the time in seconds since the epoch
    :param sleep: returns after the given number of seconds
    """
    if not_before is None:
        return
    now = clock()
    if (seconds := bounded(not_before, now) - now) > 0:
        await sleep(seconds)


def _find_resume_in_source() -> bool:
    from airflow.triggers.base import TriggerEvent  # noqa: PLC0415  (not while parsing)

    # Importing ``airflow.models.trigger`` costs a worker 108 modules, 0.2 s and 6 MiB, so its source is read.
    package = importlib.util.find_spec("airflow")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        source = Path(folder, "models", "trigger.py")
        if source.is_file():
            break
    else:
        raise FeatureChangedError("airflow/models/trigger.py is not there")
    functions = {
        node.name: node
        for node in ast.parse(source.read_bytes()).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    function = functions.get(_RESUMES_WITH)
    if not isinstance(function, ast.FunctionDef):
        raise FeatureChangedError(f"airflow.models.trigger has no function {_RESUMES_WITH}")
    arguments = function.args
    names = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    if missing := _RESUME_PARAMETERS - names:
        raise FeatureChangedError(f"{_RESUMES_WITH} takes no {', '.join(sorted(missing))}")
    inspect.signature(TriggerEvent).bind({})
    return True


RESUME_ON_API_SERVER = Feature(
    f"airflow.models.trigger.{_RESUMES_WITH}(event, *, task_instance, session), found in its source",
    purpose="tell a worker that webhooks resume deferred tasks",
    without="Workflows are polled as without webhooks",
    find=_find_resume_in_source,
)


def can_resume() -> bool:
    """Return whether the API server, which runs the same Airflow, can resume a deferred task.

    For workers: nothing of ``airflow.models`` is imported. Without it, tasks wait and poll as without webhooks.
    """
    return RESUME_ON_API_SERVER.is_available()


def _find_resume() -> Callable[..., None]:
    from airflow.models.trigger import handle_event_submit  # noqa: PLC0415  (only on the API server)
    from airflow.triggers.base import TriggerEvent  # noqa: PLC0415  (not while parsing)

    require_parameters(handle_event_submit, *sorted(_RESUME_PARAMETERS))
    inspect.signature(TriggerEvent).bind({})
    resume_with: Callable[..., None] = handle_event_submit
    return resume_with


RESUME = Feature(
    f"airflow.models.trigger.{_RESUMES_WITH}(event, *, task_instance, session)",
    purpose="resume tasks when a webhook arrives",
    without="Workflows are polled as without webhooks",
    find=_find_resume,
)


def resume(row: Any, event: Mapping[str, Any], session: Session) -> None:
    """Resume a deferred task, as Airflow's own API resumes one that waited for a person; for the API server.

    Nothing is resumed where Airflow cannot: tasks then poll as without webhooks.

    :param row: Airflow's task instance, from the session
    :param event: the payload of the trigger's event
    :param session: of the metadata database; the caller commits
    """
    handle_event_submit = RESUME.get()
    if handle_event_submit is not None:
        from airflow.triggers.base import TriggerEvent  # noqa: PLC0415  (not while parsing)

        submitted = TriggerEvent(event)  # type: ignore[no-untyped-call]
        handle_event_submit(submitted, task_instance=row, session=session)


def _find_poke_interval() -> bool:
    require_attributes(BaseSensorOperator, "_get_next_poke_interval")
    require_parameters(
        BaseSensorOperator._get_next_poke_interval,  # noqa: SLF001
        "started_at",
        "run_duration",
        "poke_count",
    )
    return True


POKE_INTERVAL = Feature(
    "BaseSensorOperator._get_next_poke_interval(started_at, run_duration, poke_count)",
    purpose="ask a sensor how long to pause between two polls",
    without="Sensors that poke or reschedule pause for their `poke_interval`, whatever the run's age",
    find=_find_poke_interval,
)


class OwnPokeInterval(_Sensor):
    """Lets a sensor that pokes or reschedules choose each pause; to stand before ``BaseSensorOperator``.

    Without what it needs of Airflow, the sensor pauses for its ``poke_interval``.
    """

    def pre_execute(self, context: Any) -> None:
        """Say so in the log where the pauses are Airflow's own."""
        POKE_INTERVAL.get()
        super().pre_execute(context)

    def seconds_until_next_poke(self) -> float | None:
        """Return the seconds until the next poll, or None for Airflow's own choice."""
        return None

    def _get_next_poke_interval(
        self, started_at: dt.datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # What the base class asks for the pause until the next poll, in both of its modes.
        seconds = None if self.exponential_backoff else self.seconds_until_next_poke()
        if seconds is not None:
            return seconds
        interval: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        return interval


def _find_first_reschedule() -> bool:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415  (not while parsing)

    require_attributes(RuntimeTaskInstance, "get_first_reschedule_date")
    require_parameters(RuntimeTaskInstance.get_first_reschedule_date, "context")
    return True


FIRST_RESCHEDULE = Feature(
    "RuntimeTaskInstance.get_first_reschedule_date(context)",
    purpose="tell a sensor when it was first rescheduled",
    without="The timeout of a sensor in mode='reschedule' begins anew with each poll",
    find=_find_first_reschedule,
)


def first_reschedule(context: Context) -> float | None:
    """Return when a sensor was rescheduled for the first time in this try, in seconds since the epoch.

    None in a try that was not rescheduled yet, and where Airflow cannot tell: the wait then begins with this poll.

    :param context: the task's context
    """
    ask = getattr(context["ti"], "get_first_reschedule_date", None)
    if ask is None:
        FIRST_RESCHEDULE.get()
        return None
    first = ask(context)
    return None if first is None else float(first.timestamp())
