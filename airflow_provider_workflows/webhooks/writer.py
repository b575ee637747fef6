"""Writing down what was learned: tasks woken, batches told, events added, many deliveries at a time."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_workflows.webhooks import asset_events
from airflow_provider_workflows.webhooks.resume import can_resume, resume_tasks

if TYPE_CHECKING:
    from airflow_provider_workflows.webhooks.payload import Completion

log = logging.getLogger(__name__)

_MARGIN_SECONDS = 0.1
#: So many completions are written in one transaction at most.
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
        self._resuming: set[asyncio.Task[None]] = set()
        can_resume()

    async def record(self, completion: Completion) -> None:
        """Return when what follows from ``completion`` is safe in the database.

        :raises Exception: the one that kept it from being written
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((completion, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(written)

    def close(self) -> None:
        """Stop: what was not written was not answered with success, and comes again."""
        for task in self._resuming:
            task.cancel()
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._pending:
                batch, self._pending = (
                    self._pending[:MAX_COMPLETIONS_PER_TRANSACTION],
                    self._pending[MAX_COMPLETIONS_PER_TRANSACTION:],
                )
                completions = {completion.workflow_id: completion for completion, _ in batch}
                try:
                    too_early = await loop.run_in_executor(self._thread, self._commit, completions, True)
                except Exception as error:  # noqa: BLE001  (whoever recorded is told)
                    _settle(batch, error)
                else:
                    _settle(batch, None)
                    self._resume_later(completions, too_early)
        finally:
            self._writing = None

    def _commit(self, completions: dict[str, Completion], with_events: bool) -> dict[str, float]:
        from airflow.utils.session import create_session  # noqa: PLC0415

        # SQLite locks no rows.
        with _one_at_a_time(self._conn_id), create_session() as session:
            if with_events:
                asset_events.register(completions.values(), self._host, session)
            return resume_tasks(completions, self._conn_id, session) if can_resume() else {}

    def _resume_later(self, completions: dict[str, Completion], too_early: dict[str, float]) -> None:
        """Wake tasks later that have only just been deferred; should this process end, they look themselves."""
        for workflow_id, seconds in too_early.items():
            task = asyncio.create_task(self._resume_after(seconds, {workflow_id: completions[workflow_id]}))
            self._resuming.add(task)
            task.add_done_callback(self._resuming.discard)

    async def _resume_after(self, seconds: float, completions: dict[str, Completion]) -> None:
        await asyncio.sleep(seconds + _MARGIN_SECONDS)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, completions, False)
        except Exception:
            log.exception("Tasks of %s were not woken; they look for themselves.", self._conn_id)


@functools.cache
def _one_at_a_time(_conn_id: str) -> threading.Lock:
    return threading.Lock()


def _settle(batch: list[tuple[Completion, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, written in batch:
        if written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
