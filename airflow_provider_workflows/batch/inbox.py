"""The inbox of a batch that waits: the completions of its runs that webhooks have brought, in XComs of the task.

The webhook app adds to it, the trigger of the batch reads it. It is written in segments, so that a completion costs
a small write however many came before: the latest segment is the XCom ``INBOX_KEY``, and one that is full moves to
an XCom of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.xcom_keys import INBOX_KEY

FORMAT = 1
#: A segment with this many completions is full. Each is written again with those that follow it in its segment.
MAX_SEGMENT_COMPLETIONS = 16
#: This many full segments are kept. A batch that misses a completion sees it with its next poll.
MAX_FULL_SEGMENTS = 256


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
        """The key of its XCom once it is full."""
        return f"{INBOX_KEY}_{self.number % MAX_FULL_SEGMENTS}"

    @property
    def is_full(self) -> bool:
        """Whether the next completion goes into another segment."""
        return len(self.completions) >= MAX_SEGMENT_COMPLETIONS

    def after(self, statuses: Mapping[str, str]) -> InboxSegment:
        """Return the latest segment once completions were added: this one, or the next if this one is full.

        :param statuses: of runs that have ended, by id
        """
        number = self.completions[-1][0] if self.completions else 0
        added = tuple((number + nth, *item) for nth, item in enumerate(statuses.items(), start=1))
        if self.is_full:
            return InboxSegment(self.number + 1, added)
        return InboxSegment(self.number, self.completions + added)


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
        if latest.number < self._segment:
            # Somebody has deleted the XCom, and the webhook app has begun anew.
            self._segment, self._number = 1, 0
        segments = [segment async for segment in self._full_segments(latest.number)] + [latest]
        new = [completion for segment in segments for completion in self._new(segment)]
        self._segment = latest.number
        if latest.completions:
            self._number = latest.completions[-1][0]
        return [(workflow_id, status) for _, workflow_id, status in new]

    async def _full_segments(self, before: int) -> AsyncIterator[InboxSegment]:
        for number in range(max(self._segment, before - MAX_FULL_SEGMENTS), before):
            segment = InboxSegment.from_json(await self._read(InboxSegment(number).key))
            # Another may have been written over it meanwhile.
            if segment.number == number:
                yield segment

    def _new(self, segment: InboxSegment) -> Iterator[tuple[int, str, str]]:
        return (completion for completion in segment.completions if completion[0] > self._number)
