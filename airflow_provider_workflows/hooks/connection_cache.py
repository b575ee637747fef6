"""What Airflow's connections say, kept for a while: a lookup takes tens of milliseconds, and others wait for it."""

from __future__ import annotations

import asyncio
import copy
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    #: What the last lookup that succeeded has returned; None also before there was one.
    value: T | None
    #: The error of the last lookup, if it failed and there is no earlier value.
    failure: Exception | None
    #: When the connection is due to be read again, in seconds of the cache's clock.
    due: float


class ConnectionCache(Generic[T]):
    """What connections say, by their ids; each is read again once it is due.

    When a lookup fails, what was found before is used on; without that, the error is raised until the next lookup.

    :param lookup: returns what a connection says, or None for one that is not to be used; raises if it cannot tell
    :param found_seconds: after how long a connection is read again
    :param not_found_seconds: after how long if the last lookup returned None
    :param failed_seconds: after how long if the last lookup failed; 0: failures are not kept
    :param max_not_found: this many connections at most are kept that are not to be used
    :param max_lookups: this many lookups run at once at most
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        lookup: Callable[[str], Awaitable[T | None]],
        *,
        found_seconds: float,
        not_found_seconds: float,
        failed_seconds: float,
        max_not_found: int = 1000,
        max_lookups: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.found_seconds = found_seconds
        self.not_found_seconds = not_found_seconds
        self.failed_seconds = failed_seconds
        self.max_not_found = max_not_found
        self._lookup = lookup
        self._clock = clock
        self._slots = asyncio.Semaphore(max_lookups)
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, conn_id: str) -> bool:
        return conn_id in self._entries

    def is_due(self, conn_id: str) -> bool:
        """Return whether ``get`` would read the connection."""
        entry = self._entries.get(conn_id)
        return entry is None or self._clock() >= entry.due

    def latest(self, conn_id: str) -> T | None:
        """Return what was found last, however long ago; None if nothing was."""
        entry = self._entries.get(conn_id)
        return None if entry is None else entry.value

    def forget(self, conn_id: str) -> None:
        """Forget what a connection says, so that it is read again, if it is ever asked for."""
        self._entries.pop(conn_id, None)

    def expire(self, conn_id: str, seconds: float = 0.0) -> None:
        """Have a connection read again in this many seconds, unless that is due earlier.

        :param seconds: more than 0 where there may be a reason with each request, such as a rejected key
        """
        if (entry := self._entries.get(conn_id)) is not None:
            entry.due = min(entry.due, self._clock() + seconds)

    async def get(self, conn_id: str) -> T | None:
        """Return what a connection says, read anew if that is due.

        :return: None for a connection that is not to be used
        :raises Exception: that of the lookup
        """
        entry = self._current(conn_id)
        if entry is None:
            async with self._slots:
                # Another caller may have read it meanwhile.
                entry = self._current(conn_id) or await self._renew(conn_id)
        if entry.failure is not None:
            # A copy: each that raises it adds its own frames.
            raise copy.copy(entry.failure)
        return entry.value

    def _current(self, conn_id: str) -> _Entry[T] | None:
        return None if self.is_due(conn_id) else self._entries[conn_id]

    async def _renew(self, conn_id: str) -> _Entry[T]:
        failure: Exception | None = None
        value: T | None = None
        if (before := self._entries.get(conn_id)) is not None:
            # Until this lookup is done, the others use what was found before.
            before.due = self._clock() + self.failed_seconds
        try:
            value = await self._lookup(conn_id)
        except Exception as error:
            if not self.failed_seconds:
                raise
            # Nothing is awaited from here on: a lookup that ran beside this one may have been quicker.
            value = self.latest(conn_id)
            failure = error if value is None else None
            seconds = self.failed_seconds
        else:
            seconds = self.not_found_seconds if value is None else self.found_seconds
        entry = self._entries[conn_id] = _Entry(value, failure, self._clock() + seconds)
        self._entries.move_to_end(conn_id)
        self._drop_one_not_found()
        return entry

    def _drop_one_not_found(self) -> None:
        # Anybody can invent the ids of connections that are not there, but not of those that are.
        if len(self._entries) > self.max_not_found:
            oldest = next((name for name, entry in self._entries.items() if entry.value is None), None)
            if oldest is not None:
                del self._entries[oldest]
