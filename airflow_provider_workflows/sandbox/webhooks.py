"""Webhooks as the service sends them: at the end of a workflow, signed, repeated while they are refused."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import yarl
from aiohttp import web
from pydantic import model_validator

from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.fault_schedule import WebhookFaults
from airflow_provider_workflows.sandbox.faults import Seconds, WebhookFault
from airflow_provider_workflows.sandbox.request_parsing import ControlBody
from airflow_provider_workflows.sandbox.responses import JsonObject
from airflow_provider_workflows.sandbox.signing import SigningKeys

#: How often a webhook is sent before it is given up.
MAX_DELIVERIES = 5
MAX_CONCURRENT_DELIVERIES = 500
#: Shorter than servers commonly keep an idle connection, so that none breaks during a delivery.
KEEPALIVE_SECONDS = 2.0

log = logging.getLogger(__name__)


class Destination(ControlBody):
    """Where webhooks go, and in what form.

    :param url: where they are sent; None for nowhere
    :param nested: whether the fields are one level down, under ``data``
    :param identifier: the name of the field that holds the workflow's id
    :param pause_seconds: pause before a delivery is repeated, in seconds
    :param timeout_seconds: how long one delivery may take, in seconds
    """

    url: str | None = None
    nested: bool = False
    identifier: Literal["workflowId", "id"] = "workflowId"
    pause_seconds: Seconds = 5.0
    timeout_seconds: Seconds = 10.0

    @model_validator(mode="after")
    def _check_url(self) -> Destination:
        if self.url is None:
            return self
        try:
            url = yarl.URL(self.url)
        except ValueError:
            url = yarl.URL()
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("the URL of webhooks must begin with http:// or https:// and name a host")
        return self

    def body(self, workflow_id: str, case_id: str | None, status: str, name: str) -> bytes:
        """Return the body of a webhook, without a ``caseId`` if the workflow has no case."""
        case = {} if case_id is None else {"caseId": case_id}
        fields: JsonObject = {self.identifier: workflow_id, **case, "status": status, "name": name}
        return json.dumps({"data": fields} if self.nested else fields, separators=(",", ":")).encode()


@dataclass(eq=False, slots=True)
class _Webhook:
    workflow_id: str
    case_id: str | None
    status: str
    name: str
    due: float
    copies: int
    reordered: bool
    forgery: str | None


class Webhooks:
    """Send webhooks while the sandbox runs. When it stops, those that remain wait for its next start.

    :param counts: where deliveries are counted
    :param seed: of the random numbers behind ``fault(share=...)``
    :param url: where to send them; None for nowhere
    :param clock: returns monotonic seconds
    :raises ValueError: if ``url`` is not an http or https URL with a host
    """

    def __init__(self, counts: Counts, seed: int, url: str | None, clock: Callable[[], float]) -> None:
        self.keys: SigningKeys = SigningKeys()
        self.faults = WebhookFaults(seed)
        self.destination = Destination.of(url=url)
        self._counts = counts
        self._clock = clock
        self._pending: dict[_Webhook, asyncio.TimerHandle] = {}
        self._webhooks: dict[str, _Webhook] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting_for_next: _Webhook | None = None
        self._loop: asyncio.AbstractEventLoop
        self._session: aiohttp.ClientSession
        self._slots: asyncio.Semaphore

    def send_to(self, url: str | None, **fields: Any) -> Destination:
        """Send a webhook at the end of each workflow that is run from now on.

        :param url: where to send them; None for nowhere
        :param fields: further fields of ``Destination``: ``nested``, ``identifier``, ``pause_seconds``,
            ``timeout_seconds``
        :raises ValueError: saying which field is wrong and why
        """
        self.destination = Destination.of(url=url, **fields)
        return self.destination

    def fault(self, name: str, **fields: Any) -> WebhookFault:
        """Add a fault for the webhooks of the workflows that are run from now on.

        :param name: one of ``faults.WEBHOOK_KINDS``
        :param fields: further fields of ``WebhookFault``: ``times``, ``share``, and those of its name
        :raises ValueError: saying what is wrong with the name, a field or their combination
        """
        fault = WebhookFault.of(name=name, **fields)
        self.faults.add(fault)
        return fault

    def rotate_key(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on, and return its id.

        :param keep_old: whether earlier keys can still be read
        """
        return self.keys.rotate(keep_old=keep_old)

    @property
    def pending(self) -> int:
        """Number of webhooks that are still to be sent, or are being delivered."""
        return len(self._pending)

    def workflow_started(
        self, workflow_id: str, case_id: str | None, *, name: str, status: str, ends_at: float
    ) -> None:
        """Send the workflow's webhook when it ends. To be called in the sandbox's own thread.

        :param case_id: its case's id, if it has one
        :param name: the workflow's reference name
        :param status: the status that it ends in
        :param ends_at: when it ends, in monotonic seconds
        """
        if self.destination.url is None:
            return
        faults = self.faults.draw()
        if "sending" in faults:
            return
        moment, number, forgery = (faults.get(aspect) for aspect in ("moment", "number", "signature"))
        webhook = _Webhook(
            workflow_id,
            case_id,
            status,
            name,
            due=_due(moment, ends_at),
            copies=number.copies if number else 1,
            reordered=moment is not None and moment.name == "reordered",
            forgery=forgery.name if forgery else None,
        )
        self._webhooks[workflow_id] = webhook
        self._schedule(webhook)

    def end_changed(self, workflow_id: str, *, status: str, ends_at: float) -> None:
        """Send the workflow's webhook, if it is still to be sent, when the workflow ends by what is decided now.

        To be called in the sandbox's own thread.

        :param status: the status that it ends in
        :param ends_at: when it ends, in monotonic seconds
        """
        webhook = self._webhooks.get(workflow_id)
        if webhook is None or self._pending[webhook].when() <= self._loop.time():
            return
        self._pending[webhook].cancel()
        webhook.status, webhook.due = status, ends_at
        self._schedule(webhook)

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Send while the application runs, as one of its cleanup contexts."""
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_DELIVERIES)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._session:
            for webhook in self._pending:
                self._schedule(webhook)
            yield
            for timer in self._pending.values():
                timer.cancel()
            self._waiting_for_next = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _schedule(self, webhook: _Webhook) -> None:
        # One timer each in the loop's own heap: thousands of them cost neither a thread nor a task.
        delay = max(0.0, webhook.due - self._clock())
        self._pending[webhook] = self._loop.call_later(delay, self._start, webhook)

    def _start(self, webhook: _Webhook) -> None:
        if webhook.reordered and self._waiting_for_next is None:
            self._waiting_for_next = webhook
            # It is sent after a pause all the same, for there may be none after it.
            pause = self.destination.pause_seconds
            self._pending[webhook] = self._loop.call_later(pause, self._start, webhook)
            return
        overtaken, self._waiting_for_next = self._waiting_for_next, None
        if overtaken is webhook:
            overtaken = None
        elif overtaken is not None:
            self._pending[overtaken].cancel()
        self._spawn(webhook, overtaken)

    def _spawn(self, webhook: _Webhook, overtaken: _Webhook | None) -> None:
        task = self._loop.create_task(self._deliver(webhook, overtaken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, webhook: _Webhook, overtaken: _Webhook | None) -> None:
        body = self.destination.body(webhook.workflow_id, webhook.case_id, webhook.status, webhook.name)
        # In a thread, for the first signature makes the key, which takes a while.
        headers = await asyncio.to_thread(self._headers, webhook.forgery, body)

        async def send() -> bool:
            return await self._send(webhook.workflow_id, body, headers)

        delivered = await asyncio.gather(*(send() for _ in range(webhook.copies)))
        if overtaken is not None:
            self._spawn(overtaken, None)
        await asyncio.gather(*(self._repeat(send) for done in delivered if not done))
        del self._pending[webhook], self._webhooks[webhook.workflow_id]

    def _headers(self, forgery: str | None, body: bytes) -> dict[str, str]:
        from airflow_provider_workflows.api.webhook_signature import HEADER  # noqa: PLC0415

        signature = self.keys.sign(body) if forgery is None else self.keys.forge(forgery, body)
        return {"Content-Type": "application/json"} | ({} if signature is None else {HEADER: signature})

    async def _repeat(self, send: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(MAX_DELIVERIES - 1):
            await asyncio.sleep(self.destination.pause_seconds)
            if await send():
                return

    async def _send(self, workflow_id: str, body: bytes, headers: dict[str, str]) -> bool:
        async with self._slots:
            destination = self.destination
            if destination.url is None:
                return True
            self._counts.delivery_began(workflow_id)
            status = await self._post(destination, body, headers)
        self._counts.delivery_ended(workflow_id, status)
        log.debug("webhook of workflow %s: %s", workflow_id, status or "no response")
        return status is not None and 200 <= status < 300

    async def _post(self, destination: Destination, body: bytes, headers: dict[str, str]) -> int | None:
        timeout = aiohttp.ClientTimeout(total=destination.timeout_seconds)
        try:
            async with self._session.post(
                str(destination.url), data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError):
            return None


def _due(moment: WebhookFault | None, ends_at: float) -> float:
    if moment is None or moment.name == "reordered":
        return ends_at
    if moment.name == "late":
        return ends_at + (moment.seconds or 0.0)
    return 0.0 if moment.seconds is None else ends_at - moment.seconds
