"""A client that speaks plain HTTP to a sandbox, and a server that takes its webhooks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from aiohttp import web

from airflow_provider_workflows.api.webhook_signature import key_id, public_key, verify
from airflow_provider_workflows.sandbox import DEFINITION, Sandbox
from airflow_provider_workflows.sandbox.service import READY_CASES

CASE = next(iter(READY_CASES))
#: Far beyond what anything takes on a busy machine: reached only if it never happens.
LIMIT_SECONDS = 60.0


class Caller:
    """Send requests to a sandbox over its socket, with the organization token unless ``token`` is changed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.token = sandbox.organization_token
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = sandbox.ca_file or True

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        options.setdefault("headers", {"Authorization": self.token} if self.token else {})
        return self.session.request(
            method,
            self.sandbox.url + path,
            json=json,
            allow_redirects=False,
            timeout=LIMIT_SECONDS,
            **options,
        )

    def authorize(self) -> dict[str, Any]:
        """Obtain tokens and use the access token from now on."""
        credentials = {"key": self.sandbox.key, "secret": self.sandbox.secret}
        tokens: dict[str, Any] = self("POST", "/auth/authorize", credentials).json()
        self.token = f"Bearer {tokens['accessToken']}"
        return tokens

    def case(self, **details: Any) -> str:
        """Create a case and return its id."""
        return str(self("POST", "/cases", details).json()["caseId"])

    def run(self, definition: str = DEFINITION, **fields: Any) -> str:
        """Run a workflow for a new case and return its id."""
        body = {"caseId": self.case(), "workflowDefinitionId": definition, **fields}
        return str(self("POST", "/workflows/run", body).json()["id"])


@pytest.fixture
def call(sandbox: Sandbox) -> Iterator[Caller]:
    caller = Caller(sandbox)
    yield caller
    caller.session.close()


def error_code(response: requests.Response) -> str:
    """Return the code of a refusal, having checked the form of its body."""
    body = response.json()
    assert body["fingerprint"]
    (error,) = body["errors"]
    assert error["message"]
    return str(error["code"])


class Clock:
    """Monotonic seconds that pass only when a test adds to ``now``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Delivered:
    """A webhook that was delivered, and when, in monotonic seconds."""

    raw: bytes
    signature: str | None
    content_type: str
    at: float

    @property
    def workflow(self) -> str:
        return str(json.loads(self.raw)["workflowId"])


class Destination:
    """Take webhooks on a socket.

    It responds with ``statuses`` in turn, then with 204; each response once ``release`` is set.
    """

    def __init__(self) -> None:
        self.delivered: list[Delivered] = []
        self.statuses: list[int] = []
        self.release = asyncio.Event()
        self.release.set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        signature = request.headers.get("JWS-SIGNATURE")
        self.delivered.append(Delivered(raw, signature, request.headers["Content-Type"], time.monotonic()))
        await self.release.wait()
        # All would be well where a redirect leads.
        headers = {"Location": self.url}
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204, headers=headers)

    async def get(self, number: int) -> list[Delivered]:
        """Return what was delivered, once that is ``number`` webhooks."""
        await until(lambda: len(self.delivered) >= number)
        return self.delivered


async def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in {LIMIT_SECONDS:g} seconds"
        await asyncio.sleep(0.005)


async def until_none_is_pending(sandbox: Sandbox) -> None:
    """Return once no more webhooks of the workflows that were run can be sent."""
    await until(lambda: sandbox.webhooks.pending == 0)


@pytest.fixture
async def destination() -> AsyncIterator[Destination]:
    destination = Destination()
    application = web.Application()
    application.router.add_post("/hook", destination.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    destination.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield destination
    await runner.cleanup()


@pytest.fixture
async def sending(destination: Destination) -> AsyncIterator[Sandbox]:
    """A running sandbox that sends its webhooks to the destination."""
    async with Sandbox(webhook_url=destination.url) as running:
        yield running


async def run(sandbox: Sandbox, number: int = 1, **definition: Any) -> list[str]:
    """Run ``number`` workflows, one after the other; by default they end at once."""
    defined = sandbox.define(**{"seconds": 0.0, **definition})
    async with sandbox.async_client() as client:
        return [(await client.run_workflow(defined, CASE)).id for _ in range(number)]


async def read_key(sandbox: Sandbox, kid: str, pem: str = "true") -> requests.Response:
    """Request the public key of an id without a token."""
    caller = Caller(sandbox)
    caller.token = ""
    with caller.session:
        return await asyncio.to_thread(caller, "GET", f"/auth/webhooks/key/{kid}?pem={pem}")


async def accept(sandbox: Sandbox, delivered: Delivered) -> str:
    """Verify a webhook with the key that the sandbox serves, and return the key's id."""
    signature = delivered.signature or ""
    kid = key_id(signature)
    verify(signature, delivered.raw, public_key((await read_key(sandbox, kid)).text))
    return kid
