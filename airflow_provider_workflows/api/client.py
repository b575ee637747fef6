"""The two clients: short loops that carry out the steps of the one exchange."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp
import requests
import urllib3
from requests.adapters import HTTPAdapter

from airflow_provider_workflows.api import calls, models
from airflow_provider_workflows.api.calls import AnswerModel, Call
from airflow_provider_workflows.api.exchange import Exchange
from airflow_provider_workflows.api.network import certificate_authorities, lost, proxy_for, tls_context
from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.api.tokens import TokenStore
from airflow_provider_workflows.api.wire import (
    Alone,
    Lost,
    NotSent,
    Reply,
    Response,
    Result,
    Send,
    Sleep,
    Steps,
)

if TYPE_CHECKING:
    from typing_extensions import Self

#: Connections kept for reuse, and for the asynchronous client the most that are open at once.
POOL_SIZE = 32
_CHUNK_BYTES = 65536
_TOO_SLOW = Lost("the answer took too long", arrived=True)


class WorkflowsClient:
    """The Workflows API for synchronous code: one pooled session, safe to share between threads.

    :param settings: host, credentials and bounds
    :param tokens: tokens to share with other clients of the same key
    :raises InvalidInput: for a proxy in the environment that cannot be used
    """

    def __init__(self, settings: Settings, tokens: TokenStore | None = None) -> None:
        self.settings = settings
        self._exchange = Exchange(settings, tokens=tokens)
        self._alone = threading.Lock()
        self._session = requests.Session()
        # The environment is asked once and for both clients alike, and never for a password in ~/.netrc,
        # which requests would put in the place of the token.
        self._session.trust_env = False
        self._session.verify = certificate_authorities(settings.verify)
        if proxy := proxy_for(settings.host):
            self._session.proxies = {"http": proxy, "https": proxy}
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=POOL_SIZE))

    def __enter__(self) -> Self:
        """Return the client; it is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def perform(self, call: Call[AnswerModel]) -> AnswerModel:
        """Return the answer to any call.

        :raises WorkflowsError: the one that fits
        """
        return self._drive(self._exchange.perform(call))

    def authorize(self) -> None:
        """Obtain a token now (``POST /auth/authorize``); with an organization token nothing is sent."""
        self._drive(self._exchange.authorize())

    def create_case(self, **details: Any) -> models.Case:
        """Create a case (``POST /cases``) of the fields in ``models.CaseDetails``, all optional."""
        return self.perform(calls.create_case(details))

    def read_case(self, case_id: str) -> models.Case:
        """Return a case (``GET /cases/{caseId}``)."""
        return self.perform(calls.read_case(case_id))

    def create_parameters(
        self, workflow_definition_id: str, parameters: Mapping[str, Any]
    ) -> models.Parameters:
        """Create a set of parameters, JSON values by name (``POST /parameters``)."""
        return self.perform(calls.create_parameters(workflow_definition_id, parameters))

    def run_workflow(
        self, workflow_definition_id: str, case_id: str, parameters_id: str | None = None
    ) -> models.StartedWorkflow:
        """Start a run, which is billed (``POST /workflows/run``)."""
        return self.perform(calls.run_workflow(workflow_definition_id, case_id, parameters_id))

    def read_workflow(self, workflow_id: str) -> models.Workflow:
        """Return how a workflow stands (``GET /workflows/{workflowId}``)."""
        return self.perform(calls.read_workflow(workflow_id))

    def read_result(self, workflow_id: str) -> models.WorkflowResult:
        """Return the result of a completed workflow (``GET /workflows/{workflowId}/result``).

        :raises WorkflowNotCompleted: with the status, when there is no result
        """
        return self._drive(self._exchange.result(workflow_id))

    def _drive(self, steps: Steps[Result]) -> Result:
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as finished:
                result: Result = finished.value
                return result
            reply = None
            if isinstance(step, Send):
                reply = self._send(step)
            elif isinstance(step, Sleep):
                time.sleep(step.seconds)
            else:
                self._drive_alone(step)

    def _drive_alone(self, step: Alone) -> None:
        with self._alone:
            self._drive(step.steps)

    def _send(self, send: Send) -> Response | Lost:
        settings = self.settings
        deadline = time.monotonic() + send.patience
        try:
            with self._session.request(
                send.method,
                settings.host + send.path,
                headers=dict(send.headers),
                data=send.body,
                timeout=(settings.connect_timeout, settings.read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                chunks = []
                for chunk in response.iter_content(_CHUNK_BYTES):
                    chunks.append(chunk)
                    if time.monotonic() > deadline:
                        return _TOO_SLOW
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status_code, headers, b"".join(chunks))
        except NotSent as error:
            return lost(error, arrived=False)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return lost(error, arrived=True)


class AsyncWorkflowsClient:
    """The Workflows API for asynchronous code: one pooled session, for one event loop.

    :param settings: host, credentials and bounds
    :param tokens: tokens to share with other clients of the same key
    :raises InvalidInput: for a proxy in the environment that cannot be used
    """

    def __init__(self, settings: Settings, tokens: TokenStore | None = None) -> None:
        self.settings = settings
        self._exchange = Exchange(settings, tokens=tokens)
        self._alone = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._proxy, self._proxy_headers = _proxy_and_headers(proxy_for(settings.host))
        self._authorities = certificate_authorities(settings.verify)

    async def __aenter__(self) -> Self:
        """Return the client; it is closed at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def perform(self, call: Call[AnswerModel]) -> AnswerModel:
        """Return the answer to any call.

        :raises WorkflowsError: the one that fits
        """
        return await self._drive(self._exchange.perform(call))

    async def authorize(self) -> None:
        """Obtain a token now (``POST /auth/authorize``); with an organization token nothing is sent."""
        await self._drive(self._exchange.authorize())

    async def create_case(self, **details: Any) -> models.Case:
        """Create a case (``POST /cases``) of the fields in ``models.CaseDetails``, all optional."""
        return await self.perform(calls.create_case(details))

    async def read_case(self, case_id: str) -> models.Case:
        """Return a case (``GET /cases/{caseId}``)."""
        return await self.perform(calls.read_case(case_id))

    async def create_parameters(
        self, workflow_definition_id: str, parameters: Mapping[str, Any]
    ) -> models.Parameters:
        """Create a set of parameters, JSON values by name (``POST /parameters``)."""
        return await self.perform(calls.create_parameters(workflow_definition_id, parameters))

    async def run_workflow(
        self, workflow_definition_id: str, case_id: str, parameters_id: str | None = None
    ) -> models.StartedWorkflow:
        """Start a run, which is billed (``POST /workflows/run``)."""
        return await self.perform(calls.run_workflow(workflow_definition_id, case_id, parameters_id))

    async def read_workflow(self, workflow_id: str) -> models.Workflow:
        """Return how a workflow stands (``GET /workflows/{workflowId}``)."""
        return await self.perform(calls.read_workflow(workflow_id))

    async def read_result(self, workflow_id: str) -> models.WorkflowResult:
        """Return the result of a completed workflow (``GET /workflows/{workflowId}/result``).

        :raises WorkflowNotCompleted: with the status, when there is no result
        """
        return await self._drive(self._exchange.result(workflow_id))

    async def _drive(self, steps: Steps[Result]) -> Result:
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as finished:
                result: Result = finished.value
                return result
            reply = None
            if isinstance(step, Send):
                reply = await self._send(step)
            elif isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
            else:
                await self._drive_alone(step)

    async def _drive_alone(self, step: Alone) -> None:
        async with self._alone:
            await self._drive(step.steps)

    async def _send(self, send: Send) -> Response | Lost:
        session = self._session or await self._open()
        deadline = time.monotonic() + send.patience
        try:
            async with session.request(
                send.method,
                self.settings.host + send.path,
                headers=send.headers,
                data=send.body,
                allow_redirects=False,
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
            ) as response:
                chunks = []
                async for chunk in response.content.iter_any():
                    chunks.append(chunk)
                    if time.monotonic() > deadline:
                        return _TOO_SLOW
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status, headers, b"".join(chunks))
        except NotSent as error:
            return lost(error, arrived=False)
        except (_Dropped, aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            return lost(error, arrived=True)

    async def _open(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                # Reading the CA file takes tens of milliseconds, which no event loop should wait for.
                context = await asyncio.to_thread(tls_context, self._authorities)
                settings = self.settings
                self._session = aiohttp.ClientSession(
                    connector=_Connector(limit=POOL_SIZE, ssl=context),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=settings.connect_timeout, sock_read=settings.read_timeout
                    ),
                    middlewares=(_sent_once,),
                )
            return self._session


class _Adapter(HTTPAdapter):
    """Tells a request that surely was not sent from one that may have been."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _HttpConnection(urllib3.connection.HTTPConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except Exception as error:
            raise NotSent from error


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _Connector(aiohttp.TCPConnector):
    """Tells a request that surely was not sent from one that may have been."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().connect(*args, **kwargs)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise NotSent from error


class _Dropped(Exception):
    """The connection broke after the request was sent, or while it was."""


async def _sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # aiohttp sends an idempotent request a second time on its own when a kept connection breaks. What is
    # repeated, and how often, is the exchange's decision: the exceptions that it acts on must not reach it.
    try:
        return await handler(request)
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        _raise_dropped(error)


def _raise_dropped(error: Exception) -> NoReturn:
    raise _Dropped from error


def _proxy_and_headers(proxy: str | None) -> tuple[str | None, dict[str, str] | None]:
    """Return the proxy without its user, and the header that names the user."""
    if proxy is None:
        return None, None
    parts = urlsplit(proxy)
    user, at, address = parts.netloc.rpartition("@")
    if not at:
        return proxy, None
    name, _, password = user.partition(":")
    credentials = aiohttp.encode_basic_auth(unquote(name), unquote(password))
    return urlunsplit(parts._replace(netloc=address)), {"Proxy-Authorization": credentials}
