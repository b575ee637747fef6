"""The client for asynchronous code: a short loop that carries out the flows of the one exchange, over aiohttp."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl

from airflow_provider_workflows.api import endpoints, models
from airflow_provider_workflows.api.async_transport import Dropped, HttpSession
from airflow_provider_workflows.api.effects import (
    Compute,
    Exclusive,
    Flow,
    NoResponse,
    NotSent,
    Reply,
    Response,
    Result,
    SendRequest,
    Sleep,
)
from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.http_rules import UnsoundResponse, decoded
from airflow_provider_workflows.api.network import MAX_RESPONSE_BYTES, TOO_LONG, no_response
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.api.settings import POOL_SIZE, Settings
from airflow_provider_workflows.api.table_calls import AsyncTableCalls
from airflow_provider_workflows.api.token_store import TokenStore
from airflow_provider_workflows.api.uploads import FormBody

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from typing_extensions import Self

#: A compressed body that is longer is decoded in a thread: it may become a thousand times as long. So is one of
#: several codings: 272 bytes of gzip in gzip become 64 MiB, which takes 0.4 seconds.
MAX_BYTES_DECODED_ON_LOOP = 4096


@functools.lru_cache(maxsize=8192)
def _url(text: str) -> yarl.URL:
    # Parsing a URL is a twelfth of what a poll costs, and the same URLs are polled again and again.
    return yarl.URL(text, encoded=True)


class AsyncWorkflowsClient(AsyncTableCalls):
    """The Workflows API for asynchronous code: one pooled session, for one event loop.

    :param settings: host, credentials and bounds
    :param tokens: tokens to share with other clients of the same key
    :param pool_size: the most connections that are open at once, unless ``http`` is given
    :param http: connections to share with other clients of the same host; they are not closed with this client
    :param clock: monotonic seconds, for the life of tokens and of connections, and the time for attempts
    :raises InvalidInput: if the environment names a proxy or a CA file that cannot be used
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenStore | None = None,
        *,
        pool_size: int = POOL_SIZE,
        http: HttpSession | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._tokens = TokenStore() if tokens is None else tokens
        self._exchange = Exchange(settings, tokens=self._tokens, clock=clock)
        self._http = http or HttpSession(settings.host, settings.verify, pool_size=pool_size, clock=clock)
        self._owns_http = http is None
        self._closed = False
        self._timeout = self._client_timeout(max(settings.retry_seconds, settings.read_timeout))

    async def __aenter__(self) -> Self:
        """Return the client; it is closed at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, for good, unless they are shared."""
        self._closed = True
        if self._owns_http:
            await self._http.close()

    @property
    def tokens(self) -> TokenStore:
        """The tokens, which other clients of the same key may share."""
        return self._tokens

    def seconds_until_authorize(self) -> float:
        """Return the seconds until a rejected key may be sent again; 0 if none was rejected, or it may be now."""
        return self._exchange.seconds_until_authorize()

    async def perform(self, endpoint: Endpoint[ResponseModel]) -> ResponseModel:
        """Call an endpoint and return its response.

        :raises WorkflowsError: of the class that says what went wrong
        """
        return await self._drive(self._exchange.perform(endpoint))

    async def authorize(self) -> None:
        """Obtain a token now (``POST /auth/authorize``); with an organization token nothing is sent."""
        await self._drive(self._exchange.authorize())

    async def create_case(self, **details: Any) -> models.Case:
        """Create a case (``POST /cases``) with the fields of ``models.CaseDetails``, all of them optional."""
        return await self.perform(endpoints.create_case(details))

    async def read_case(self, case_id: str) -> models.Case:
        """Return a case (``GET /cases/{caseId}``)."""
        return await self.perform(endpoints.read_case(case_id))

    async def create_parameters(
        self, workflow_definition_id: str, parameters: Mapping[str, Any]
    ) -> models.Parameters:
        """Create a set of parameters, JSON values by name (``POST /parameters``)."""
        return await self.perform(endpoints.create_parameters(workflow_definition_id, parameters))

    async def run_workflow(
        self,
        workflow_definition_id: str,
        case_id: str | None = None,
        parameters_id: str | None = None,
        *,
        record_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        locale: str | None = None,
        expires_at: datetime | timedelta | None = None,
    ) -> models.StartedWorkflow:
        """Start a run, which is billed, in the way of the settings' ``api_generation``.

        :raises InvalidInput: naming an argument that cannot be right, or that the generation does not have
        """
        details = RunDetails(
            workflow_definition_id, case_id, parameters_id, record_id, parameters, locale, expires_at
        )
        return await self.start_run(details)

    async def start_run(self, details: RunDetails) -> models.StartedWorkflow:
        """Start a run as ``run_workflow`` does.

        :param details: what the run is started with
        """
        return await self.perform(endpoints.run_workflow(details, self.settings.api_generation))

    async def read_workflow(
        self, workflow_id: str, case_id: str | None = None, record_id: str | None = None
    ) -> models.Workflow:
        """Return a workflow with its status (``GET /workflows/{workflowId}``).

        :param case_id: the case that it must be of, where it is known
        :param record_id: the record that it must be about, where it is known
        """
        return await self.perform(endpoints.read_workflow(workflow_id, case_id, record_id))

    async def read_result(
        self, workflow_id: str, case_id: str | None = None, record_id: str | None = None
    ) -> models.WorkflowResult:
        """Return the result of a completed workflow (``GET /workflows/{workflowId}/result``).

        :param case_id: the case that it must be of, where it is known
        :param record_id: the record that it must be about, where it is known
        :raises WorkflowNotCompleted: with the status, if the workflow has no result yet
        """
        return await self._drive(self._exchange.result(workflow_id, case_id, record_id))

    async def _drive(self, flow: Flow[Result]) -> Result:
        reply: Reply = None
        while True:
            try:
                effect = flow.send(reply)
            except StopIteration as finished:
                result: Result = finished.value
                return result
            reply = None
            if isinstance(effect, SendRequest):
                reply = await self._send(effect)
            elif isinstance(effect, Sleep):
                await asyncio.sleep(effect.seconds)
            elif isinstance(effect, Compute):
                reply = await asyncio.to_thread(effect.function)
            else:
                await self._drive_exclusively(effect)

    async def _drive_exclusively(self, effect: Exclusive) -> None:
        async with self._tokens.loop_lock():
            await self._drive(effect.flow)

    async def _send(self, send: SendRequest) -> Response | NoResponse:
        if self._closed:
            raise RuntimeError("the client has been closed")
        session = self._http.session or await self._http.get()
        timeout = self._timeout if send.timeout == self._timeout.total else self._client_timeout(send.timeout)
        form = send.body if isinstance(send.body, FormBody) else None
        data = send.body if form is None else form.on_loop()
        async with self._http.slots:
            try:
                async with session.request(
                    send.method,
                    _url(self.settings.host + send.path),
                    headers=send.headers,
                    data=data,
                    allow_redirects=False,
                    proxy=self._http.proxy,
                    proxy_headers=self._http.proxy_headers,
                    timeout=timeout,
                ) as response:
                    headers, content = response.headers, response.content
                    if content.is_eof():
                        # All of it has come with the head, as for nearly every poll.
                        body = content.read_nowait()
                    else:
                        chunks, length = [], 0
                        async for chunk in content.iter_any():
                            chunks.append(chunk)
                            length += len(chunk)
                            if length > MAX_RESPONSE_BYTES:
                                return TOO_LONG
                        body = b"".join(chunks)
                if len(body) > MAX_RESPONSE_BYTES:
                    return TOO_LONG
                if "Content-Encoding" in headers:
                    unpacked = await self._decoded(body, headers.getall("Content-Encoding"))
                    if unpacked is None:
                        return TOO_LONG
                    body = unpacked
                return Response(response.status, headers, body)
            except NotSent as error:
                return no_response(error, arrived=False)
            except (
                Dropped,
                UnsoundResponse,
                aiohttp.ClientError,
                asyncio.TimeoutError,
                OSError,
                ValueError,
            ) as error:
                if form is not None and form.failure is not None:
                    raise form.failure from None
                return no_response(error, arrived=True)

    @staticmethod
    async def _decoded(body: bytes, codings: list[str]) -> bytes | None:
        decode = functools.partial(decoded, body, codings, max_bytes=MAX_RESPONSE_BYTES)
        has_one_coding = len(codings) == 1 and "," not in codings[0]
        if has_one_coding and len(body) <= MAX_BYTES_DECODED_ON_LOOP:
            return decode()
        return await asyncio.to_thread(decode)

    def _client_timeout(self, timeout: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=timeout, sock_connect=self.settings.connect_timeout, sock_read=self.settings.read_timeout
        )
