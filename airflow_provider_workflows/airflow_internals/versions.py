"""What this version of Airflow lacks of what this package can use, said once per process."""

from __future__ import annotations

import logging
import sys
from typing import Any

from airflow_provider_workflows.airflow_internals.assets import OUTLET_PARTITIONS, PARTITIONED_EVENTS
from airflow_provider_workflows.airflow_internals.feature import Feature, airflow_version
from airflow_provider_workflows.airflow_internals.retries import RESCHEDULE, RETRY_POLICY
from airflow_provider_workflows.airflow_internals.stored_task_state import INSTRUCTIONS
from airflow_provider_workflows.airflow_internals.task_state import TASK_STATE_STORE
from airflow_provider_workflows.airflow_internals.xcom import LIVE_XCOM

log = logging.getLogger(__name__)


def _find_connection_fields() -> bool:
    from airflow.providers_manager import ProvidersManager  # noqa: PLC0415

    _ = ProvidersManager._to_api_format  # noqa: SLF001
    return True


CONNECTION_FIELDS = Feature(
    "conn-fields of a connection type: airflow.providers_manager.ProvidersManager._to_api_format",
    purpose="show a field of its own for each setting in the form of a connection",
    without="The form of a connection has one field for them all: write the settings as JSON into Extra",
    find=_find_connection_fields,
    since="3.2.0",
)


def _find_trigger_on_kill() -> bool:
    from airflow.triggers.base import BaseTrigger  # noqa: PLC0415

    _ = BaseTrigger.on_kill
    return True


TRIGGER_ON_KILL = Feature(
    "airflow.triggers.base.BaseTrigger.on_kill()",
    purpose="say in the log of a deferred task that is killed that its runs go on",
    without="A deferred task that is killed or cleared ends without a line about its runs, which go on",
    find=_find_trigger_on_kill,
    since="3.3.0",
)

#: What some versions of Airflow that this package runs on lack, the most important first.
DIFFERENCES: tuple[Feature[Any], ...] = (
    TASK_STATE_STORE,
    RETRY_POLICY,
    RESCHEDULE,
    LIVE_XCOM,
    TRIGGER_ON_KILL,
    INSTRUCTIONS,
    PARTITIONED_EVENTS,
    OUTLET_PARTITIONS,
    CONNECTION_FIELDS,
)


def lacking() -> list[Feature[Any]]:
    """Return what this version of Airflow lacks."""
    return [feature for feature in DIFFERENCES if not feature.is_available()]


_said: list[str] = []


def say_what_is_lacking() -> None:
    """Log in one line what this version of Airflow lacks, once per process; nothing if it lacks nothing.

    The process of a task says nothing: the log of each task, of all DAGs, would begin with it.
    """
    if _said or is_supervised():
        return
    _said.append(version := airflow_version())
    if missing := lacking():
        log.info(
            "airflow-provider-workflows runs on Airflow %s, which cannot: %s. What that means is in "
            "docs/airflow_versions.md.",
            version,
            "; ".join(feature.purpose for feature in missing),
        )


def is_supervised() -> bool:
    """Return whether this process has a supervisor, as those of tasks, triggers and DAG files have."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None
