"""The hook: it makes clients of the Workflows API from an Airflow connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow.sdk import BaseHook

from airflow_provider_workflows import api, configuration
from airflow_provider_workflows.airflow_internals import supervisor
from airflow_provider_workflows.airflow_internals.exceptions import AirflowNotFoundException
from airflow_provider_workflows.airflow_internals.secrets_masker import mask, quiet_about_short_secrets
from airflow_provider_workflows.api import Settings, Statuses, errors
from airflow_provider_workflows.api.settings import DEFAULT_HOST
from airflow_provider_workflows.hooks.fields import read_extra, unknown_names, wrong_values
from airflow_provider_workflows.hooks.files import FileMethods

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Connection

    from airflow_provider_workflows.api import AsyncWorkflowsClient, WorkflowsClient
    from airflow_provider_workflows.api.token_store import TokenStore


class WorkflowsHook(FileMethods, BaseHook):
    """Makes clients for a connection of the type ``workflows``.

    :param workflows_conn_id: id of the connection
    """

    conn_name_attr = "workflows_conn_id"
    default_conn_name = "workflows_default"
    conn_type = "workflows"
    hook_name = "Workflows"

    def __init__(self, workflows_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.workflows_conn_id = workflows_conn_id

    @functools.cached_property
    def settings(self) -> Settings:
        """What the connection said when it was first asked for; raises as ``read_settings``."""
        return self.read_settings()

    def read_settings(self) -> Settings:
        """Read the connection, and return what it says now.

        :raises ConnectionNotFound: if the connection does not exist
        :raises InvalidInput: naming what is wrong with the connection
        """
        with supervisor.in_turn():
            try:
                with quiet_about_short_secrets():
                    connection = self.get_connection(self.workflows_conn_id)
            except AirflowNotFoundException:
                raise self._not_found() from None
            return self._settings(connection)

    async def aget_settings(self) -> Settings:
        """Return what the connection says, without blocking the event loop; raises as ``settings``."""
        try:
            with quiet_about_short_secrets():
                connection = await self.aget_connection(self.workflows_conn_id)
        except AirflowNotFoundException:
            if supervisor.is_asynchronous():
                raise self._not_found() from None
            return self.read_settings()
        # What is to be masked is told to the supervisor, which blocks.
        return await asyncio.to_thread(self._settings, connection)

    def get_conn(self) -> WorkflowsClient:
        """Return the client for the connection, one for all hooks of a process: one pool, one token."""
        return _shared_client(os.getpid(), self.settings)

    def reconnect(self) -> WorkflowsClient:
        """Read the connection again, and return the client for what it says now; raises as ``read_settings``."""
        self.settings = self.read_settings()
        return self.get_conn()

    async def aget_conn(self) -> AsyncWorkflowsClient:
        """Return a new asynchronous client for the connection, to be closed by the caller.

        It shares the token with the process's other clients for the connection, but no connections of theirs:
        those belong to an event loop.
        """
        settings = await self.aget_settings()
        return api.AsyncWorkflowsClient(settings, shared_tokens(settings))

    def read_link(self, workflow_id: str) -> str:
        """Ask the service for the link of a run's end user, have Airflow mask it in logs, and return it: a secret.

        :param workflow_id: id of the run
        :raises LinkMissing: if the service gives none
        """
        from airflow_provider_workflows.end_user_links import link_of_run  # noqa: PLC0415  (it imports this)

        return link_of_run(self.get_conn(), workflow_id)

    def dashboard_url(self, workflow_id: str) -> str | None:
        """Return the page of a run in the service's dashboard; None if the connection does not say where that is.

        :param workflow_id: id of the run
        """
        return self.settings.dashboard_page(workflow_id)

    def test_connection(self) -> tuple[bool, str]:
        """Authorize at the service; return whether all is well, and what is wrong and what to do about it.

        A field that this provider does not know, and a value that cannot be right, are named here, though tasks run
        with them: those log a warning.
        """
        try:
            with quiet_about_short_secrets():
                connection = self.get_connection(self.workflows_conn_id)
            extra = _extra(connection)
            if wrong := wrong_values(extra):
                return False, f"{self._subject}: {'; '.join([*wrong, *_unknown(extra)])}."
            settings = self._settings(connection)
        except AirflowNotFoundException:
            return False, str(self._not_found())
        except errors.WorkflowsError as error:
            return False, str(error)
        from airflow_provider_workflows.hooks.connection_test import result_of_test  # noqa: PLC0415  (seldom)

        return result_of_test(self._subject, settings, [*_unknown(extra), *settings.problems])

    @property
    def _subject(self) -> str:
        """The words that name the connection in messages."""
        from airflow_provider_workflows.airflow_internals.connection_test import (  # noqa: PLC0415  (seldom)
            is_temporary_name,
        )

        if is_temporary_name(self.workflows_conn_id):
            return f"The connection (which Airflow tests under the temporary name {self.workflows_conn_id})"
        return f"Connection {self.workflows_conn_id!r}"

    def _not_found(self) -> errors.ConnectionNotFound:
        return errors.ConnectionNotFound(
            f"There is no connection {self.workflows_conn_id!r}: add one of the type Workflows in Airflow "
            "(Admin, Connections) or in its secrets backend, or name another one with workflows_conn_id."
        )

    def _settings(self, connection: Connection) -> Settings:
        default_rate = configuration.requests_per_second()
        try:
            extra = _extra(connection)
            mask(extra)
            given = {"requests_per_second": default_rate, **read_extra(extra)}
            statuses = Statuses.of(given.pop("success_statuses", None), given.pop("failure_statuses", None))
            settings = Settings(
                host=_host(connection),
                key=(connection.login or "").strip(),
                secret=(connection.password or "").strip(),
                statuses=statuses,
                **given,
            )
        except ValueError as error:
            raise errors.InvalidInput(f"{self._subject}: {error}") from None
        for problem in (*_unknown(extra), *settings.problems):
            self.log.warning("%s: %s. The connection is used as it is.", self._subject, problem)
        return settings


@functools.lru_cache(maxsize=8)
def _shared_client(_process_id: int, settings: Settings) -> WorkflowsClient:
    # Keyed by the process, because a forked process must not share its parent's sockets, and by all settings, so
    # that a changed connection gets a new client.
    return api.WorkflowsClient(settings, shared_tokens(settings))


def shared_tokens(settings: Settings) -> TokenStore:
    """Return the tokens that all clients of this process share for the key in ``settings``."""
    return _tokens(os.getpid(), settings.host, settings.key, settings.secret)


@functools.lru_cache(maxsize=8)
def _tokens(*_: object) -> TokenStore:
    from airflow_provider_workflows.api.token_store import TokenStore  # noqa: PLC0415  (not while parsing)

    return TokenStore()


def _host(connection: Connection) -> str:
    """Return the base URL, from a host with or without its scheme, and a port beside it or in it."""
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_HOST
    if "://" not in host:
        scheme = connection.schema or "https"
        if scheme not in ("http", "https"):
            raise errors.InvalidInput(
                f"its schema must be http or https, not {scheme!r}; a path goes into the host"
            )
        if host.count(":") > 1 and not host.startswith("["):
            host = f"[{host}]"
        host = f"{scheme}://{host}"
    elif connection.schema:
        raise errors.InvalidInput("a path goes into the host, percent-encoded in a URI")
    parts = urlsplit(host)
    named, beside = parts.port, connection.port or None
    if None not in (named, beside) and named != beside:
        raise errors.InvalidInput(
            f"its host names the port {named}, and its port is {beside}: leave it out of the host"
        )
    port = named or beside
    # Assets and records are of a host, whether its port was entered for Airflow's sake or left out.
    is_default = port == {"https": 443, "http": 80}.get(parts.scheme)
    if port == named and not is_default:
        return host
    location = parts.netloc if named is None else parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(netloc=location if is_default else f"{location}:{port}"))


def _unknown(extra: Mapping[str, Any]) -> list[str]:
    """Return what there is to say of an extra's fields that are of no use, as a list of one or none."""
    names = unknown_names(extra)
    return [f"its extra has what this provider does not use: {', '.join(names)}"] if names else []


def _extra(connection: Connection) -> dict[str, Any]:
    """Return a connection's extra; Airflow's own property for it warns of each value that is too short to mask."""
    extra: Any = None
    with contextlib.suppress(ValueError):
        extra = json.loads(connection.extra or "{}")
    if not isinstance(extra, dict):
        raise errors.InvalidInput("its extra must be a JSON object")
    return extra
