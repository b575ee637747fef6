"""An empty database of Redis for Celery: on a server that runs already, or on one of the stack's own."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import redis

from tests.harness.process import Process
from tests.harness.servers import HOST, temporary_folder, wait_for_response
from tests.harness.stack.errors import StackUnavailable
from tests.harness.stack.programs import require_program

URL_VARIABLE = "STACK_REDIS_URL"
USUAL_URL = f"redis://{HOST}:6379"
CONNECT_SECONDS = 3.0
DATABASES = 16
"""The number that a server has unless it is configured otherwise."""

_CLAIM = "stack"


@contextlib.contextmanager
def empty_broker(port: int) -> Iterator[str]:
    """Provide the URL of an empty database of Redis, and empty it afterwards.

    It is on the server that ``STACK_REDIS_URL`` names (which of its databases is chosen here), else on one
    that runs on this machine and lets us in, else on a server of our own, if its program is installed.

    :param port: port of a server of our own
    :raises StackUnavailable: if there is no server and none is installed
    :raises AirflowFailed: when our own server does not start, with the end of its log
    """
    named = os.environ.get(URL_VARIABLE)
    if named or _responds(USUAL_URL):
        with _database_on(named or USUAL_URL) as url:
            yield url
    else:
        with _own_server(port) as url:
            yield url


def _responds(url: str) -> bool:
    try:
        with _client(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS)


@contextlib.contextmanager
def _database_on(server: str) -> Iterator[str]:
    url = _claimed(server)
    try:
        yield url
    finally:
        with _client(url) as client:
            client.flushdb()


def _claimed(server: str) -> str:
    """Return the URL of a database of the server that was empty, and is no longer so for others."""
    root = urlsplit(server)._replace(path="").geturl()
    try:
        # The last one first, for people begin at 0.
        for candidate in (f"{root}/{number}" for number in reversed(range(DATABASES))):
            with _client(candidate) as client:
                if client.dbsize() == 0 and client.set(_CLAIM, os.getpid(), nx=True):
                    return candidate
    except redis.RedisError as error:
        raise StackUnavailable(f"Redis at {urlsplit(server).hostname} cannot be used: {error}") from None
    raise StackUnavailable(f"Redis at {urlsplit(server).hostname} has no empty database")


@contextlib.contextmanager
def _own_server(port: int) -> Iterator[str]:
    program = require_program(("redis-server", "valkey-server"), "Redis", "redis-server")
    password = secrets.token_hex(16)
    with temporary_folder("redis-") as folder:
        settings, log = folder / "redis.conf", folder / "log"
        # In a file, because everybody sees the arguments of a process.
        lines = (
            f"bind {HOST}",
            f"port {port}",
            f"dir {folder}",
            f"requirepass {password}",
            'save ""',
            "appendonly no",
        )
        settings.write_text("".join(f"{line}\n" for line in lines))
        url = f"redis://:{password}@{HOST}:{port}/0"
        with Process([str(program), str(settings)], os.environ, log) as process:
            wait_for_response("Redis", process, lambda: _responds(url), log)
            yield url
