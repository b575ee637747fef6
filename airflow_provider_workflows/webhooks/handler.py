"""Taking the deliveries of one connection: the signature is checked, the service asked, the completion written."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import logging
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
from airflow_provider_workflows.webhooks.payload import Completion, Delivery, read_delivery
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache
from airflow_provider_workflows.webhooks.uploads import Uploads
from airflow_provider_workflows.webhooks.writer import CompletionWriter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = logging.getLogger(__name__)

#: Each call of the service may take this long: it counts a delivery as failed after ten seconds without a response.
CALL_TIMEOUT_SECONDS = 4.0
#: The runs that ended last are cached, this many of them, so that a doubled delivery costs no request.
MAX_CACHED_COMPLETIONS = 10_000
#: A run whose end is delivered before the service's own response shows it is polled once more, after this many
#: seconds. It is not always plain what a delivery is about, so this many at most are polled again at a time.
EARLY_WEBHOOK_REPOLL_SECONDS = 2.0
MAX_CONCURRENT_REPOLLS = 50
#: The signature of a body up to this length is checked on the event loop: it takes less time than a thread does.
MAX_BYTES_VERIFIED_AT_ONCE = 32 * 1024


class TryAgainLater(Exception):
    """A delivery could not be confirmed or written: the service is to repeat it."""


class DeliveryOutcome(enum.Enum):
    """What became of a delivery, as it is counted."""

    REFUSED = "refused"
    NAMES_NO_WORKFLOW = "without a workflow"
    UNKNOWN_WORKFLOW = "unknown workflow"
    NOT_ENDED = "not ended"
    REPEATED = "repeated"
    TAKEN = "taken"


class WebhookHandler:
    """Takes the deliveries of one connection.

    :param conn_id: id of the connection
    :param settings: what it says
    :param keys: the public keys of its host
    :param http: the connections to its host
    :param sleep: returns after the given number of seconds
    """

    def __init__(
        self,
        conn_id: str,
        settings: Settings,
        keys: PublicKeyCache | None = None,
        http: HttpSession | None = None,
        *,
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
        self.counts: Counter[str] = Counter()
        self.keys = keys or PublicKeyCache()
        self.uploads = Uploads()
        #: The number of verified deliveries that are under way.
        self.deliveries = 0
        self._conn_id = conn_id
        self._client = AsyncWorkflowsClient(quick, http=http)
        self._writer = CompletionWriter(conn_id, settings.host)
        #: The ids of runs that have ended, and digests of deliveries: in a copy whose first id is another object's,
        #: the run's id cannot be told before the service is asked.
        self._ended: OrderedDict[str | bytes, None] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._repolled: set[str] = set()
        statuses = settings.statuses.success | settings.statuses.failure
        self._final_statuses = frozenset(status.upper() for status in statuses)
        connection = f"Connection {conn_id}: %d webhooks"
        self._warn_refused = ThrottledWarning(
            log, f"{connection} were refused since the last such line, the latest because %s."
        )
        self._warn_unknown = ThrottledWarning(
            log,
            f"{connection} since the last such line named no workflow that the service knows, the latest %s.",
        )
        self._warn_not_written = ThrottledWarning(
            log,
            f"{connection} could not be written to Airflow's database since the last such line, and come again.%s",
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
        return self.keys.cached(signature.key_id)

    async def key(self, signature: Signature) -> RSAPublicKey:
        """Return the key that a signature names.

        :raises SignatureInvalid: if the service does not know it
        :raises TryAgainLater: if the key could not be fetched
        """
        try:
            return await self.keys.key(signature.key_id, self._fetch_key)
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
        delivery = read_delivery(body)
        if delivery is None:
            self._count(DeliveryOutcome.NAMES_NO_WORKFLOW)
            return
        outcome = await self._confirm(delivery)
        if self._may_be_early(delivery, outcome) and self._may_repoll(delivery, respond_by):
            self._repolled.add(delivery.workflow_ids[0])
            try:
                await self._sleep(EARLY_WEBHOOK_REPOLL_SECONDS)
                outcome = await self._confirm(delivery)
            finally:
                self._repolled.discard(delivery.workflow_ids[0])
        self._count(outcome)
        if outcome is DeliveryOutcome.UNKNOWN_WORKFLOW:
            self._warn_unknown(delivery.workflow_ids[0])

    def refuse(self, reason: str) -> None:
        """Count a delivery that is not taken, and log it; a flood of them is one line now and then."""
        self._count(DeliveryOutcome.REFUSED)
        self._warn_refused(reason)

    async def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        await self._client.close()

    def _count(self, outcome: DeliveryOutcome) -> None:
        self.counts[outcome.value] += 1

    def _may_be_early(self, delivery: Delivery, outcome: DeliveryOutcome) -> bool:
        """Return whether the service may have delivered before its own response shows the end."""
        if outcome is DeliveryOutcome.NOT_ENDED and delivery.statuses:
            return any(status.upper() in self._final_statuses for status in delivery.statuses)
        return outcome in (DeliveryOutcome.NOT_ENDED, DeliveryOutcome.UNKNOWN_WORKFLOW)

    def _may_repoll(self, delivery: Delivery, respond_by: float) -> bool:
        done_by = asyncio.get_running_loop().time() + EARLY_WEBHOOK_REPOLL_SECONDS + CALL_TIMEOUT_SECONDS
        return (
            delivery.workflow_ids[0] not in self._repolled
            and len(self._repolled) < MAX_CONCURRENT_REPOLLS
            and done_by < respond_by
        )

    async def _confirm(self, delivery: Delivery) -> DeliveryOutcome:
        """Ask the service about the run of a delivery, and write the completion if it has ended."""
        # Copies that come at once wait for the first, and do not join it: it may have asked before the end.
        lock = self._locks.setdefault(delivery.workflow_ids[0], asyncio.Lock())
        async with lock:
            if delivery.digest in self._ended:
                return DeliveryOutcome.REPEATED
            for workflow_id in delivery.workflow_ids:
                if workflow_id in self._ended:
                    return DeliveryOutcome.REPEATED
                try:
                    workflow = await self._client.perform(endpoints.read_workflow(workflow_id))
                except errors.NotFound:
                    continue
                except errors.WorkflowsError as error:
                    raise TryAgainLater(
                        f"the workflow's status could not be asked for: {error.summary}"
                    ) from error
                if self.settings.statuses.outcome(workflow.status) is Outcome.PENDING:
                    return DeliveryOutcome.NOT_ENDED
                await self._write(
                    Completion(
                        workflow_id, workflow.case_id, workflow.status, delivery.workflow_definition_id
                    )
                )
                self._cache(workflow_id)
                if workflow_id != delivery.workflow_ids[0]:
                    self._cache(delivery.digest)
                return DeliveryOutcome.TAKEN
        return DeliveryOutcome.UNKNOWN_WORKFLOW

    async def _write(self, completion: Completion) -> None:
        try:
            await self._writer.write(completion)
        except Exception as error:
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
