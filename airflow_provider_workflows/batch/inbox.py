"""The inbox of a batch that waits: the completions that webhooks have brought, in an XCom of the task.

Its format is ``{"number": last, "ended": [[number, workflow id, status], ...]}``. The webhook app adds to it, the
trigger of the batch reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: The inbox keeps this many of the latest completions. A batch that misses one sees it with its next poll.
MAX_INBOX_COMPLETIONS = 1000


def add_completions(inbox: object, statuses: Mapping[str, str]) -> dict[str, Any]:
    """Return an inbox with completions added.

    :param inbox: the inbox so far; None for a new one
    :param statuses: of runs that have ended, by id
    """
    number, ended = (inbox["number"], list(inbox["ended"])) if isinstance(inbox, dict) else (0, [])
    for workflow_id, status in statuses.items():
        number += 1
        ended.append([number, workflow_id, status])
    return {"number": number, "ended": ended[-MAX_INBOX_COMPLETIONS:]}


def new_completions(inbox: object, after: int) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the workflow id and the status of each completion after a number.

    :param inbox: the inbox, or None
    :param after: the number of the last completion that was read; 0 for all
    """
    if isinstance(inbox, dict):
        for number, workflow_id, status in inbox["ended"]:
            if number > after:
                yield number, workflow_id, status
