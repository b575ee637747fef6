"""How a sandbox is reached: the settings of a client, and an Airflow connection in its several forms."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow_provider_workflows.api.generations import DEFAULT_GENERATION, GENERATIONS
from airflow_provider_workflows.api.settings import Settings, is_loopback
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.sockets import network_location, reachable

if TYPE_CHECKING:
    from airflow_provider_workflows.api import AsyncWorkflowsClient, WorkflowsClient

CONNECTION_TYPE = "workflows"
ENVIRONMENT_VARIABLE = "AIRFLOW_CONN_WORKFLOWS_DEFAULT"
CONNECTION_IDS = {
    generation: "workflows_default"
    if generation == DEFAULT_GENERATION
    else f"workflows_generation_{generation}"
    for generation in GENERATIONS
}
"""The ids of Airflow's connections to a sandbox, by the generation of the API."""


class Connectable(ABC):
    """What says how it is reached.

    :param host: the address that it listens on
    :param port: the port that it listens on; 0 if that is not decided yet
    :param tls: whether it serves https
    """

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self._host = host
        self._port = port
        self._tls = tls

    @property
    @abstractmethod
    def key(self) -> str:
        """The API key that is accepted."""

    @property
    @abstractmethod
    def secret(self) -> str:
        """The secret of the API key."""

    @property
    @abstractmethod
    def organization_token(self) -> str:
        """The organization token that is accepted in place of key and secret."""

    @property
    @abstractmethod
    def ca_file(self) -> str | None:
        """Path of the certificate to verify with while it runs with TLS, else None."""

    @property
    def url(self) -> str:
        """Base URL, such as ``http://127.0.0.1:40123``."""
        if not self._port:
            raise RuntimeError("the sandbox has no port yet; start it first")
        return f"{'https' if self._tls else 'http'}://{network_location(self._host, self._port)}"

    @property
    def settings(self) -> Settings:
        """Settings of a client of this sandbox, with key and secret, so that its tokens expire."""
        return Settings(
            host=self.url,
            key=self.key,
            secret=self.secret,
            verify=self.ca_file or True,
            allow_http=self._needs_allow_http,
        )

    def client(self, **overrides: Any) -> WorkflowsClient:
        """Return a client of this sandbox, to be used as a context manager.

        :param overrides: fields of ``Settings``
        """
        from airflow_provider_workflows.api import WorkflowsClient  # noqa: PLC0415

        return WorkflowsClient(dataclasses.replace(self.settings, **overrides))

    def async_client(self, **overrides: Any) -> AsyncWorkflowsClient:
        """Return an async client of this sandbox, to be used as an async context manager.

        :param overrides: fields of ``Settings``
        """
        from airflow_provider_workflows.api import AsyncWorkflowsClient  # noqa: PLC0415

        return AsyncWorkflowsClient(dataclasses.replace(self.settings, **overrides))

    @property
    def connection(self) -> JsonObject:
        """The fields of an Airflow connection to this sandbox, with the organization token."""
        return self.connection_of(DEFAULT_GENERATION)

    def connection_of(self, api_generation: int) -> JsonObject:
        """Return the fields of an Airflow connection to this sandbox for one generation of the API.

        :param api_generation: number of the generation: 1, 2 or 3
        :raises ValueError: if there is no such generation
        """
        if api_generation not in GENERATIONS:
            raise ValueError(f"there is no api_generation {api_generation!r}, only 1, 2 or 3")
        extra: JsonObject = {"verify": self.ca_file} if self.ca_file else {}
        if self._needs_allow_http:
            extra["allow_http"] = True
        if api_generation != DEFAULT_GENERATION:
            extra["api_generation"] = api_generation
        return {
            "conn_type": CONNECTION_TYPE,
            # Apart from the host: Airflow's button "Test connection" works only where a port is stored.
            "host": self._url_without_port,
            "port": self._port,
            "login": None,
            "password": self.organization_token,
            "extra": extra,
        }

    @property
    def connection_with_key(self) -> JsonObject:
        """The fields of an Airflow connection to this sandbox with key and secret, which are deprecated."""
        return self.connection | {"login": self.key, "password": self.secret}

    @property
    def _url_without_port(self) -> str:
        return self.url.rpartition(":")[0]

    @property
    def connection_json(self) -> str:
        """The Airflow connection as JSON."""
        return json.dumps(self.connection)

    @property
    def connection_uri(self) -> str:
        """The Airflow connection as a URI whose host Airflow reads as the full URL."""
        host, token = (quote(value, safe="") for value in (self._url_without_port, self.organization_token))
        extra = self.connection["extra"]
        # Airflow keeps JSON types only in __extra__; it reads other parameters of the query as text.
        query = f"?{urlencode({'__extra__': json.dumps(extra)})}" if extra else ""
        return f"{CONNECTION_TYPE}://:{token}@{host}:{self._port}/{query}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that give Airflow a connection for each generation of the API.

        That of generation 1 is ``workflows_default``, those of the others ``workflows_generation_2`` and
        ``workflows_generation_3``.
        """
        return {
            f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(self.connection_of(generation))
            for generation, conn_id in CONNECTION_IDS.items()
        }

    @property
    def _needs_allow_http(self) -> bool:
        return not self._tls and not is_loopback(reachable(self._host))
