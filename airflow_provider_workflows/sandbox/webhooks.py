"""Webhooks as the service sends them: at the end of a workflow, signed, and tried again when refused."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from airflow_provider_workflows.sandbox.counts import Counts
from airflow_provider_workflows.sandbox.signing import Keys
from airflow_provider_workflows.sandbox.webhook_faults import Destination, WebhookFault, WebhookFaults

TRIES = 5
SENT_AT_ONCE = 500
#: Shorter than receivers commonly keep an idle connection, so that none breaks under a delivery.
KEEPALIVE_SECONDS = 2.0

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Webhook:
    workflow_id: str
    case_id: str
    status: str
    name: str
    due: float
    copies: int
    reordered: bool
    forgery: str | None


class Webhooks:
    """Sends webhooks while its sandbox runs; what was not delivered when that stops waits for its next start.

    :param counts: where deliveries are counted
    :param seed: of the random numbers behind ``fault(share=...)``
    :param url: where to send them; None for nowhere
    :raises ValueError: when the URL cannot be right
    """

    def __init__(self, counts: Counts, seed: int, url: str | None) -> None:
        self.keys = Keys()
        self.faults = WebhookFaults(seed)
        self.destination = Destination.of(url=url)
        self._counts = counts
        self._pending: dict[_Webhook, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: _Webhook | None = None
        self._loop: asyncio.AbstractEventLoop
        self._session: aiohttp.ClientSession
        self._slots: asyncio.Semaphore

    def send_to(self, url: str | None, **fields: Any) -> Destination:
        """Send a webhook at the end of each workflow that is run from now on.

        :param url: where to send them; None for nowhere
        :param fields: further fields of ``Destination``: ``nested``, ``identifier``, ``pause_seconds``,
            ``timeout_seconds``
        :raises ValueError: saying what is wrong with a field
        """
        self.destination = Destination.of(url=url, **fields)
        return self.destination

    def fault(self, name: str, **fields: Any) -> WebhookFault:
        """Make something go wrong with the webhooks of the workflows that are run from now on.

        :param name: one of ``WEBHOOK_KINDS``
        :param fields: further fields of ``WebhookFault``: ``times``, ``share``, and those of its name
        :raises ValueError: saying what is wrong with the name, a field or their combination
        """
        fault = WebhookFault.of(name=name, **fields)
        self.faults.add(fault)
        return fault

    def rotate_key(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on, and return its id.

        :param keep_old: whether the keys before it can still be read
        """
        return self.keys.rotate(keep_old=keep_old)

    def workflow_started(
        self, workflow_id: str, case_id: str, *, name: str, status: str, ends_at: float
    ) -> None:
        """Send its webhook when the workflow ends. To be called in the sandbox's own thread.

        :param name: the workflow's reference name
        :param status: the status that it ends in
        :param ends_at: when it ends, in monotonic seconds
        """
        if self.destination.url is None:
            return
        faults = self.faults.draw_for()
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
        self._schedule(webhook)

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        """Send while the application runs, as one of its cleanup contexts."""
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(SENT_AT_ONCE)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._session:
            for webhook in self._pending:
                self._schedule(webhook)
            yield
            for timer in self._pending.values():
                timer.cancel()
            self._held = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _schedule(self, webhook: _Webhook) -> None:
        # One timer each in the loop's own heap: thousands of them cost neither a thread nor a task.
        delay = max(0.0, webhook.due - time.monotonic())
        self._pending[webhook] = self._loop.call_later(delay, self._begin, webhook)

    def _begin(self, webhook: _Webhook) -> None:
        if webhook.reordered and self._held is None:
            self._held = webhook
            # It is not kept back for ever where none comes after it.
            pause = self.destination.pause_seconds
            self._pending[webhook] = self._loop.call_later(pause, self._begin, webhook)
            return
        overtaken, self._held = self._held, None
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
        # In a thread, for the first signature takes a while: it makes the key.
        headers = await asyncio.to_thread(self._headers, webhook.forgery, body)

        async def send() -> bool:
            return await self._send(webhook.workflow_id, body, headers)

        delivered = await asyncio.gather(*(send() for _ in range(webhook.copies)))
        if overtaken is not None:
            self._spawn(overtaken, None)
        await asyncio.gather(*(self._repeat(send) for done in delivered if not done))
        del self._pending[webhook]

    def _headers(self, forgery: str | None, body: bytes) -> dict[str, str]:
        from airflow_provider_workflows.api.webhook_signature import HEADER  # noqa: PLC0415

        signature = self.keys.sign(body) if forgery is None else self.keys.forge(forgery, body)
        return {"Content-Type": "application/json"} | ({} if signature is None else {HEADER: signature})

    async def _repeat(self, send: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(TRIES - 1):
            await asyncio.sleep(self.destination.pause_seconds)
            if await send():
                return

    async def _send(self, workflow_id: str, body: bytes, headers: dict[str, str]) -> bool:
        async with self._slots:
            destination = self.destination
            if destination.url is None:
                return True
            self._counts.delivery_attempted(workflow_id)
            status = await self._post(destination, body, headers)
        self._counts.delivery_responded(workflow_id, status)
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
