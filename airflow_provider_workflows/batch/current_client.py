"""The client of a batch, which follows its connection: a secret that is rotated while the batch runs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING

from airflow_provider_workflows import api
from airflow_provider_workflows.api import errors
from airflow_provider_workflows.log_throttle import ThrottledWarning

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings
    from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
    from airflow_provider_workflows.api.models import WorkflowResult
    from airflow_provider_workflows.api.token_store import TokenStore

log = logging.getLogger(__name__)

#: Lookups of the connection that fail are logged this often at most.
WARNING_INTERVAL_SECONDS = 60.0


class CurrentClient:
    """Makes the calls of a batch with what its connection says now; each call is one attempt.

    A rejected key has the connection read again before the key is sent again, and once for all calls that met it.

    :param settings: what the connection said when the task began
    :param read_settings: reads the connection again, in a thread; None where there is nothing to read it from
    :param tokens: tokens to share with other clients of the key in ``settings``
    :param pool_size: the most connections that are open at once
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_settings: Callable[[], Settings] | None = None,
        tokens: TokenStore | None = None,
        pool_size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_settings = read_settings
        self._clock = clock
        self._pool_size = pool_size
        self._clients = contextlib.AsyncExitStack()
        self._reading = asyncio.Lock()
        #: The pause that the connection was read after: its end, in seconds of the client's clock.
        self._read_after = float("-inf")
        self._warn_unread = ThrottledWarning(
            log,
            "The connection could not be read again after a rejected key, %s since the last such line: %s "
            "The batch goes on with what the connection said before.",
            ("time", "times"),
            interval=WARNING_INTERVAL_SECONDS,
            clock=clock,
        )
        self.settings = _one_attempt(settings)
        self._client = self._connect(tokens)

    async def __aenter__(self) -> Self:
        """Return the client; its connections are closed at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()

    def perform(self, endpoint: Endpoint[ResponseModel]) -> Awaitable[ResponseModel]:
        """Call an endpoint, and return what gives its response.

        :raises WorkflowsError: when awaited, of the class that says what went wrong
        """
        return self._client.perform(endpoint)

    def read_result(
        self, workflow_id: str, case_id: str | None = None, record_id: str | None = None
    ) -> Awaitable[WorkflowResult]:
        """Return what gives the result of a completed workflow (``GET /workflows/{workflowId}/result``)."""
        return self._client.read_result(workflow_id, case_id, record_id)

    @property
    def has_rejected_key(self) -> bool:
        """Whether the key was rejected, and no call has succeeded since."""
        return self._client.tokens.rejections > 0

    def seconds_until_authorize(self) -> float:
        """Return the seconds until a rejected key may be sent again; 0 if none was rejected, or it may be now."""
        return self._client.seconds_until_authorize()

    async def read_connection(self) -> None:
        """Read the connection again once the pause after a rejected key is over, and use what it says from then on.

        It is read once after each pause, for all calls that waited. If that fails, the batch goes on with what it
        said before.
        """
        if self._read_settings is None or not self.has_rejected_key:
            return
        async with self._reading:
            pause_end = self._client.tokens.next_authorize_at
            if pause_end <= self._read_after or self.seconds_until_authorize() > 0:
                return
            self._read_after = pause_end
            try:
                settings = _one_attempt(await asyncio.to_thread(self._read_settings))
            except Exception as error:  # noqa: BLE001  (a connection that is away may come back, like the service)
                is_ours = isinstance(error, errors.WorkflowsError)
                self._warn_unread(error if is_ours else f"{type(error).__name__}.")
                return
            if settings != self.settings:
                log.info("The connection has changed: the batch uses it as it is now.")
                self.settings = settings
                self._client = self._connect(None)
                self._read_after = float("-inf")

    def _connect(self, tokens: TokenStore | None) -> AsyncWorkflowsClient:
        client = api.AsyncWorkflowsClient(self.settings, tokens, pool_size=self._pool_size, clock=self._clock)
        # Calls may be under way with the client before, so that all are closed together.
        self._clients.push_async_callback(client.close)
        return client


def _one_attempt(settings: Settings) -> Settings:
    # Whether a call is repeated is decided row by row.
    return dataclasses.replace(settings, max_attempts=1)
