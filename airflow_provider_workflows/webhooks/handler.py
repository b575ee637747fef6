"""Taking the deliveries of one connection: the signature is checked, the service asked, the completion written."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from airflow_provider_workflows.api import AsyncWorkflowsClient, Outcome, Settings, endpoints, errors
from airflow_provider_workflows.api.async_transport import HttpSession
from airflow_provider_workflows.api.webhook_signature import (
    Signature,
    SignatureInvalid,
    read_signature,
    verify,
)
from airflow_provider_workflows.log_throttle import ThrottledWarning
from airflow_provider_workflows.webhooks.delivery_outcome import DeliveryOutcome, TryAgainLater
from airflow_provider_workflows.webhooks.payload import Completion, Delivery, read_payload
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache
from airflow_provider_workflows.webhooks.run_polls import EARLY_WEBHOOK_REPOLL_SECONDS, RunPolls
from airflow_provider_workflows.webhooks.uploads import Uploads
from airflow_provider_workflows.webhooks.writer import CompletionWriter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = logging.getLogger(__name__)

#: Each call of the service may take this long: it counts a delivery as failed after ten seconds without a response.
CALL_TIMEOUT_SECONDS = 4.0
#: The runs that ended last are cached, this many of them, so that a doubled delivery costs no request.
MAX_CACHED_COMPLETIONS = 10_000
#: It is not always plain what a delivery is about, so this many runs at most are polled again at a time.
MAX_CONCURRENT_REPOLLS = 50
#: The signature of a body up to this length is checked on the event loop: it takes less time than a thread does.
MAX_BYTES_VERIFIED_AT_ONCE = 32 * 1024
#: Of the deliveries in one body, this many are dealt with at once.
MAX_CONCURRENT_DELIVERIES_OF_BODY = 16


class WebhookHandler:
    """Takes the deliveries of one connection.

    :param conn_id: id of the connection
    :param settings: what it says
    :param keys: the public keys of its host
    :param http: the connections to its host
    :param counts: how many deliveries had which outcome so far; None for a new count
    :param clock: monotonic seconds
    :param sleep: returns after the given number of seconds
    """

    def __init__(
        self,
        conn_id: str,
        settings: Settings,
        keys: PublicKeyCache | None = None,
        http: HttpSession | None = None,
        *,
        counts: Counter[DeliveryOutcome] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._sleep = sleep
        # The service repeats a delivery, so each call is attempted once, and not for long.
        quick = dataclasses.replace(
            settings,
            max_attempts=1,
            connect_timeout=min(settings.connect_timeout, CALL_TIMEOUT_SECONDS),
            read_timeout=min(settings.read_timeout, CALL_TIMEOUT_SECONDS),
            retry_seconds=min(settings.retry_seconds, CALL_TIMEOUT_SECONDS),
        )
        self.counts: Counter[DeliveryOutcome] = Counter() if counts is None else counts
        self.keys = keys or PublicKeyCache()
        self.uploads = Uploads()
        #: The number of verified deliveries that are under way.
        self.deliveries = 0
        self._conn_id = conn_id
        self._client = AsyncWorkflowsClient(quick, http=http)
        self._shares_http = http is not None
        self._closed = False
        self._writer = CompletionWriter(conn_id, settings.host)
        #: The ids of runs that have ended, and digests of deliveries: in a copy whose first id is another object's,
        #: the run's id cannot be told before the service is asked.
        self._ended: OrderedDict[str | bytes, None] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._polls = RunPolls(self._client, clock)
        self._repolled: set[str] = set()
        statuses = settings.statuses.success | settings.statuses.failure
        self._final_statuses = frozenset(status.upper() for status in statuses)
        connection = f"Connection {conn_id}: %s"
        self._warn_refused = ThrottledWarning(
            log,
            f"{connection} since the last such line, the latest because %s.",
            ("webhook was refused", "webhooks were refused"),
        )
        self._warn_unknown = ThrottledWarning(
            log,
            f"{connection} since the last such line named no workflow that the service knows, the latest %s.",
            ("webhook", "webhooks"),
        )
        self._warn_names_no_workflow = ThrottledWarning(
            log,
            f"{connection} since the last such line and named no workflow, so nothing followed from that: tasks "
            "that were meant end with their next poll, and events of completions are lost. If the service has "
            "changed the form of its webhooks, report this shape. The latest was %s.",
            ("webhook was signed by the service", "webhooks were signed by the service"),
        )
        self._warn_not_written = ThrottledWarning(
            log,
            f"{connection} to Airflow's database since the last such line; the service will repeat such "
            "deliveries.%s",
            ("webhook could not be written", "webhooks could not be written"),
        )

    def read_signature(self, header: str | None) -> Signature:
        """Return what the header ``JWS-SIGNATURE`` of a delivery says.

        :raises SignatureInvalid: with the reason, which is for the log alone
        """
        if header is None:
            raise SignatureInvalid("the header JWS-SIGNATURE is missing")
        return read_signature(header)

    def cached_key(self, signature: Signature) -> RSAPublicKey | None:
        """Return the key that a signature names, if it was fetched before."""
        return self.keys.cached(signature.key_id, self.settings.webhook_key_seconds)

    async def key(self, signature: Signature) -> RSAPublicKey:
        """Return the key that a signature names.

        :raises SignatureInvalid: if the service does not know it
        :raises TryAgainLater: if the key could not be fetched
        """
        try:
            return await self.keys.key(signature.key_id, self._fetch_key, self.settings.webhook_key_seconds)
        except errors.WorkflowsError as error:
            raise TryAgainLater(f"the key could not be fetched: {error.summary}") from error

    async def verify(self, signature: Signature, body: bytes, key: RSAPublicKey) -> None:
        """Raise unless the service signed ``body``.

        :raises SignatureInvalid: with the reason, which is for the log alone
        """
        if len(body) <= MAX_BYTES_VERIFIED_AT_ONCE:
            verify(signature, body, key)
        else:
            await asyncio.to_thread(verify, signature, body, key)

    async def take(self, body: bytes, respond_by: float) -> None:
        """Return once what follows from a verified webhook is in the database.

        :param body: of the delivery
        :param respond_by: when the response is due, in seconds of the event loop's clock
        :raises TryAgainLater: if it could not be confirmed or written
        """
        payload = read_payload(body)
        if payload.parts_without_workflow:
            self._count(DeliveryOutcome.NAMES_NO_WORKFLOW, payload.parts_without_workflow)
            self._warn_names_no_workflow(payload.shape)
        if len(payload.deliveries) == 1:
            await self._take(payload.deliveries[0], respond_by)
            return
        slots = asyncio.Semaphore(MAX_CONCURRENT_DELIVERIES_OF_BODY)

        async def take_in_turn(delivery: Delivery) -> None:
            async with slots:
                await self._take(delivery, respond_by)

        # One that fails keeps back none of the others: when the body comes again, those are repeated ones.
        failures = await asyncio.gather(*map(take_in_turn, payload.deliveries), return_exceptions=True)
        for failure in filter(None, failures):
            raise failure

    async def _take(self, delivery: Delivery, respond_by: float) -> None:
        outcome, is_cached = await self._confirm(delivery)
        # A run that is about to be polled again is polled after this delivery has come.
        if (
            self._may_be_early(delivery, outcome, is_cached)
            and delivery.workflow_ids[0] not in self._repolled
        ):
            if self._may_repoll(respond_by):
                outcome = await self._confirm_later(delivery)
            elif is_cached:
                raise TryAgainLater(
                    "its workflow was polled a moment before, and too many wait to be polled again"
                )
        self._count(outcome)
        if outcome is DeliveryOutcome.UNKNOWN_WORKFLOW:
            self._warn_unknown(delivery.workflow_ids[0])

    def refuse(self, reason: str) -> None:
        """Count a delivery that is not taken, and log it; a flood of them is one line now and then."""
        self._count(DeliveryOutcome.REFUSED)
        self._warn_refused(reason)

    async def close(self) -> None:
        """Write nothing more, and close the connections unless they are shared.

        What is under way still asks the service over shared ones: another handler may wait for the key.
        """
        self._closed = True
        self._writer.close()
        if not self._shares_http:
            await self._client.close()

    def _count(self, outcome: DeliveryOutcome, number: int = 1) -> None:
        self.counts[outcome] += number

    def _may_be_early(self, delivery: Delivery, outcome: DeliveryOutcome, is_cached: bool) -> bool:
        """Return whether a run may have ended since it was polled, or before the response to a poll shows it."""
        if outcome is DeliveryOutcome.NOT_ENDED or (outcome is DeliveryOutcome.REPEATED and is_cached):
            return not delivery.statuses or any(
                status.upper() in self._final_statuses for status in delivery.statuses
            )
        return outcome is DeliveryOutcome.UNKNOWN_WORKFLOW

    def _may_repoll(self, respond_by: float) -> bool:
        done_by = asyncio.get_running_loop().time() + EARLY_WEBHOOK_REPOLL_SECONDS + CALL_TIMEOUT_SECONDS
        return len(self._repolled) < MAX_CONCURRENT_REPOLLS and done_by < respond_by

    async def _confirm_later(self, delivery: Delivery) -> DeliveryOutcome:
        self._repolled.add(delivery.workflow_ids[0])
        try:
            await self._sleep(EARLY_WEBHOOK_REPOLL_SECONDS)
            outcome, _ = await self._confirm(delivery)
        finally:
            self._repolled.discard(delivery.workflow_ids[0])
        return outcome

    async def _confirm(self, delivery: Delivery) -> tuple[DeliveryOutcome, bool]:
        """Poll the run of a delivery, and write the completion if it has ended.

        :return: what became of the delivery, and whether a poll from before it came was used
        """
        if delivery.digest in self._ended:
            return DeliveryOutcome.REPEATED, False
        any_cached = False
        for workflow_id in delivery.workflow_ids:
            # Deliveries that come at once wait for the first: what it finds holds for them as well.
            lock = self._locks.setdefault(workflow_id, asyncio.Lock())
            async with lock:
                outcome, is_cached = await self._confirm_workflow(workflow_id, delivery)
            any_cached |= is_cached
            if outcome is DeliveryOutcome.TAKEN and workflow_id != delivery.workflow_ids[0]:
                self._cache(delivery.digest)
            if outcome is not DeliveryOutcome.UNKNOWN_WORKFLOW:
                return outcome, any_cached
        return DeliveryOutcome.UNKNOWN_WORKFLOW, any_cached

    async def _confirm_workflow(self, workflow_id: str, delivery: Delivery) -> tuple[DeliveryOutcome, bool]:
        if workflow_id in self._ended:
            return DeliveryOutcome.REPEATED, False
        poll = self._polls.cached(workflow_id)
        is_cached = poll is not None
        if poll is None:
            poll = await self._polls.poll(workflow_id)
        if poll.failure is not None:
            raise TryAgainLater(f"the workflow's status could not be asked for: {poll.failure}")
        if poll.status is None:
            return DeliveryOutcome.UNKNOWN_WORKFLOW, is_cached
        if self.settings.statuses.outcome(poll.status) is Outcome.PENDING:
            return DeliveryOutcome.NOT_ENDED, is_cached
        found = (poll.case_id, poll.status, delivery.workflow_definition_id, poll.evidence)
        await self._write(Completion(workflow_id, *found))
        self._cache(workflow_id)
        return DeliveryOutcome.TAKEN, is_cached

    async def _write(self, completion: Completion) -> None:
        try:
            await self._writer.write(completion)
        except Exception as error:
            if self._closed:
                raise TryAgainLater("its connection has changed meanwhile") from None
            self._warn_not_written(error=error)
            raise TryAgainLater("it could not be written to Airflow's database") from error

    def _cache(self, ended: str | bytes) -> None:
        self._ended[ended] = None
        if len(self._ended) > MAX_CACHED_COMPLETIONS:
            self._ended.popitem(last=False)

    async def _fetch_key(self, key_id: str) -> str:
        try:
            return (await self._client.perform(endpoints.read_webhook_key(key_id))).text
        except errors.NotFound as error:
            if error.code or error.fingerprint or error.detail:
                raise
            # A proxy's page with a 404 is not the service's word that it does not know the key.
            raise errors.UnexpectedResponse(
                "A 404 came that is not an error of the service.", status=error.status
            ) from None
