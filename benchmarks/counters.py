"""Numbers that the service counts and the measured process reads, in a file that both have in memory."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path

_NAMES = ("polls", "connections", "distinct")
_BYTES = 8 * len(_NAMES)


@dataclass(frozen=True)
class Counts:
    """What the service had counted at one moment.

    :param polls: status calls that were answered
    :param connections: TLS connections that were opened
    :param distinct: runs that were asked for at least once
    """

    polls: int
    connections: int
    distinct: int


class Counters:
    """The numbers themselves; reading and writing them costs neither a call of the system nor a connection.

    :param file: where they are; created with zeros if it does not exist
    """

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(_BYTES))
        with file.open("r+b") as opened:
            self._numbers = memoryview(mmap.mmap(opened.fileno(), _BYTES)).cast("Q")

    def write(self, polls: int, connections: int, distinct: int) -> None:
        """Publish the numbers."""
        self._numbers[0], self._numbers[1], self._numbers[2] = polls, connections, distinct

    def read(self) -> Counts:
        """Return the numbers."""
        return Counts(self._numbers[0], self._numbers[1], self._numbers[2])
