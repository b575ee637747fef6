"""An object store of the tests: Airflow's connection to it, and objects without Airflow and fsspec."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from aiohttp import web

from tests.harness.stores.gateway import Gateway

CONNECTION_ID = "store"
CONNECTION_VARIABLE = "AIRFLOW_CONN_STORE"


class Store(ABC):
    """An object store with its emulator, which runs already.

    :param emulator: URL of the emulator
    """

    #: How its URIs begin, and what it is called.
    scheme: str
    name: str
    #: Of each request that goes to the emulator by itself.
    headers: ClassVar[dict[str, str]] = {}
    takes_halves = True

    def __init__(self, emulator: str) -> None:
        self.emulator = emulator
        self.gateway = Gateway(
            emulator,
            key_of=self.key_of,
            refuse=self.refused,
            takes_halves=self.takes_halves,
            respond=self.respond,
        )

    def uri(self, bucket: str, name: str = "") -> str:
        """Return the URI of an object, or of its bucket, by way of the connection."""
        return f"{self.scheme}://{CONNECTION_ID}@{bucket}" + (f"/{name}" if name else "")

    def new_bucket(self) -> str:
        """Make a bucket, and return its name."""
        name = f"bucket-{secrets.token_hex(4)}"
        self.make_bucket(name)
        return name

    def connection(self, key: str) -> str:
        """Return Airflow's connection to the store, by way of the gateway, as JSON.

        :param key: which the store knows the client by
        """
        return json.dumps(self.connection_fields(key))

    def get(self, bucket: str, name: str) -> bytes | None:
        """Return what an object holds, as another process sees it; None if it is missing."""
        try:
            return send("GET", self.object_url(bucket, name), headers=self.headers)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    @abstractmethod
    def put(self, bucket: str, name: str, content: bytes) -> None:
        """Write an object, as another process does."""

    @abstractmethod
    def make_bucket(self, name: str) -> None:
        """Make a bucket."""

    @abstractmethod
    def object_url(self, bucket: str, name: str) -> str:
        """Return the URL of what an object holds, at the emulator itself."""

    @abstractmethod
    def connection_fields(self, key: str) -> dict[str, Any]:
        """Return Airflow's connection to the store, by way of the gateway."""

    @abstractmethod
    def key_of(self, request: web.Request) -> str | None:
        """Return the key that a request was made with."""

    @abstractmethod
    def refused(self, request: web.Request) -> web.Response:
        """Return the response to a request whose key is not valid."""

    def respond(self, _gateway: Gateway, _request: web.Request, _body: bytes) -> web.Response | None:
        """Return the response to a request that is not the emulator's."""
        return None


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """Send a request, and return the body of its response.

    :raises urllib.error.HTTPError: if it is refused
    """
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    with urllib.request.urlopen(request, timeout=30) as response:
        return bytes(response.read())
