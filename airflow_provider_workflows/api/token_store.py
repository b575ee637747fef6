"""The tokens of one API key, which its clients share; ``api/exchange.py`` fetches and renews them."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import weakref
from dataclasses import dataclass, field

from airflow_provider_workflows.api.errors import WorkflowsError
from airflow_provider_workflows.api.models import Tokens
from airflow_provider_workflows.api.retry import Backoff

log = logging.getLogger(__name__)

#: Tokens are renewed this many seconds before they expire, or in the last tenth of a shorter life.
EARLY_REFRESH_SECONDS = 60.0


@dataclass
class TokenStore:
    """The tokens of one API key; clients of the same key may share a store.

    Each renewal, successful or not, begins a generation. A call that asked for a renewal in an earlier generation
    takes what that renewal brought, so that two hundred calls with an expired token cause one renewal. A lock keeps
    one renewal under way at a time, for the threads of a process and for the tasks of an event loop.

    A rejected key is not sent again at once, whichever call asks for it: accounts are locked after too many wrong
    secrets (276 were sent within 50 seconds, by the rows of one batch, before there was this pause).

    :param authorization: value of the ``Authorization`` header, or None before the first token
    """

    authorization: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    renew_at: float = float("inf")
    expires_at: float = float("inf")
    generation: int = 0
    failure: WorkflowsError | None = None
    #: How often in a row the key was rejected, or a token that the service had just given for it.
    rejections: int = 0
    #: The key is not sent again before this moment, in seconds of the clients' clock.
    next_authorize_at: float = float("-inf")
    thread_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _loop_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = field(
        default_factory=weakref.WeakKeyDictionary, repr=False
    )

    def loop_lock(self) -> asyncio.Lock:
        """Return the lock of the running event loop's clients; threads have ``thread_lock``."""
        return self._loop_locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    def needs_renewal(self, moment: float) -> bool:
        """Return whether there is no token at ``moment``, or one that expires soon."""
        return self.authorization is None or moment >= self.renew_at

    def is_valid(self, moment: float) -> bool:
        """Return whether there is a token that has not expired at ``moment``, as far as the service has said."""
        return self.authorization is not None and moment < self.expires_at

    def keep(self, tokens: Tokens, moment: float) -> None:
        """Begin a generation with new tokens, received at ``moment``."""
        life = tokens.expiry_duration
        self.generation += 1
        self.failure = None
        self.authorization = f"Bearer {tokens.access_token}"
        self.refresh_token = tokens.refresh_token
        self.expires_at = self.renew_at = float("inf")
        if life is not None and life > 0:
            self.expires_at = moment + life
            self.renew_at = self.expires_at - min(EARLY_REFRESH_SECONDS, life / 10)

    def take(self, organization_token: str) -> None:
        """Use an organization token, for which nothing is authorized."""
        self.failure = None
        self.authorization = organization_token

    def postpone(self, moment: float) -> None:
        """Begin a generation with the old tokens, because an early renewal failed at ``moment``."""
        self.generation += 1
        self.renew_at = (moment + self.expires_at) / 2

    def accept(self) -> None:
        """Take note of a call whose token was accepted: the next pause after a rejected key is a short one."""
        self.rejections = 0

    def reject(self, failure: WorkflowsError, moment: float, backoff: Backoff) -> None:
        """Begin a generation without tokens, because the key was rejected, or a token that was new.

        :param failure: the error of the call that was rejected
        :param moment: when it was, in seconds of the clients' clock
        :param backoff: how the pause grows until the key is sent again
        """
        self.lose(failure)
        self.rejections += 1
        self.next_authorize_at = moment + backoff.seconds(self.rejections)

    def lose(self, failure: WorkflowsError) -> None:
        """Begin a generation without tokens, because a renewal failed."""
        self.generation += 1
        self.failure = failure
        self.authorization = self.refresh_token = None


@functools.cache
def say_deprecated() -> None:
    """Log, once in a process, what the service says of API keys."""
    log.info(
        "The service has deprecated API keys (POST /auth/authorize) in favour of organization tokens, and will "
        "remove them. Make an organization token in its dashboard and put it into the connection's password, with "
        "no login. Until then the key goes on working."
    )
