"""What the exchange hands to a driver, and what it gets back: nothing in here does any input or output."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")


# Those that come with each request are not frozen, for the sake of what that costs.
@dataclass(slots=True)
class Send:
    """Send this request and reply with the ``Response``, or with ``Lost``.

    :param patience: seconds that the whole of the answer may take
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    patience: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alone:
    """Run these steps while no other call of the client runs such steps, and reply with nothing."""

    steps: Steps[None]


@dataclass(slots=True)
class Response:
    """An answer as it came. The headers are found by names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came.

    :param reason: what happened, in a few words
    :param arrived: False when the request surely did not reach the service
    :param tls: whether the TLS handshake was what failed
    """

    reason: str
    arrived: bool
    tls: bool = False


Step: TypeAlias = "Send | Sleep | Alone"
Reply: TypeAlias = "Response | Lost | None"
Steps: TypeAlias = Generator[Step, Any, Result]
"""Steps for a driver to take one after the other, sending each reply back, until they return."""


class NotSent(Exception):
    """Raised by a driver's connection layer when no connection came about; its cause says why."""
