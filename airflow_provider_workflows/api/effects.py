"""What the exchange asks of a driver, and what it gets back: nothing in here does any input or output."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from airflow_provider_workflows.api.uploads import FormBody

Result = TypeVar("Result")


# Those that are made for each request are not frozen: a frozen dataclass takes longer to make.
@dataclass(slots=True)
class SendRequest:
    """Send this request and reply with the ``Response``, or with ``NoResponse``.

    :param timeout: seconds that the whole of the response may take
    :param repeatable: whether it may be sent again, whatever became of it
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | FormBody | None = field(repr=False)
    timeout: float
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for a number of seconds, and reply with nothing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Compute:
    """Call a function that takes long, not on an event loop, and reply with what it returns."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Exclusive:
    """Run this flow while no other call of the client runs one, and reply with nothing."""

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


Effect: TypeAlias = "SendRequest | Sleep | Compute | Exclusive"
#: What a driver sends back: a ``Response`` or ``NoResponse``, what a function returned, or None.
Reply: TypeAlias = object
Flow: TypeAlias = Generator[Effect, Any, Result]
"""A generator of effects: a driver carries out each one and sends the reply back, until there is a result."""


class Guard(Protocol):
    """What a driver's requests and pauses go through."""

    def sending(self, request: SendRequest) -> AbstractContextManager[None]:
        """Return the context in which a request is sent and its response read.

        :param request: the request
        :raises WorkflowsError: if the request must not be sent
        """

    def sleep(self, seconds: float) -> None:
        """Sleep for a number of seconds, between two attempts of a call.

        :raises WorkflowsError: if there must not be another attempt
        """


class NotSent(Exception):
    """Raised by a driver's connection layer when no connection could be made; its cause says why."""
