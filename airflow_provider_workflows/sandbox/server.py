"""The sandbox as an object: start it, control it, read its counts, stop it."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.settings import is_loopback
from airflow_provider_workflows.sandbox.application import Api
from airflow_provider_workflows.sandbox.connections import ENVIRONMENT_VARIABLE, Connectable
from airflow_provider_workflows.sandbox.counts import Counts, SeenRequest
from airflow_provider_workflows.sandbox.definitions import Definition
from airflow_provider_workflows.sandbox.fault_schedule import Faults
from airflow_provider_workflows.sandbox.faults import Fault
from airflow_provider_workflows.sandbox.received_files import MAX_FILE_BYTES, ReceivedFile, ReceivedFiles
from airflow_provider_workflows.sandbox.service import Service
from airflow_provider_workflows.sandbox.sockets import (
    Certificate,
    ServerThread,
    listen,
)
from airflow_provider_workflows.sandbox.tables import Table
from airflow_provider_workflows.sandbox.tokens import ALL_SCOPES, Scope, Tokens
from airflow_provider_workflows.sandbox.webhooks import Webhooks
from airflow_provider_workflows.sandbox.workflows import Workflow

if TYPE_CHECKING:
    from typing_extensions import Self

KEY = "sandbox-key"
SECRET = "sandbox-secret-that-opens-nothing-else"  # noqa: S105  (public, and worth nothing elsewhere)
ORGANIZATION_TOKEN = "tot_sandbox-organization-token"  # noqa: S105  (likewise)

__all__ = ["ENVIRONMENT_VARIABLE", "ORGANIZATION_TOKEN", "Sandbox"]


class Sandbox(Connectable):
    """The Workflows API on a free port of this machine, as a sync or async context manager.

    It runs on a thread of its own. Cases, runs, faults and counts stay in memory as long as the object does:
    it can be stopped and started again, on the same port, as a service that had an outage.

    :param host: address to listen on
    :param port: port to listen on; 0 for a free one
    :param tls: serve https with a self-signed certificate, which is in ``ca_file``
    :param token_seconds: life of access tokens, in seconds
    :param seed: of the random numbers behind ``fault(share=...)`` and ``define(seconds=(low, high))``
    :param allow_remote: permit a ``host`` that other machines can reach
    :param webhook_url: where to send webhooks, see ``webhooks``; None for nowhere
    :param max_file_bytes: the largest resource or attachment that is accepted, in bytes
    :param clock: returns the monotonic seconds by which runs end and tokens expire, so that a test need not
        wait for them. Webhooks, pauses and delays take real time.
    :raises ValueError: saying which setting is wrong and why
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        token_seconds: float = 3600.0,
        seed: int = 0,
        allow_remote: bool = False,
        webhook_url: str | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (is_loopback(host) or allow_remote):
            raise ValueError(
                f"{host} can be reached from elsewhere; set allow_remote (--allow-remote) to permit that"
            )
        super().__init__(host, port, tls=tls)
        self.counts = Counts()
        self._tokens = Tokens(KEY, SECRET, ORGANIZATION_TOKEN, 0.0, clock)
        self.token_seconds = token_seconds
        #: Where webhooks go, and what goes wrong with them: ``send_to``, ``fault``, ``rotate_key``, ``pending``.
        self.webhooks = Webhooks(self.counts, seed, webhook_url, clock)
        self._files = ReceivedFiles(max_file_bytes)
        # Bound to this object: aiohttp's cache of middlewares keeps the service for as long as the process lives.
        weakref.finalize(self, self._files.remove)
        self._service = Service(
            self._tokens, self.webhooks, self._files, counts=self.counts, seed=seed, clock=clock
        )
        self._faults = Faults(seed)
        self._certificate: Certificate | None = None
        self._thread: ServerThread | None = None

    def start(self) -> None:
        """Return once requests are served.

        :raises OSError: if the port is taken
        :raises RuntimeError: if the sandbox has been started already
        """
        if self._thread is not None:
            raise RuntimeError(f"the sandbox has been started already, on {self.url}")
        listener = listen(self._host, self._port)
        try:
            if self._tls:
                self._certificate = Certificate(self._host)
            application = Api(self._service, self._faults, self.counts).application()
            context = self._certificate.context if self._certificate else None
            thread = ServerThread(application, listener, context)
            thread.start()
        except BaseException:
            listener.close()
            self._remove_certificate()
            raise
        self._port = listener.getsockname()[1]
        self._thread = thread

    def stop(self) -> None:
        """Close all connections and end; do nothing if the sandbox is not running."""
        thread, self._thread = self._thread, None
        try:
            if thread is not None:
                thread.stop()
        finally:
            self._remove_certificate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def key(self) -> str:
        """The API key that is accepted."""
        return self._tokens.key

    @property
    def secret(self) -> str:
        """The secret of the API key."""
        return self._tokens.secret

    @property
    def organization_token(self) -> str:
        """The organization token that is accepted in place of key and secret."""
        return self._tokens.organization_token

    @property
    def ca_file(self) -> str | None:
        """Path of the certificate to verify with while the sandbox runs with TLS, else None."""
        return str(self._certificate.ca_file) if self._certificate else None

    @property
    def token_seconds(self) -> float:
        """Life of the access tokens to come, in seconds; may be set at any time."""
        return self._tokens.token_seconds

    @token_seconds.setter
    def token_seconds(self, seconds: float) -> None:
        if not 0 < seconds < float("inf"):
            raise ValueError("token_seconds must be a number of seconds above 0")
        self._tokens.token_seconds = seconds

    def expire_tokens(self, *, refresh: bool = False) -> None:
        """End all access tokens now, and with ``refresh`` the refresh tokens too."""
        self._tokens.expire(refresh=refresh)

    def rotate_secret(self) -> str:
        """Replace the API key's secret, end all tokens, and return the new secret.

        ``connection_with_key`` has it from then on.
        """
        return self._tokens.rotate_secret()

    def issue_organization_token(self, *scopes: Scope) -> str:
        """Return a further organization token, which has these scopes and no others.

        :raises ValueError: if there is no such scope
        """
        unknown = set(scopes) - ALL_SCOPES
        if unknown:
            raise ValueError(
                f"unknown scopes: {', '.join(sorted(unknown))}; there are {', '.join(sorted(ALL_SCOPES))}"
            )
        return self._tokens.issue_organization_token(scopes)

    def rotate_organization_token(self) -> str:
        """End the organization token and return a new one, which ``connection`` has from then on."""
        return self._tokens.rotate_organization_token()

    def expire_runs(self, workflow_id: str | None = None) -> list[str]:
        """Let running workflows of generation 3 expire now, whatever ``expiresAt`` says, and return their ids.

        :param workflow_id: the one to expire; None for all
        :raises RuntimeError: if the sandbox is not running
        :raises Refusal: if there is no such workflow
        """
        if self._thread is None:
            raise RuntimeError("the sandbox is not running; start it first")
        return self._thread.call(lambda: self._service.expire(workflow_id))

    @property
    def definitions(self) -> list[Definition]:
        """The workflow definitions, the ready ones first."""
        return list(self._service.definitions.copy().values())

    def define(self, id: str | None = None, **fields: Any) -> str:  # noqa: A002  (the API's own word)
        """Add a workflow definition, or replace the one with this id for the runs to come.

        :param id: its id; by default a new one
        :param fields: further fields of ``Definition``: ``seconds``, ``status``, ``result``, ``may_run``,
            ``needs_parameters``, ``summary``, ``name``, ``involves_end_user``, ``revision``, ``results``
        :returns: its id
        :raises ValueError: saying which field is wrong and why
        """
        definition = Definition.of(**fields, **({} if id is None else {"id": id}))
        self._service.define(definition)
        return definition.id

    @property
    def tables(self) -> list[Table]:
        """The tables, the ready ones first."""
        return list(self._service.tables.tables.copy().values())

    def define_table(self, id: str | None = None, **fields: Any) -> str:  # noqa: A002  (the API's own word)
        """Add a table, or replace the one with this id for the records to come.

        :param id: its id; by default a new one
        :param fields: further fields of ``Table``: ``fields`` (types by name), ``options``, ``summary``
        :returns: its id
        :raises ValueError: saying which field is wrong and why
        """
        table = Table.of(**fields, **({} if id is None else {"id": id}))
        self._service.tables.tables[table.id] = table
        return table.id

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of all tables as the API gives them, the ready one first."""
        return self._service.tables.records

    @property
    def files(self) -> list[ReceivedFile]:
        """The files that were uploaded, as resources and attachments, oldest first."""
        return list(self._files.received)

    def fault(self, name: str, **fields: Any) -> Fault:
        """Add a fault for the requests from now on.

        :param name: one of ``faults.KINDS``
        :param fields: further fields of ``Fault``: ``path``, ``method``, ``times``, ``share``, and those of
            its name
        :raises ValueError: saying what is wrong with the name, a field or their combination
        """
        fault = Fault.of(name=name, **fields)
        self._faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Clear all faults, those of webhooks too."""
        self._faults.clear()
        self.webhooks.faults.clear()

    def sign(self, body: bytes) -> str:
        """Return the header ``JWS-SIGNATURE`` of a webhook with this body, as the service makes it."""
        return self.webhooks.keys.sign(body)

    @property
    def workflows(self) -> list[Workflow]:
        """The workflows that were started, oldest first."""
        return list(self._service.workflows.copy().values())

    @property
    def requests_seen(self) -> list[SeenRequest]:
        """The last requests, 10,000 at most, oldest first."""
        return self.counts.seen

    def _remove_certificate(self) -> None:
        certificate, self._certificate = self._certificate, None
        if certificate is not None:
            certificate.remove()
