"""The service's public keys: fetched from the connection's own host, cached, and never fetched often."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.retry import Backoff, TokenBucket
from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, public_key

#: A key is fetched again after this many seconds, so that one that was withdrawn is not accepted for ever.
KEY_CACHE_SECONDS = 3600.0
#: A key that the service does not know is asked for again after this many seconds, since the service may deliver
#: with a new key before it gives that out; then after twice as many each time, up to the longest.
UNKNOWN_KEY_CACHE_SECONDS = 10.0
MAX_UNKNOWN_KEY_CACHE_SECONDS = 600.0
#: This many keys of each kind are cached; the one that was used least recently goes first.
MAX_CACHED_KEYS = 64
#: This many keys that are not cached may be fetched at once, and one more each ``UNKNOWN_KEY_REFILL_SECONDS``.
UNKNOWN_KEY_BURST = 3
UNKNOWN_KEY_REFILL_SECONDS = 60.0
#: Ids that come again after this many seconds have a permit of their own: the service repeats a refused delivery
#: after five, and one who invents an id for each delivery does not. This many refused ids are remembered.
REDELIVERY_SECONDS = 3.0
MAX_CACHED_REFUSALS = 10_000
#: After a fetch that failed, no key is fetched for this many seconds.
FAILED_FETCH_PAUSE_SECONDS = 2.0

_UNKNOWN_KEYS = Backoff(UNKNOWN_KEY_CACHE_SECONDS, MAX_UNKNOWN_KEY_CACHE_SECONDS)

Remembered = TypeVar("Remembered")


class PublicKeyCache:
    """Public keys by their ids.

    Anybody can invent an id, so fetches of keys that are not cached are few, however many deliveries name them:
    ``UNKNOWN_KEY_BURST`` and one more in ``UNKNOWN_KEY_REFILL_SECONDS``, and one more in as many seconds for ids
    that come again.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[RSAPublicKey, float]] = OrderedDict()
        self._unknown: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._fetching = asyncio.Lock()
        self._new_ids = TokenBucket(UNKNOWN_KEY_BURST, UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._redelivered_ids = TokenBucket(1, UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._failure: tuple[errors.WorkflowsError | SignatureInvalid, float] | None = None

    async def key(self, key_id: str, fetch: Callable[[str], Awaitable[str]]) -> RSAPublicKey:
        """Return the public key of an id.

        :param fetch: asks the service for the key of an id
        :raises SignatureInvalid: when the service does not know it, or it may not be asked for now
        :raises WorkflowsError: when the service could not be asked
        """
        if (key := self._remembered(key_id)) is not None:
            return key
        if self._is_unknown(key_id):
            raise SignatureInvalid("its key is not known to the service")
        async with self._fetching:
            # Another delivery may have fetched it meanwhile.
            if (key := self._remembered(key_id)) is not None:
                return key
            if self._is_unknown(key_id):
                raise SignatureInvalid("its key is not known to the service")
            return await self._fetched(key_id, fetch)

    def _remembered(self, key_id: str) -> RSAPublicKey | None:
        key, expires = self._known.get(key_id, (None, 0.0))
        if key is None or self._clock() >= expires:
            return None
        self._known.move_to_end(key_id)
        return key

    def _is_unknown(self, key_id: str) -> bool:
        until, _ = self._unknown.get(key_id, (0.0, 0))
        return self._clock() < until

    async def _fetched(self, key_id: str, fetch: Callable[[str], Awaitable[str]]) -> RSAPublicKey:
        if self._failure is not None and self._clock() < self._failure[1]:
            raise self._failure[0].with_traceback(None)
        # A key that was cached is renewed, however many others were asked for.
        permit = None if key_id in self._known else self._take(key_id)
        try:
            key = public_key(await fetch(key_id))
        except errors.NotFound:
            times = self._unknown.get(key_id, (0.0, 0))[1] + 1
            until = self._clock() + _UNKNOWN_KEYS.seconds(times)
            self._remember(self._unknown, key_id, (until, times))
            self._known.pop(key_id, None)
            self._refused.pop(key_id, None)
            raise SignatureInvalid("its key is not known to the service") from None
        except (errors.WorkflowsError, SignatureInvalid) as error:
            self._failure = (error, self._clock() + FAILED_FETCH_PAUSE_SECONDS)
            # Deliveries during an outage do not use up the permits for the time after it.
            if permit and isinstance(error, errors.WorkflowsError) and error.is_retryable():
                permit.give_back()
            raise
        self._remember(self._known, key_id, (key, self._clock() + KEY_CACHE_SECONDS))
        self._unknown.pop(key_id, None)
        self._refused.pop(key_id, None)
        return key

    def _take(self, key_id: str) -> TokenBucket:
        if self._new_ids.take():
            return self._new_ids
        now = self._clock()
        refused_at = self._refused.setdefault(key_id, now)
        if now >= refused_at + REDELIVERY_SECONDS and self._redelivered_ids.take():
            return self._redelivered_ids
        if len(self._refused) > MAX_CACHED_REFUSALS:
            self._refused.popitem(last=False)
        raise SignatureInvalid("its key is not cached, and too many others that are new were asked for")

    @staticmethod
    def _remember(kept: OrderedDict[str, Remembered], key_id: str, value: Remembered) -> None:
        kept[key_id] = value
        kept.move_to_end(key_id)
        if len(kept) > MAX_CACHED_KEYS:
            kept.popitem(last=False)
