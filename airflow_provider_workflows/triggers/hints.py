"""What the webhook receiver tells a batch that waits: which of its runs have ended, in an XCom of the task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: The XCom that holds the hints: ``{"number": last, "ended": [[number, workflow id, status], ...]}``.
HINTS_KEY = "webhook_hints"
#: So many of the latest are kept. What a batch misses, it sees when it looks for itself.
KEPT_HINTS = 1000


def with_hints(known: object, statuses: Mapping[str, str]) -> dict[str, Any]:
    """Return the hints with more of them.

    :param known: the hints so far, if any
    :param statuses: of workflows that have ended, by id
    """
    number, ended = (known["number"], list(known["ended"])) if isinstance(known, dict) else (0, [])
    for workflow_id, status in statuses.items():
        number += 1
        ended.append([number, workflow_id, status])
    return {"number": number, "ended": ended[-KEPT_HINTS:]}


def new_hints(hints: object, after: int) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the workflow id and the status of each hint after a number."""
    if isinstance(hints, dict):
        for number, workflow_id, status in hints["ended"]:
            if number > after:
                yield number, workflow_id, status
