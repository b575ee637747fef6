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
from airflow_provider_workflows.plugin.endpoint import Endpoint, TryAgainLater
from airflow_provider_workflows.plugin.keys import KeyStore

log = logging.getLogger(__name__)

#: A connection is looked up anew after so many seconds.
CONNECTION_SECONDS = 60.0
#: One that was not found is looked up sooner: Airflow says the same when its database is away, and the service
#: tries a delivery for 20 seconds.
NOT_FOUND_SECONDS = 5.0
#: So many ids that take no webhooks are remembered.
REMEMBERED = 1000
#: So many lookups run at once: ids are anybody's to invent.
MAX_CONCURRENT_LOOKUPS = 4
MAX_QUEUED_LOOKUPS = 100
_CONN_ID = re.compile(r"[\w.\-]{1,200}", re.ASCII)


@dataclass(slots=True)
class _Known:
    endpoint: Endpoint | None
    until: float


class Endpoints:
    """The endpoints by the id of their connection, looked up when they are first asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._keys: dict[str, tuple[str, KeyStore]] = {}
        self._lookup_slots = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)
        self._waiting = 0

    async def get(self, conn_id: str) -> Endpoint | None:
        """Return the endpoint of a connection, or None when there is no such connection or it takes no webhooks.

        :raises TryAgainLater: when that cannot be told now
        """
        if not _CONN_ID.fullmatch(conn_id):
            return None
        known = self._known.get(conn_id)
        if known is not None and time.monotonic() < known.until:
            return known.endpoint
        if self._waiting >= MAX_QUEUED_LOOKUPS:
            if known is not None and known.endpoint is not None:
                # Ids that somebody invents do not keep out one that is known to take webhooks.
                return known.endpoint
            raise TryAgainLater("too many connections are looked up")
        self._waiting += 1
        try:
            async with self._lookup_slots:
                known = self._known.get(conn_id)
                if known is None or time.monotonic() >= known.until:
                    known = await self._lookup(conn_id)
                return known.endpoint
        finally:
            self._waiting -= 1

    async def _lookup(self, conn_id: str) -> _Known:
        settings = await asyncio.to_thread(_settings, conn_id)
        # Read only now, and nothing is awaited until it is written: another lookup may have been quicker.
        before = self._known.get(conn_id)
        endpoint = outdated = before.endpoint if before is not None else None
        if endpoint is None or endpoint.settings != settings:
            endpoint = (
                None if settings is None else Endpoint(conn_id, settings, self._keys_of(conn_id, settings))
            )
        seconds = NOT_FOUND_SECONDS if endpoint is None else CONNECTION_SECONDS
        known = self._known[conn_id] = _Known(endpoint, time.monotonic() + seconds)
        self._known.move_to_end(conn_id)
        self._forget_one()
        if outdated is not None and outdated is not endpoint:
            await outdated.close()
        return known

    def _keys_of(self, conn_id: str, settings: Settings) -> KeyStore:
        # They outlast a change of the connection: under a flood of invented keys they would be hard to come by.
        host, keys = self._keys.get(conn_id, ("", None))
        if keys is None or host != settings.host:
            keys = KeyStore()
            self._keys[conn_id] = (settings.host, keys)
        return keys

    def _forget_one(self) -> None:
        # Only ids that take no webhooks are anybody's to invent.
        if len(self._known) > REMEMBERED:
            invented = next((name for name, known in self._known.items() if known.endpoint is None), None)
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
