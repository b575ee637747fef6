"""What the webhook receiver tells a batch that waits: which of its runs have ended, in an XCom of the task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: So many of the latest are kept. What a batch misses, it sees when it looks for itself.
MAX_INBOX_COMPLETIONS = 1000


def add_completions(known: object, statuses: Mapping[str, str]) -> dict[str, Any]:
    """Return the inbox with more of them.

    :param known: the inbox so far, if any
    :param statuses: of workflows that have ended, by id
    """
    number, ended = (known["number"], list(known["ended"])) if isinstance(known, dict) else (0, [])
    for workflow_id, status in statuses.items():
        number += 1
        ended.append([number, workflow_id, status])
    return {"number": number, "ended": ended[-MAX_INBOX_COMPLETIONS:]}


def new_completions(inbox: object, after: int) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the workflow id and the status of each hint after a number."""
    if isinstance(inbox, dict):
        for number, workflow_id, status in inbox["ended"]:
            if number > after:
                yield number, workflow_id, status
