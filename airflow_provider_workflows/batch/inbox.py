"""The inbox of a batch that waits: the completions of its runs that webhooks have brought, in XComs of the task.

The webhook app adds to it, the trigger of the batch reads it. It is written in segments, so that a completion costs
one small write however many came before: the latest segment is the XCom ``INBOX_KEY``. Once that is full, what
comes next closes it: the two are written to an XCom of the segment's own. What comes then begins the next segment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.xcom_keys import INBOX_KEY

FORMAT = 1
#: A segment with this many completions is full. Each is written again with those that follow it in its segment.
MAX_SEGMENT_COMPLETIONS = 15
#: This many closed segments are kept. A batch that misses a completion sees it with its next poll.
MAX_CLOSED_SEGMENTS = 256


@dataclass(frozen=True, slots=True)
class InboxSegment:
    """A part of an inbox.

    :param number: which part it is, from 1
    :param completions: a number from 1, the workflow's id and its status for each completion
    """

    number: int = 1
    completions: tuple[tuple[int, str, str], ...] = ()

    @classmethod
    def from_json(cls, fields: object) -> InboxSegment:
        """Return what ``to_json`` described, or the first segment, empty, if it is anything else."""
        if not isinstance(fields, Mapping) or fields.get("format") != FORMAT:
            return cls()
        return cls(
            fields["segment"], tuple((number, name, status) for number, name, status in fields["ended"])
        )

    def to_json(self) -> dict[str, Any]:
        """Return the segment as JSON, for an XCom."""
        return {"format": FORMAT, "segment": self.number, "ended": [list(each) for each in self.completions]}

    @property
    def key(self) -> str:
        """The key of its XCom once it is closed."""
        return f"{INBOX_KEY}_{self.number % MAX_CLOSED_SEGMENTS}"

    @property
    def is_full(self) -> bool:
        """Whether the next completion closes it."""
        return len(self.completions) >= MAX_SEGMENT_COMPLETIONS

    def closed_by(self, other: InboxSegment) -> bool:
        """Return whether another one is this segment and what has closed it."""
        return self.number == other.number and (
            len(other.completions) > len(self.completions)
            and other.completions[: len(self.completions)] == self.completions
        )

    def after(self, statuses: Mapping[str, str], *, number: int | None = None) -> InboxSegment:
        """Return this segment, or the next one, with more completions.

        :param statuses: of runs that have ended, by id
        :param number: of the next segment, which begins with them; None to add them to this one
        """
        last = self.completions[-1][0] if self.completions else 0
        added = tuple((last + nth, *item) for nth, item in enumerate(statuses.items(), start=1))
        return (
            InboxSegment(self.number, self.completions + added)
            if number is None
            else InboxSegment(number, added)
        )


def next_write(read: Callable[[str], object], statuses: Mapping[str, str]) -> tuple[str, InboxSegment]:
    """Return the one XCom that is written for completions: its key, and what it then holds.

    :param read: returns an XCom of the task by its key, or None
    :param statuses: of runs that have ended, by id
    """
    latest = InboxSegment.from_json(read(INBOX_KEY))
    if not latest.is_full:
        return INBOX_KEY, latest.after(statuses)
    closed = InboxSegment.from_json(read(latest.key))
    if latest.closed_by(closed):
        return INBOX_KEY, closed.after(statuses, number=latest.number + 1)
    return latest.key, latest.after(statuses)


class InboxReader:
    """Reads an inbox again and again, each time what is new in it.

    :param read: returns an XCom of the task by its key, or None
    """

    def __init__(self, read: Callable[[str], Awaitable[object]]) -> None:
        self._read = read
        self._segment = 1
        self._number = 0

    async def new_completions(self) -> list[tuple[str, str]]:
        """Return the workflow id and the status of each completion that came since the last time."""
        latest = InboxSegment.from_json(await self._read(INBOX_KEY))
        if latest.is_full:
            closed = InboxSegment.from_json(await self._read(latest.key))
            latest = closed if latest.closed_by(closed) else latest
        if latest.number < self._segment:
            # Somebody has deleted the XCom, and the webhook app has begun anew.
            self._segment, self._number = 1, 0
        segments = [segment async for segment in self._closed_segments(latest.number)] + [latest]
        new = [completion for segment in segments for completion in self._new(segment)]
        self._segment = latest.number
        if latest.completions:
            self._number = latest.completions[-1][0]
        return [(workflow_id, status) for _, workflow_id, status in new]

    async def _closed_segments(self, before: int) -> AsyncIterator[InboxSegment]:
        for number in range(max(self._segment, before - MAX_CLOSED_SEGMENTS), before):
            segment = InboxSegment.from_json(await self._read(InboxSegment(number).key))
            # Another may have been written over it meanwhile.
            if segment.number == number:
                yield segment

    def _new(self, segment: InboxSegment) -> Iterator[tuple[int, str, str]]:
        return (completion for completion in segment.completions if completion[0] > self._number)
