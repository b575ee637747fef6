"""The client for synchronous code: a short loop that carries out the flows of the one exchange, over urllib3."""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import urllib3

from airflow_provider_workflows.api import endpoints, models
from airflow_provider_workflows.api.effects import (
    Compute,
    Exclusive,
    Flow,
    Guard,
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
from airflow_provider_workflows.api.http_rules import UnsoundResponse, decoded, idle_seconds
from airflow_provider_workflows.api.network import (
    MAX_RESPONSE_BYTES,
    TOO_LONG,
    certificate_authorities,
    no_response,
    tls_context,
)
from airflow_provider_workflows.api.proxies import proxy_for
from airflow_provider_workflows.api.run_details import RunDetails
from airflow_provider_workflows.api.settings import POOL_SIZE, Settings
from airflow_provider_workflows.api.table_calls import TableCalls
from airflow_provider_workflows.api.token_store import TokenStore
from airflow_provider_workflows.api.transport import SENDING, Incomplete, Sending, pool_manager

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from typing_extensions import Self


class _Unguarded:
    """Lets all requests and pauses pass."""

    def sending(self, _: SendRequest) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class WorkflowsClient(TableCalls):
    """The Workflows API for synchronous code: one pool of connections, safe to share between threads.

    :param settings: host, credentials and bounds
    :param tokens: tokens to share with other clients of the same key
    :param clock: monotonic seconds, for the life of tokens and of connections, and the time for attempts
    :raises InvalidInput: if the environment names a proxy or a CA file that cannot be used
    """

    def __init__(
        self,
        settings: Settings,
        tokens: TokenStore | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._tokens = TokenStore() if tokens is None else tokens
        self._clock = clock
        self._exchange = Exchange(settings, tokens=self._tokens, clock=clock)
        self._guard: Guard = _Unguarded()
        self._open()

    def guarded(self, guard: Guard) -> Self:
        """Return a client whose requests go through ``guard``; it shares the connections and tokens of this one.

        :param guard: decides about each request and each pause
        """
        client = copy.copy(self)
        client._guard = guard  # noqa: SLF001  (its own class's)
        return client

    def _open(self) -> None:
        self._process_id = os.getpid()
        host = self.settings.host
        proxy, authorities = proxy_for(host), certificate_authorities(self.settings.verify)
        needs_tls = proxy is not None or host.startswith("https:")
        self._connections = pool_manager(
            proxy, tls_context(authorities) if needs_tls else None, pool_size=POOL_SIZE
        )
        #: The latest ``Keep-Alive`` header of the service, as ``idle_seconds`` takes it.
        self._keep_alive: str | None = None

    def __enter__(self) -> Self:
        """Return the client; it is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connections.clear()

    @property
    def tokens(self) -> TokenStore:
        """The tokens, which other clients of the same key may share."""
        return self._tokens

    def seconds_until_authorize(self) -> float:
        """Return the seconds until a rejected key may be sent again; 0 if none was rejected, or it may be now."""
        return self._exchange.seconds_until_authorize()

    def perform(self, endpoint: Endpoint[ResponseModel]) -> ResponseModel:
        """Call an endpoint and return its response.

        :raises WorkflowsError: of the class that says what went wrong
        """
        return self._drive(self._exchange.perform(endpoint))

    def authorize(self) -> None:
        """Obtain a token now (``POST /auth/authorize``); with an organization token nothing is sent."""
        self._drive(self._exchange.authorize())

    def create_case(self, **details: Any) -> models.Case:
        """Create a case (``POST /cases``) with the fields of ``models.CaseDetails``, all of them optional."""
        return self.perform(endpoints.create_case(details))

    def read_case(self, case_id: str) -> models.Case:
        """Return a case (``GET /cases/{caseId}``)."""
        return self.perform(endpoints.read_case(case_id))

    def create_parameters(
        self, workflow_definition_id: str, parameters: Mapping[str, Any]
    ) -> models.Parameters:
        """Create a set of parameters, JSON values by name (``POST /parameters``)."""
        return self.perform(endpoints.create_parameters(workflow_definition_id, parameters))

    def run_workflow(
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
        return self.start_run(details)

    def start_run(self, details: RunDetails) -> models.StartedWorkflow:
        """Start a run as ``run_workflow`` does.

        :param details: what the run is started with
        """
        return self.perform(endpoints.run_workflow(details, self.settings.api_generation))

    def read_workflow(
        self, workflow_id: str, case_id: str | None = None, record_id: str | None = None
    ) -> models.Workflow:
        """Return a workflow with its status (``GET /workflows/{workflowId}``).

        :param case_id: the case that it must be of, where it is known
        :param record_id: the record that it must be about, where it is known
        """
        return self.perform(endpoints.read_workflow(workflow_id, case_id, record_id))

    def read_result(
        self, workflow_id: str, case_id: str | None = None, record_id: str | None = None
    ) -> models.WorkflowResult:
        """Return the result of a completed workflow (``GET /workflows/{workflowId}/result``).

        :param case_id: the case that it must be of, where it is known
        :param record_id: the record that it must be about, where it is known
        :raises WorkflowNotCompleted: with the status, if the workflow has no result yet
        """
        return self._drive(self._exchange.result(workflow_id, case_id, record_id))

    def _drive(self, flow: Flow[Result]) -> Result:
        reply: Reply = None
        while True:
            try:
                effect = flow.send(reply)
            except StopIteration as finished:
                result: Result = finished.value
                return result
            reply = None
            if isinstance(effect, SendRequest):
                with self._guard.sending(effect):
                    reply = self._send(effect)
            elif isinstance(effect, Sleep):
                self._guard.sleep(effect.seconds)
            elif isinstance(effect, Compute):
                reply = effect.function()
            else:
                self._drive_exclusively(effect)

    def _drive_exclusively(self, effect: Exclusive) -> None:
        with self._tokens.thread_lock:
            self._drive(effect.flow)

    def _send(self, send: SendRequest) -> Response | NoResponse:
        if self._process_id != os.getpid():
            # A process that was forked must not read from its parent's connections.
            self._open()
        settings = self.settings
        SENDING.set(
            Sending(
                deadline=time.monotonic() + send.timeout,
                idle_seconds=idle_seconds(send.method, self._keep_alive),
                clock=self._clock,
            )
        )
        try:
            response = self._connections.urlopen(
                send.method,
                settings.host + send.path,
                body=send.body,
                headers=send.headers,
                timeout=urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout),
                redirect=False,
                preload_content=False,
                # It is read to its end by then.
                release_conn=True,
            )
            headers = response.headers
            self._keep_alive = headers.get("Keep-Alive")
            body = decoded(
                response.read(decode_content=False),
                headers.getlist("Content-Encoding"),
                max_bytes=MAX_RESPONSE_BYTES,
            )
            if body is None:
                return TOO_LONG
            return Response(
                response.status, {name.lower(): headers.getlist(name)[0] for name in headers}, body
            )
        except Incomplete as error:
            return error.reason
        except NotSent as error:
            return no_response(error, arrived=False)
        except urllib3.exceptions.LocationValueError as error:
            return no_response(error, arrived=False)
        except (UnsoundResponse, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return no_response(error, arrived=True)
