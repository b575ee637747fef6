"""Links to files that are signed, and hold for a short time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from airflow_provider_workflows.sandbox.responses import Refusal

LINK_SECONDS = 300.0


class SignedLinks:
    """Sign links and check them.

    :param clock: returns monotonic seconds
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def link(self, url: str, name: str) -> str:
        """Return ``url`` with a signature that holds for ``LINK_SECONDS``.

        :param name: what it is a link to
        """
        expires = f"{self._clock() + LINK_SECONDS:.3f}"
        return f"{url}?{urlencode({'expires': expires, 'signature': self._signature(name, expires)})}"

    def check(self, name: str, expires: str | None, signature: str | None) -> None:
        """Check the signature of a link.

        :param name: what it is a link to
        :raises Refusal: 400 without a signature, 403 if it is wrong or has expired
        """
        if not (expires and signature):
            raise Refusal(400, "SIGNATURE_REQUIRED", "The link is not signed.")
        right = self._signature(name, expires)
        # Compared as bytes: text of a client may hold what is not ASCII.
        if not hmac.compare_digest(right.encode(), signature.encode()):
            raise Refusal(403, "INVALID_SIGNATURE", "The signature of the link is wrong.")
        if float(expires) <= self._clock():
            raise Refusal(403, "LINK_EXPIRED", "The link has expired.")

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._key, f"{name} {expires}".encode(), hashlib.sha256).hexdigest()
