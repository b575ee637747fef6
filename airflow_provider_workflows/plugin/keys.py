"""The service's public keys: from the connection's own host, kept for a while, and never asked for often."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from airflow_provider_workflows.api import errors
from airflow_provider_workflows.api.signature import SignatureInvalid, public_key

#: A key is fetched anew after so many seconds, so that one that was withdrawn is not accepted for ever.
KEY_SECONDS = 3600.0
#: A key that the service does not know is not asked for again within so many seconds.
UNKNOWN_SECONDS = 300.0
#: So many keys of each kind are remembered; the one that was used least recently is forgotten first.
REMEMBERED_KEYS = 64
#: So many keys that are not known yet may be asked for at once, and one more every so many seconds.
UNKNOWN_AT_ONCE = 3
ANOTHER_SECONDS = 60.0

Remembered = TypeVar("Remembered")


class KeyStore:
    """Public keys by their ids.

    Anybody can invent an id, so requests for keys that are not known are few, however many deliveries name
    them: a bucket of ``UNKNOWN_AT_ONCE`` that fills by one in ``ANOTHER_SECONDS``.

    :param fetch: asks the service for the key of an id
    :param clock: monotonic seconds
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: OrderedDict[str, tuple[RSAPublicKey, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._fetching = asyncio.Lock()
        self._allowed = float(UNKNOWN_AT_ONCE)
        self._allowed_at = clock()

    async def key(self, key_id: str) -> RSAPublicKey:
        """Return the public key of an id.

        :raises SignatureInvalid: when the service does not know it, or it may not be asked for now
        :raises WorkflowsError: when the service could not be asked
        """
        if (key := self._remembered(key_id)) is not None:
            return key
        if self._is_unknown(key_id):
            raise SignatureInvalid("its key is not known to the service")
        async with self._fetching:
            # Somebody else may have asked meanwhile.
            if (key := self._remembered(key_id)) is not None:
                return key
            if self._is_unknown(key_id):
                raise SignatureInvalid("its key is not known to the service")
            return await self._fetched(key_id)

    def _remembered(self, key_id: str) -> RSAPublicKey | None:
        key, expires = self._known.get(key_id, (None, 0.0))
        if key is None or self._clock() >= expires:
            return None
        self._known.move_to_end(key_id)
        return key

    def _is_unknown(self, key_id: str) -> bool:
        return self._clock() < self._unknown.get(key_id, 0.0)

    async def _fetched(self, key_id: str) -> RSAPublicKey:
        # One that was known is renewed whatever others have asked for.
        if key_id not in self._known:
            self._take()
        try:
            key = public_key(await self._fetch(key_id))
        except errors.NotFound:
            self._remember(self._unknown, key_id, self._clock() + UNKNOWN_SECONDS)
            self._known.pop(key_id, None)
            raise SignatureInvalid("its key is not known to the service") from None
        self._remember(self._known, key_id, (key, self._clock() + KEY_SECONDS))
        return key

    def _take(self) -> None:
        now = self._clock()
        self._allowed = min(self._allowed + (now - self._allowed_at) / ANOTHER_SECONDS, UNKNOWN_AT_ONCE)
        self._allowed_at = now
        if self._allowed < 1:
            raise SignatureInvalid("its key is not known here, and too many others were asked for")
        self._allowed -= 1

    @staticmethod
    def _remember(kept: OrderedDict[str, Remembered], key_id: str, value: Remembered) -> None:
        kept[key_id] = value
        kept.move_to_end(key_id)
        if len(kept) > REMEMBERED_KEYS:
            kept.popitem(last=False)
