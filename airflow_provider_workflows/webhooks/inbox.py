"""Putting completions into the inboxes of the batches that wait (``batch/inbox.py`` has their format)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_workflows.airflow_internals import orm
from airflow_provider_workflows.batch.inbox import add_completions
from airflow_provider_workflows.triggers.batch_status import BatchStatusTrigger
from airflow_provider_workflows.xcom_keys import INBOX_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: As Airflow stores the trigger of a batch that waits for its runs.
TRIGGER_CLASSPATH = f"{BatchStatusTrigger.__module__}.{BatchStatusTrigger.__qualname__}"


def put_into_inboxes(statuses: Mapping[str, str], conn_id: str, session: Session) -> None:
    """Tell each batch that waits for webhooks of a connection which runs have ended.

    Which batch a run belongs to is in no table, so each gets all, and takes its own.

    :param statuses: of runs that have ended, by id
    :param conn_id: id of the connection whose webhooks these are
    :param session: of the metadata database; the caller commits
    """
    # The task's row is locked, so that two API servers do not write over each other's inbox.
    for task in orm.deferred_tasks(TRIGGER_CLASSPATH, session):
        if task.arguments.get("workflows_conn_id") == conn_id and task.arguments.get("webhooks"):
            task.write_xcom(INBOX_KEY, add_completions(task.read_xcom(INBOX_KEY), statuses))
