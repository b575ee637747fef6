"""Puts completions into the inboxes of the batches that wait (``batch/inbox.py`` has the format of an inbox)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_workflows.airflow_internals import orm
from airflow_provider_workflows.batch.awaited_runs import AwaitedRuns
from airflow_provider_workflows.batch.inbox import next_write
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.webhooks.trigger_cache import TriggerCache
from airflow_provider_workflows.xcom_keys import AWAITED_RUNS_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_workflows.airflow_internals.orm import DeferredTask

#: As Airflow stores the trigger of a batch that waits for its runs.
TRIGGER_CLASSPATH = f"{BatchStatusTrigger.__module__}.{BatchStatusTrigger.__qualname__}"


class _Batch(NamedTuple):
    """A batch that waits.

    :param conn_id: id of the connection whose webhooks it waits for; None if it waits for none
    :param awaited: its runs; None if they cannot be told, such as where an XCom backend has them
    """

    conn_id: str | None
    awaited: AwaitedRuns | None


def _batch(task: DeferredTask) -> _Batch:
    if not task.arguments.get("webhooks"):
        return _Batch(None, None)
    return _Batch(
        task.arguments.get("workflows_conn_id"), AwaitedRuns.from_json(task.read_xcom(AWAITED_RUNS_KEY))
    )


_batches = TriggerCache(_batch)


def put_into_inboxes(statuses: Mapping[str, str], conn_id: str, session: Session) -> None:
    """Tell each batch that waits for webhooks of a connection which of its runs have ended.

    A batch whose runs cannot be told gets all completions, and takes its own.

    :param statuses: of runs that have ended, by id
    :param conn_id: id of the connection whose webhooks these are
    :param session: of the metadata database; the caller commits
    """
    waiting = _batches.of(orm.deferred_triggers(TRIGGER_CLASSPATH, session), session)
    own_statuses = {}
    for trigger, batch in waiting.items():
        if batch.conn_id == conn_id:
            awaited = statuses if batch.awaited is None else batch.awaited
            own = {workflow_id: status for workflow_id, status in statuses.items() if workflow_id in awaited}
            if own:
                own_statuses[trigger] = own
    # The task's row is locked, so that two API servers do not write over each other's completions.
    for task in orm.deferred_tasks(own_statuses, session, lock=True):
        _add(task, own_statuses[task.trigger])


def _add(task: DeferredTask, statuses: Mapping[str, str]) -> None:
    key, segment = next_write(task.read_xcom, statuses)
    task.write_xcom(key, segment.to_json())
