"""Writes completions to Airflow's database, many deliveries in one transaction."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_workflows.airflow_internals.orm import database_session
from airflow_provider_workflows.webhooks.asset_events import add_completion_events
from airflow_provider_workflows.webhooks.early_completions import EarlyCompletions
from airflow_provider_workflows.webhooks.inbox import put_into_inboxes
from airflow_provider_workflows.webhooks.resume import can_resume, resume_tasks

if TYPE_CHECKING:
    from airflow_provider_workflows.webhooks.payload import Completion

#: One transaction writes this many completions at most.
MAX_COMPLETIONS_PER_TRANSACTION = 200


class CompletionWriter:
    """Writes completions of one connection to the metadata database, in a thread of its own.

    What arrives while a transaction runs goes into the next, so that a burst of deliveries is a few transactions.

    :param conn_id: id of the connection
    :param host: base URL of the service
    """

    def __init__(self, conn_id: str, host: str) -> None:
        self._conn_id = conn_id
        self._host = host
        self._thread = ThreadPoolExecutor(1, "workflows-webhooks")
        self._pending: list[tuple[Completion, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._early = EarlyCompletions(conn_id, self._resume)

    async def write(self, completion: Completion) -> None:
        """Write a completion, and return once it is committed.

        :raises Exception: the one that kept it from being written
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((completion, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(written)

    def close(self) -> None:
        """Stop; the service repeats the deliveries whose completions were not written."""
        self._early.close()
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                batch = self._pending[:MAX_COMPLETIONS_PER_TRANSACTION]
                self._pending = self._pending[MAX_COMPLETIONS_PER_TRANSACTION:]
                completions = {completion.workflow_id: completion for completion, _ in batch}
                try:
                    too_early = await loop.run_in_executor(self._thread, self._commit, completions, True)
                except Exception as error:  # noqa: BLE001  (each caller of `write` raises it)
                    _settle(batch, error)
                else:
                    _settle(batch, None)
                    self._early.hold_back({completions[name]: seconds for name, seconds in too_early.items()})
        finally:
            self._writing = None

    def _commit(self, completions: dict[str, Completion], with_events: bool) -> dict[str, float]:
        """Write completions; return those whose task may not be resumed yet, and in how many seconds it may."""
        # SQLite is locked whole: the threads of this process take turns instead of waiting for that.
        with _lock_of(self._conn_id), database_session() as session:
            if with_events:
                add_completion_events(completions.values(), self._host, session)
            if not can_resume():
                return {}
            resumption = resume_tasks(completions, self._conn_id, session)
            others = completions.keys() - resumption.awaited
            if others:
                statuses = {name: each.status for name, each in completions.items() if name in others}
                put_into_inboxes(statuses, self._conn_id, session)
        return resumption.too_early

    async def _resume(self, completion: Completion) -> None:
        """Resume the tasks that wait for a run, whose completion is written."""
        completions = {completion.workflow_id: completion}
        await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, completions, False)


@functools.cache
def _lock_of(_conn_id: str) -> threading.Lock:
    return threading.Lock()


def _settle(batch: list[tuple[Completion, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
