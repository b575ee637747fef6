"""The connection of a poller: its client, made anew when the connection has changed."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_workflows import api
from airflow_provider_workflows.api import Settings, errors
from airflow_provider_workflows.hooks.connection_cache import ConnectionCache
from airflow_provider_workflows.hooks.workflows import WorkflowsHook, shared_tokens

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient

log = logging.getLogger(__name__)

#: The connection is read again after this many seconds, so that a rotated secret is picked up.
CONNECTION_CACHE_SECONDS = 300.0
#: After a lookup that failed, the next is made after this many seconds.
FAILED_LOOKUP_RETRY_SECONDS = 2.0
#: How long a lookup of the connection may take, in seconds.
LOOKUP_TIMEOUT_SECONDS = 30.0


class PolledConnection:
    """Has a client for what the connection says, read again now and then.

    :param workflows_conn_id: id of the connection
    :param connected: called with a new client, and the one before it or None
    :param clock: monotonic seconds, such as those of the event loop
    """

    def __init__(
        self,
        workflows_conn_id: str,
        connected: Callable[[AsyncWorkflowsClient, AsyncWorkflowsClient | None], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._conn_id = workflows_conn_id
        self._hook = WorkflowsHook(workflows_conn_id)
        self._connected = connected
        self._clock = clock
        self._connections = ConnectionCache(
            self._lookup,
            found_seconds=CONNECTION_CACHE_SECONDS,
            not_found_seconds=FAILED_LOOKUP_RETRY_SECONDS,
            failed_seconds=FAILED_LOOKUP_RETRY_SECONDS,
            clock=clock,
        )
        #: The client; None until the connection was read.
        self.client: AsyncWorkflowsClient | None = None
        #: Whether nobody polls with it any more.
        self.is_closed = False

    @property
    def is_due(self) -> bool:
        """Whether ``current`` would read the connection."""
        return self._connections.is_due(self._conn_id)

    def expire(self) -> None:
        """Read the connection again before a rejected key is sent again."""
        if self.client is not None:
            self._connections.expire(self._conn_id, self.client.seconds_until_authorize())

    async def current(self) -> AsyncWorkflowsClient:
        """Return the client for what the connection says now.

        :raises WorkflowsError: if it cannot be read, and was not before
        """
        client = self.client
        if client is None or self.is_due:
            settings = await self._connections.get(self._conn_id)
            if self.is_closed or settings is None:
                raise errors.ServiceUnavailable("No task waits for this connection any more.")
            client = self._client_with(settings)
        return client

    async def _lookup(self, conn_id: str) -> Settings:
        failure: errors.WorkflowsError
        try:
            return await asyncio.wait_for(self._hook.aget_settings(), LOOKUP_TIMEOUT_SECONDS)
        except errors.InvalidInput as error:
            failure = error
        except Exception as error:
            connection = f"connection {conn_id}"
            if errors.is_mistake(error):
                log.exception("Reading %s failed unexpectedly.", connection)
                failure = errors.from_exception(error, f"Reading {connection}")
            else:
                failure = errors.ServiceUnavailable(f"The {connection} could not be read: {error}")
        log.warning("%s", failure)
        raise failure

    def _client_with(self, settings: Settings) -> AsyncWorkflowsClient:
        # The wait repeats failed polls, by its own schedule: each poll is one attempt.
        settings = dataclasses.replace(settings, max_attempts=1)
        before = self.client
        if before is not None and before.settings == settings:
            return before
        client = api.AsyncWorkflowsClient(settings, shared_tokens(settings), clock=self._clock)
        self.client = client
        self._connected(client, before)
        return client
