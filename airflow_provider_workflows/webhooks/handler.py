"""What takes the webhooks of one connection: checks the signature, asks the service, writes down what it says."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import Counter, OrderedDict
from weakref import WeakValueDictionary

from airflow_provider_workflows.api import AsyncWorkflowsClient, Outcome, Settings, endpoints, errors
from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, key_id, verify
from airflow_provider_workflows.webhooks.log_throttle import ThrottledWarning
from airflow_provider_workflows.webhooks.payload import Completion, Delivery, read_delivery
from airflow_provider_workflows.webhooks.public_keys import PublicKeyCache
from airflow_provider_workflows.webhooks.writer import CompletionWriter

log = logging.getLogger(__name__)

#: The service takes a delivery that is not answered within ten seconds for failed.
CALL_TIMEOUT_SECONDS = 4.0
#: So many of the workflows that ended last are remembered, so that a doubled delivery costs no request.
MAX_CACHED_COMPLETIONS = 10_000
#: A workflow whose end the service tells before its own response shows it is polled once more, after so many
#: seconds. What a delivery is of is not always plain, so few are polled again at a time.
EARLY_WEBHOOK_REPOLL_SECONDS = 2.0
MAX_CONCURRENT_REPOLLS = 50
_UNKNOWN, _NOT_ENDED = "unknown workflow", "not ended"


class TryAgainLater(Exception):
    """What a delivery tells could not be confirmed or written down: it is to come again."""


class WebhookHandler:
    """Takes the webhooks of one connection.

    :param conn_id: id of the connection
    :param settings: what it says
    :param keys: the public keys of its host
    """

    def __init__(self, conn_id: str, settings: Settings, keys: PublicKeyCache | None = None) -> None:
        # A delivery comes again by itself, so each call is tried once, and not for long.
        self.settings = settings
        quick = dataclasses.replace(
            settings,
            max_attempts=1,
            connect_timeout=min(settings.connect_timeout, CALL_TIMEOUT_SECONDS),
            read_timeout=min(settings.read_timeout, CALL_TIMEOUT_SECONDS),
            retry_seconds=min(settings.retry_seconds, CALL_TIMEOUT_SECONDS),
        )
        self.counts: Counter[str] = Counter()
        self.keys = keys or PublicKeyCache()
        self._conn_id = conn_id
        self._client = AsyncWorkflowsClient(quick)
        self._writer = CompletionWriter(conn_id, settings.host)
        #: Workflows that have ended, and the digests of the deliveries that told so: in a copy whose first id is
        #: another's, the workflow's is not known before the service is asked.
        self._ended: OrderedDict[str | bytes, None] = OrderedDict()
        self._in_hand: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._again: set[str] = set()
        ends = settings.statuses.success | settings.statuses.failure
        self._ends = frozenset(status.upper() for status in ends)
        connection = f"Connection {conn_id}: %d webhooks"
        self._warn_refused = ThrottledWarning(
            log, f"{connection} were refused since the last such line, the latest because %s."
        )
        self._warn_unknown = ThrottledWarning(
            log,
            f"{connection} since the last such line named no workflow that the service knows, the latest %s.",
        )
        self._warn_not_written = ThrottledWarning(
            log, f"{connection} could not be written down since the last such line.%s"
        )

    async def verify(self, signature: str | None, body: bytes) -> None:
        """Raise unless ``body`` is signed by the service.

        :raises SignatureInvalid: with the reason, which is for the log alone
        :raises TryAgainLater: when the key could not be fetched
        """
        if signature is None:
            raise SignatureInvalid("there is none")
        try:
            key = await self.keys.key(key_id(signature), self._fetch_key)
        except errors.WorkflowsError as error:
            raise TryAgainLater(f"the key could not be fetched: {error}") from error
        await asyncio.to_thread(verify, signature, body, key)

    async def take(self, body: bytes, respond_by: float) -> None:
        """Return when what a verified webhook tells is safe.

        :param respond_by: when the response is due, in seconds of the event loop's clock
        :raises TryAgainLater: when it could not be confirmed or written down
        """
        delivery = read_delivery(body)
        if delivery is None:
            self.counts["without a workflow"] += 1
            return
        counted = await self._confirmed(delivery)
        name = delivery.workflow_ids[0]
        if (
            self._may_be_early(delivery, counted)
            and name not in self._again
            and len(self._again) < MAX_CONCURRENT_REPOLLS
            and asyncio.get_running_loop().time() + EARLY_WEBHOOK_REPOLL_SECONDS + CALL_TIMEOUT_SECONDS
            < respond_by
        ):
            self._again.add(name)
            try:
                await asyncio.sleep(EARLY_WEBHOOK_REPOLL_SECONDS)
                counted = await self._confirmed(delivery)
            finally:
                self._again.discard(name)
        self.counts[counted] += 1
        if counted == _UNKNOWN:
            self._warn_unknown(name)

    def refused(self, reason: str) -> None:
        """Count and log a delivery that was not taken; a flood of them is one line now and then."""
        self.counts["refused"] += 1
        self._warn_refused(reason)

    async def close(self) -> None:
        """Close the connections."""
        self._writer.close()
        await self._client.close()

    def _may_be_early(self, delivery: Delivery, counted: str) -> bool:
        """Return whether the service's response may only be behind what it delivers."""
        if counted == _NOT_ENDED and delivery.statuses:
            return any(status.upper() in self._ends for status in delivery.statuses)
        return counted in (_NOT_ENDED, _UNKNOWN)

    async def _confirmed(self, delivery: Delivery) -> str:
        # Copies that come at once wait for the first, and do not join it: it may have asked before the end.
        in_hand = self._in_hand.setdefault(delivery.workflow_ids[0], asyncio.Lock())
        async with in_hand:
            if delivery.digest in self._ended:
                return "known"
            for workflow_id in delivery.workflow_ids:
                if workflow_id in self._ended:
                    return "known"
                try:
                    workflow = await self._client.perform(endpoints.read_workflow(workflow_id))
                except errors.NotFound:
                    continue
                except errors.WorkflowsError as error:
                    raise TryAgainLater(f"the workflow's status could not be asked for: {error}") from error
                if self.settings.statuses.outcome(workflow.status) is Outcome.PENDING:
                    return _NOT_ENDED
                await self._record(
                    Completion(
                        workflow_id, workflow.case_id, workflow.status, delivery.workflow_definition_id
                    )
                )
                self._remember(workflow_id)
                if workflow_id != delivery.workflow_ids[0]:
                    self._remember(delivery.digest)
                return "taken"
        return _UNKNOWN

    async def _record(self, completion: Completion) -> None:
        try:
            await self._writer.write(completion)
        except Exception as error:
            self._warn_not_written(error=error)
            raise TryAgainLater("it could not be written down") from error

    def _remember(self, ended: str | bytes) -> None:
        self._ended[ended] = None
        if len(self._ended) > MAX_CACHED_COMPLETIONS:
            self._ended.popitem(last=False)

    async def _fetch_key(self, key_id: str) -> str:
        return (await self._client.perform(endpoints.read_webhook_key(key_id))).text
