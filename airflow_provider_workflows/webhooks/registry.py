"""The handlers of all connections that take webhooks. The tasks that wait are found in ``webhooks/resume.py``."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_workflows.airflow_internals.secrets_masker import quiet_about_short_secrets
from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.hooks.connection_cache import ConnectionCache
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.webhooks.handler import TryAgainLater, WebhookHandler
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache

log = logging.getLogger(__name__)

#: A connection is read again after this many seconds.
CONNECTION_CACHE_SECONDS = 60.0
#: A connection that was not found is read again sooner: Airflow says the same when its database is away, and
#: the service repeats a delivery after 5, 10, 15, 20 and 25 seconds.
NOT_FOUND_CACHE_SECONDS = 5.0
#: This many ids that take no webhooks are cached.
MAX_CACHED_CONNECTIONS = 1000
#: This many lookups run at once, and this many wait: anybody can invent ids.
MAX_CONCURRENT_LOOKUPS = 4
MAX_QUEUED_LOOKUPS = 100
_CONN_ID = re.compile(r"[\w.\-]{1,200}", re.ASCII)


class HandlerRegistry:
    """Finds the handler of a connection; the connection is read when it is first asked for.

    :param clock: monotonic seconds
    :param sleep: returns after the given number of seconds
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self.connections = ConnectionCache(
            _lookup,
            found_seconds=CONNECTION_CACHE_SECONDS,
            not_found_seconds=NOT_FOUND_CACHE_SECONDS,
            failed_seconds=0.0,
            max_not_found=MAX_CACHED_CONNECTIONS,
            max_lookups=MAX_CONCURRENT_LOOKUPS,
            clock=clock,
        )
        self.handlers: dict[str, WebhookHandler] = {}
        self._keys: dict[str, tuple[str, PublicKeyCache]] = {}
        self._lookups = 0

    async def get(self, conn_id: str) -> WebhookHandler | None:
        """Return the handler of a connection, or None if there is no such connection or it takes no webhooks.

        :raises TryAgainLater: if that cannot be decided now
        """
        if not _CONN_ID.fullmatch(conn_id):
            return None
        if not self.connections.is_due(conn_id):
            return self.handlers.get(conn_id)
        if self._lookups >= MAX_QUEUED_LOOKUPS:
            if conn_id in self.handlers:
                # Ids that somebody invents do not keep out a connection that takes webhooks.
                return self.handlers[conn_id]
            raise TryAgainLater("too many connections are being read")
        self._lookups += 1
        try:
            settings = await self.connections.get(conn_id)
        finally:
            self._lookups -= 1
        return await self._handler_with(conn_id, settings)

    async def close(self) -> None:
        """Close the connections of all handlers."""
        for handler in self.handlers.values():
            await handler.close()

    async def _handler_with(self, conn_id: str, settings: Settings | None) -> WebhookHandler | None:
        handler = outdated = self.handlers.get(conn_id)
        if settings is None:
            handler = None
            self.handlers.pop(conn_id, None)
        elif handler is None or handler.settings != settings:
            keys = self._keys_of(conn_id, settings)
            handler = WebhookHandler(conn_id, settings, keys, sleep=self._sleep)
            self.handlers[conn_id] = handler
        if outdated is not None and outdated is not handler:
            await outdated.close()
        return handler

    def _keys_of(self, conn_id: str, settings: Settings) -> PublicKeyCache:
        # The keys outlast a change of the connection: under a flood of invented keys they are hard to fetch again.
        host, keys = self._keys.get(conn_id, ("", None))
        if keys is None or host != settings.host:
            keys = PublicKeyCache()
            self._keys[conn_id] = (settings.host, keys)
        return keys


async def _lookup(conn_id: str) -> Settings | None:
    return await asyncio.to_thread(_settings, conn_id)


def _settings(conn_id: str) -> Settings | None:
    """Return what a connection says, or None if there is no such connection or it takes no webhooks."""
    try:
        hook = WorkflowsHook(conn_id)
        with quiet_about_short_secrets():
            connection = hook.get_connection(conn_id)
        if connection.conn_type != WorkflowsHook.conn_type:
            return None
        settings = hook.settings
    except AirflowNotFoundException:
        return None
    except errors.InvalidInput as error:
        log.warning("Webhooks of connection %s are refused with status 404: %s", conn_id, error)
        return None
    return settings if settings.webhooks else None
