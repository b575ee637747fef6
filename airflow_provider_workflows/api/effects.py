"""What the exchange hands to a driver, and what it gets back: nothing in here does any input or output."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")


# Those that come with each request are not frozen, for the sake of what that costs.
@dataclass(slots=True)
class SendRequest:
    """SendRequest this request and reply with the ``Response``, or with ``NoResponse``.

    :param timeout: seconds that the whole of the response may take
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Exclusive:
    """Run these flow while no other call of the client runs such flow, and reply with nothing."""

    flow: Flow[None]


@dataclass(slots=True)
class Response:
    """A response as it came. The headers are found by names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoResponse:
    """No response came.

    :param reason: what happened, in a few words
    :param arrived: False when the request surely did not reach the service
    :param tls: whether the TLS handshake was what failed
    """

    reason: str
    arrived: bool
    tls: bool = False


Effect: TypeAlias = "SendRequest | Sleep | Exclusive"
Reply: TypeAlias = "Response | NoResponse | None"
Flow: TypeAlias = Generator[Effect, Any, Result]
"""Flow for a driver to take one after the other, sending each reply back, until they return."""


class NotSent(Exception):
    """Raised by a driver's connection layer when no connection came about; its cause says why."""
