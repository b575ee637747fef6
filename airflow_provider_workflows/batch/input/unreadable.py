"""What cannot be read of an input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in the place of a row or a cell that cannot be read."""

    reason: str
