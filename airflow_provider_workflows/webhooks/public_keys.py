"""The service's public keys: fetched from the connection's own host, cached, and never fetched often."""

from __future__ import annotations

import asyncio
import copy
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.retry import Backoff, TokenBucket
from airflow_provider_workflows.api.settings import MAX_WEBHOOK_KEY_SECONDS
from airflow_provider_workflows.api.webhook_signature import SignatureInvalid, public_key

#: A key is fetched again after this many seconds, so that one that was withdrawn is not accepted for ever.
KEY_CACHE_SECONDS = MAX_WEBHOOK_KEY_SECONDS
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
#: after five, and one who invents an id for each delivery does not. This many refused ids are cached.
REDELIVERY_SECONDS = 3.0
MAX_CACHED_REFUSALS = 10_000
#: After a fetch that failed, no key is fetched until this many seconds after its begin.
FAILED_FETCH_PAUSE_SECONDS = 2.0
#: While a fetch takes longer than this many seconds, it is not certain that the service can be asked.
SLOW_FETCH_SECONDS = 1.0
#: This many deliveries wait for keys, beside the one that each fetch is for.
MAX_WAITING_DELIVERIES = 100

_UNKNOWN_KEYS = Backoff(UNKNOWN_KEY_CACHE_SECONDS, MAX_UNKNOWN_KEY_CACHE_SECONDS)

Cached = TypeVar("Cached")


class PublicKeyCache:
    """The public keys of one host, by their ids.

    Anybody can invent an id, so fetches of keys that are not cached are few, however many deliveries name them:
    ``UNKNOWN_KEY_BURST`` and one more in ``UNKNOWN_KEY_REFILL_SECONDS``, and one more in as many seconds for ids
    that come again. Only the service's own word that it does not know a key uses up a permit: whatever else came
    in place of a key may be repaired in a second. One fetch runs at a time, and few deliveries wait for it.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: The keys, and when each was fetched.
        self._keys: OrderedDict[str, tuple[RSAPublicKey, float]] = OrderedDict()
        self._unknown: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._new_ids = TokenBucket(UNKNOWN_KEY_BURST, UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._redelivered_ids = TokenBucket(1, UNKNOWN_KEY_REFILL_SECONDS, clock=clock)
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._fetches: dict[str, asyncio.Task[RSAPublicKey | Exception]] = {}
        self._fetching = asyncio.Lock()
        self._fetch_began: float | None = None
        self._waiting = 0
        #: The error of the latest fetch of a new key, if it failed, and until when no other may begin.
        self._failure: tuple[Exception, float] | None = None
        self._failures = 0
        #: The same for each key that was fetched before.
        self._renewal_failures: dict[str, tuple[Exception, float]] = {}

    def cached(self, key_id: str, max_age_seconds: float = KEY_CACHE_SECONDS) -> RSAPublicKey | None:
        """Return the public key of an id, or None if it was not fetched within ``max_age_seconds``."""
        key, fetched_at = self._keys.get(key_id, (None, 0.0))
        if key is None or self._clock() >= fetched_at + max_age_seconds:
            return None
        self._keys.move_to_end(key_id)
        return key

    async def key(
        self,
        key_id: str,
        fetch: Callable[[str], Awaitable[str]],
        max_age_seconds: float = KEY_CACHE_SECONDS,
    ) -> RSAPublicKey:
        """Return the public key of an id.

        :param fetch: asks the service for the key of an id
        :param max_age_seconds: a key that was fetched longer ago is fetched again
        :raises SignatureInvalid: when the service does not know it, or it may not be asked for now
        :raises WorkflowsError: when the service could not be asked, or too many deliveries wait for that
        """
        if (key := self.cached(key_id, max_age_seconds)) is not None:
            return key
        if self._is_unknown(key_id):
            raise SignatureInvalid("its key is not known to the service")
        under_way = self._fetches.get(key_id)
        if under_way is None:
            under_way = self._begin(key_id, fetch)
        elif self._waiting >= MAX_WAITING_DELIVERIES:
            raise errors.ServiceUnavailable(f"{MAX_WAITING_DELIVERIES} deliveries wait for keys already.")
        self._waiting += 1
        try:
            # The others go on waiting for it when this delivery is not waited for any more.
            result = await asyncio.shield(under_way)
        finally:
            self._waiting -= 1
        if isinstance(result, Exception):
            # A copy: each that raises it adds its own frames.
            raise copy.copy(result)
        return result

    def _is_unknown(self, key_id: str) -> bool:
        until, _ = self._unknown.get(key_id, (0.0, 0))
        return self._clock() < until

    def _begin(
        self, key_id: str, fetch: Callable[[str], Awaitable[str]]
    ) -> asyncio.Task[RSAPublicKey | Exception]:
        """Begin the fetch of a key, or raise the reason why it may not begin."""
        # A key that was cached is renewed, however many others were asked for, and whatever came in their place.
        is_new = key_id not in self._keys
        failure = self._failure if is_new else self._renewal_failures.get(key_id)
        if failure is not None and self._clock() < failure[1]:
            if is_new:
                self._note_refusal(key_id)
            raise copy.copy(failure[0])
        permit = None
        if is_new and (permit := self._permit(key_id)) is None:
            if self._failure is not None or self._is_slow():
                raise errors.ServiceUnavailable("The service does not respond to requests for keys.")
            raise SignatureInvalid("its key is not cached, and too many others that are new were asked for")
        task = asyncio.create_task(self._fetched(key_id, fetch, permit))
        self._fetches[key_id] = task
        task.add_done_callback(lambda _: self._fetches.pop(key_id, None))
        return task

    async def _fetched(
        self, key_id: str, fetch: Callable[[str], Awaitable[str]], permit: TokenBucket | None
    ) -> RSAPublicKey | Exception:
        failures_before = self._failures
        async with self._fetching:
            if permit is not None and self._failure is not None and self._failures != failures_before:
                # What waited for a fetch that failed does not ask in its turn.
                permit.give_back()
                return self._failure[0]
            began = self._fetch_began = self._clock()
            try:
                key = public_key(await fetch(key_id))
            except errors.NotFound:
                self._failure = None
                times = self._unknown.get(key_id, (0.0, 0))[1] + 1
                until = self._clock() + _UNKNOWN_KEYS.seconds(times)
                self._cache(self._unknown, key_id, (until, times))
                self._keys.pop(key_id, None)
                self._renewal_failures.pop(key_id, None)
                self._refused.pop(key_id, None)
                return SignatureInvalid("its key is not known to the service")
            except Exception as error:  # noqa: BLE001  (each delivery that waits raises it)
                failure = (
                    errors.UnexpectedResponse(f"What came is not a public key: {error}.")
                    if isinstance(error, SignatureInvalid)
                    else error
                )
                pause = failure.with_traceback(None), began + FAILED_FETCH_PAUSE_SECONDS
                if permit is None:
                    self._renewal_failures[key_id] = pause
                    return failure
                self._failure = pause
                self._failures += 1
                self._note_refusal(key_id)
                # Deliveries during an outage do not use up the permits for the time after it.
                permit.give_back()
                return failure
            finally:
                self._fetch_began = None
        self._failure = None
        self._renewal_failures.pop(key_id, None)
        self._cache(self._keys, key_id, (key, self._clock()))
        self._unknown.pop(key_id, None)
        self._refused.pop(key_id, None)
        return key

    def _is_slow(self) -> bool:
        return self._fetch_began is not None and self._clock() >= self._fetch_began + SLOW_FETCH_SECONDS

    def _permit(self, key_id: str) -> TokenBucket | None:
        if self._new_ids.take():
            return self._new_ids
        refused_at = self._note_refusal(key_id)
        if self._clock() >= refused_at + REDELIVERY_SECONDS and self._redelivered_ids.take():
            return self._redelivered_ids
        return None

    def _note_refusal(self, key_id: str) -> float:
        """Note that deliveries with a key are refused, and return since when."""
        refused_at = self._refused.setdefault(key_id, self._clock())
        if len(self._refused) > MAX_CACHED_REFUSALS:
            self._refused.popitem(last=False)
        return refused_at

    @staticmethod
    def _cache(kept: OrderedDict[str, Cached], key_id: str, value: Cached) -> None:
        kept[key_id] = value
        kept.move_to_end(key_id)
        if len(kept) > MAX_CACHED_KEYS:
            kept.popitem(last=False)
