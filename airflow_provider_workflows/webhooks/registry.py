"""The handlers of all connections that take webhooks. The tasks that wait are found in ``webhooks/resume.py``."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from airflow.sdk import Connection

from airflow_provider_workflows.airflow_internals.exceptions import AirflowNotFoundException
from airflow_provider_workflows.airflow_internals.secrets_masker import quiet_about_short_secrets
from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.api.async_transport import HttpSession
from airflow_provider_workflows.hooks.connection_cache import ConnectionCache
from airflow_provider_workflows.hooks.workflows import WorkflowsHook
from airflow_provider_workflows.log_throttle import ThrottledWarning
from airflow_provider_workflows.webhooks.delivery_outcome import DeliveryOutcome, TryAgainLater
from airflow_provider_workflows.webhooks.handler import WebhookHandler
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache

log = logging.getLogger(__name__)

#: A connection is read again after this many seconds.
CONNECTION_CACHE_SECONDS = 60.0
#: A connection that was not found is read again sooner: Airflow says the same when its database is away, and
#: the service repeats a delivery after 5, 10, 15, 20 and 25 seconds.
NOT_FOUND_CACHE_SECONDS = 5.0
#: This many ids that take no webhooks are cached.
MAX_CACHED_CONNECTIONS = 1000
#: This many handlers and hosts are kept, and a handler for this many seconds without a delivery.
MAX_HANDLERS = 200
MAX_HOSTS = 200
HANDLER_IDLE_SECONDS = 3600.0
#: This many lookups run at once, and this many wait: anybody can invent ids.
MAX_CONCURRENT_LOOKUPS = 4
MAX_QUEUED_LOOKUPS = 100
_CONNECTION_FIELDS = ("host", "login", "password", "schema", "port", "extra")
_CONN_ID = re.compile(r"[\w.\-]{1,200}", re.ASCII)


_warn_spelling = ThrottledWarning(
    log,
    "Since the last such line, %s a connection's id in another case, and got a 404. An "
    "id that is found in any case, as that of an environment variable is, must be in lower case in the "
    "address and in DAGs: %s.",
    ("address of a webhook spelled", "addresses of webhooks spelled"),
)


@dataclass(frozen=True, slots=True)
class _Host:
    """What all connections to one host share.

    :param http: the connections to it
    :param keys: its public keys
    """

    http: HttpSession
    keys: PublicKeyCache = field(default_factory=PublicKeyCache)


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
        self._clock = clock
        self._sleep = sleep
        self.connections = ConnectionCache(
            _lookup,
            found_seconds=CONNECTION_CACHE_SECONDS,
            not_found_seconds=NOT_FOUND_CACHE_SECONDS,
            failed_seconds=0.0,
            max_not_found=MAX_CACHED_CONNECTIONS,
            # One more, so that a connection that takes webhooks is read while ids are invented.
            max_lookups=MAX_CONCURRENT_LOOKUPS + 1,
            clock=clock,
        )
        #: The handlers by connection id, the one that was used least recently first.
        self.handlers: OrderedDict[str, WebhookHandler] = OrderedDict()
        self._counts: OrderedDict[str, Counter[DeliveryOutcome]] = OrderedDict()
        self._used_at: dict[str, float] = {}
        self._hosts: OrderedDict[tuple[str, bool | str], _Host] = OrderedDict()
        self._renewing: set[str] = set()
        self._lookups = 0
        self._lookups_of_strangers = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)

    def is_due(self, conn_id: str) -> bool:
        """Return whether a connection is to be read before its handler is known: call ``get`` then."""
        return self.connections.is_due(conn_id) and _CONN_ID.fullmatch(conn_id) is not None

    def current(self, conn_id: str) -> WebhookHandler | None:
        """Return the handler of a connection that is not due."""
        handler = self.handlers.get(conn_id)
        if handler is not None:
            self.handlers.move_to_end(conn_id)
            self._used_at[conn_id] = self._clock()
        return handler

    async def get(self, conn_id: str) -> WebhookHandler | None:
        """Return the handler of a connection, or None if there is no such connection or it takes no webhooks.

        :raises TryAgainLater: if that cannot be decided now
        """
        if not self.is_due(conn_id):
            return self.current(conn_id)
        if conn_id in self.handlers:
            # Ids that somebody invents do not keep out a connection that takes webhooks.
            await self._renew(conn_id)
        elif self._lookups >= MAX_QUEUED_LOOKUPS:
            raise TryAgainLater("too many connections are being read")
        else:
            self._lookups += 1
            try:
                async with self._lookups_of_strangers:
                    settings = await self.connections.get(conn_id)
            finally:
                self._lookups -= 1
            await self._take_over(conn_id, settings)
        return self.current(conn_id)

    def counts(self) -> dict[str, dict[DeliveryOutcome, int]]:
        """Return how many deliveries each connection has had, by what became of them, since this process began."""
        return {conn_id: dict(counts) for conn_id, counts in self._counts.items()}

    async def close(self) -> None:
        """Close the connections of all handlers."""
        for handler in self.handlers.values():
            await handler.close()
        for host in self._hosts.values():
            await host.http.close()

    async def _renew(self, conn_id: str) -> None:
        """Read a connection again, unless that is being done: other deliveries use what it said before."""
        if conn_id in self._renewing:
            return
        self._renewing.add(conn_id)
        try:
            settings = await self.connections.get(conn_id)
        finally:
            self._renewing.discard(conn_id)
        await self._take_over(conn_id, settings)

    async def _take_over(self, conn_id: str, settings: Settings | None) -> None:
        """Have the handler of a connection be one with these settings, and none without settings."""
        handler = self.handlers.get(conn_id)
        if handler is not None and handler.settings == settings:
            return
        if handler is not None:
            del self.handlers[conn_id]
        if settings is not None:
            host = self._host(settings)
            self.handlers[conn_id] = WebhookHandler(
                conn_id,
                settings,
                host.keys,
                host.http,
                counts=self._counts_of(conn_id),
                clock=self._clock,
                sleep=self._sleep,
            )
            self._used_at[conn_id] = self._clock()
        if handler is not None:
            await handler.close()
        await self._forget_unused()

    def _counts_of(self, conn_id: str) -> Counter[DeliveryOutcome]:
        """Return the counts of a connection, which outlast its handler."""
        counts = self._counts.setdefault(conn_id, Counter())
        self._counts.move_to_end(conn_id)
        if len(self._counts) > MAX_CACHED_CONNECTIONS:
            self._counts.popitem(last=False)
        return counts

    def _host(self, settings: Settings) -> _Host:
        # The keys outlast a change of the connection: under a flood of invented keys they are hard to fetch again.
        # Connections that do not check the host's certificate do not bring keys to those that do.
        name = settings.host, settings.verify
        if name not in self._hosts:
            self._hosts[name] = _Host(HttpSession(settings.host, settings.verify))
        self._hosts.move_to_end(name)
        return self._hosts[name]

    async def _forget_unused(self) -> None:
        idle_since = self._clock() - HANDLER_IDLE_SECONDS
        too_many = len(self.handlers) - MAX_HANDLERS
        unused = [name for name, handler in self.handlers.items() if not handler.deliveries]
        forgotten = [
            name
            for number, name in enumerate(unused)
            if number < too_many or self._used_at[name] < idle_since
        ]
        for conn_id in forgotten:
            self.connections.forget(conn_id)
            await self.handlers.pop(conn_id).close()
        self._used_at = {name: self._used_at[name] for name in self.handlers}
        in_use = {(handler.settings.host, handler.settings.verify) for handler in self.handlers.values()}
        free = [name for name in self._hosts if name not in in_use]
        for name in free[: max(0, len(self._hosts) - MAX_HOSTS)]:
            await self._hosts.pop(name).http.close()


async def _lookup(conn_id: str) -> Settings | None:
    return await asyncio.to_thread(_settings, conn_id)


def _settings(conn_id: str) -> Settings | None:
    """Return what a connection says, or None if there is no such connection or it takes no webhooks."""
    try:
        connection = _connection(conn_id)
        if connection is None or _is_another_spelling(conn_id, connection):
            return None
        settings = WorkflowsHook(conn_id).settings
    except AirflowNotFoundException:
        return None
    except errors.InvalidInput as error:
        log.warning("Webhooks of connection %s are refused with status 404: %s", conn_id, error)
        return None
    return settings if settings.webhooks else None


def _connection(conn_id: str) -> Connection | None:
    """Return a connection, or None if there is no such connection of our type."""
    try:
        with quiet_about_short_secrets():
            connection = WorkflowsHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None
    return connection if connection.conn_type == WorkflowsHook.conn_type else None


def _is_another_spelling(conn_id: str, connection: Connection) -> bool:
    """Return whether a connection is found in lower case as well.

    Airflow reads ``AIRFLOW_CONN_`` with the id in upper case, and some secrets backends heed no case either.
    Each spelling would have a handler of its own (65,536 of ``workflows_default``), and would resume no task.
    """
    lower = conn_id.lower()
    if lower == conn_id:
        return False
    found = _connection(lower)
    if found is None or any(getattr(found, name) != getattr(connection, name) for name in _CONNECTION_FIELDS):
        return False
    _warn_spelling(lower)
    return True
