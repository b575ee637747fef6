"""Which connections take webhooks."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.webhooks.handler import TryAgainLater, WebhookHandler
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache

log = logging.getLogger(__name__)

#: A connection is looked up anew after so many seconds.
CONNECTION_CACHE_SECONDS = 60.0
#: One that was not found is looked up sooner: Airflow says the same when its database is away, and the service
#: tries a delivery for 20 seconds.
NOT_FOUND_CACHE_SECONDS = 5.0
#: So many ids that take no webhooks are remembered.
MAX_CACHED_CONNECTIONS = 1000
#: So many lookups run at once: ids are anybody's to invent.
MAX_CONCURRENT_LOOKUPS = 4
MAX_QUEUED_LOOKUPS = 100
_CONN_ID = re.compile(r"[\w.\-]{1,200}", re.ASCII)


@dataclass(slots=True)
class _Known:
    handler: WebhookHandler | None
    until: float


class HandlerRegistry:
    """The registry by the id of their connection, looked up when they are first asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._keys: dict[str, tuple[str, PublicKeyCache]] = {}
        self._lookup_slots = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)
        self._waiting = 0

    async def get(self, conn_id: str) -> WebhookHandler | None:
        """Return the handler of a connection, or None when there is no such connection or it takes no webhooks.

        :raises TryAgainLater: when that cannot be told now
        """
        if not _CONN_ID.fullmatch(conn_id):
            return None
        known = self._known.get(conn_id)
        if known is not None and time.monotonic() < known.until:
            return known.handler
        if self._waiting >= MAX_QUEUED_LOOKUPS:
            if known is not None and known.handler is not None:
                # Ids that somebody invents do not keep out one that is known to take webhooks.
                return known.handler
            raise TryAgainLater("too many connections are looked up")
        self._waiting += 1
        try:
            async with self._lookup_slots:
                known = self._known.get(conn_id)
                if known is None or time.monotonic() >= known.until:
                    known = await self._lookup(conn_id)
                return known.handler
        finally:
            self._waiting -= 1

    async def _lookup(self, conn_id: str) -> _Known:
        settings = await asyncio.to_thread(_settings, conn_id)
        # Read only now, and nothing is awaited until it is written: another lookup may have been quicker.
        before = self._known.get(conn_id)
        handler = outdated = before.handler if before is not None else None
        if handler is None or handler.settings != settings:
            handler = (
                None
                if settings is None
                else WebhookHandler(conn_id, settings, self._keys_of(conn_id, settings))
            )
        seconds = NOT_FOUND_CACHE_SECONDS if handler is None else CONNECTION_CACHE_SECONDS
        known = self._known[conn_id] = _Known(handler, time.monotonic() + seconds)
        self._known.move_to_end(conn_id)
        self._forget_one()
        if outdated is not None and outdated is not handler:
            await outdated.close()
        return known

    def _keys_of(self, conn_id: str, settings: Settings) -> PublicKeyCache:
        # They outlast a change of the connection: under a flood of invented keys they would be hard to come by.
        host, keys = self._keys.get(conn_id, ("", None))
        if keys is None or host != settings.host:
            keys = PublicKeyCache()
            self._keys[conn_id] = (settings.host, keys)
        return keys

    def _forget_one(self) -> None:
        # Only ids that take no webhooks are anybody's to invent.
        if len(self._known) > MAX_CACHED_CONNECTIONS:
            invented = next((name for name, known in self._known.items() if known.handler is None), None)
            if invented is not None:
                del self._known[invented]


def _settings(conn_id: str) -> Settings | None:
    try:
        hook = WorkflowsHook(conn_id)
        if hook.get_connection(conn_id).conn_type != WorkflowsHook.conn_type:
            return None
        settings = hook.settings
    except AirflowNotFoundException:
        return None
    except errors.InvalidInput as error:
        log.warning("Webhooks are not taken: %s", error)
        return None
    return settings if settings.webhooks else None
