"""A try's claim to the work of its task, as the tries of a task store it for one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Claim:
    """A try's claim to the work of its task.

    :param token: says whose claim it is
    :param try_number: number of the try
    :param process: names the process that made the claim, on its machine
    :param has_begun: whether that try could begin: one before it had surely stopped
    :param is_released: whether that try has ended in order, and starts nothing more
    :param waits_for: names the processes of earlier tries that may be at work; none once that try has begun
    """

    token: str
    try_number: int
    process: str
    has_begun: bool = False
    is_released: bool = False
    waits_for: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the claim as JSON."""
        # Airflow's task state store takes no tuples.
        return dataclasses.asdict(self) | {"waits_for": list(self.waits_for)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the claim that ``to_json`` made JSON of.

        :raises TypeError: if there are other fields
        """
        return cls(**{**fields, "waits_for": tuple(fields["waits_for"])})

    @property
    def at_work(self) -> tuple[str, ...]:
        """The processes that may be at work while this is the latest claim: its own, or those that it waits for."""
        own = () if self.is_released else (self.process,)
        return own if self.has_begun else (*own, *self.waits_for)


class ClaimStore(Protocol):
    """Keeps the latest claim of a task over its tries."""

    def read(self) -> Claim | None:
        """Return the latest claim, or None before the first."""

    def write(self, record: Claim, /) -> object:
        """Write a claim in place of the one that is there."""
