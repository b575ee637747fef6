"""What Airflow's states of a task mean for its page."""

from __future__ import annotations

from airflow.sdk import TaskInstanceState

#: Nothing more happens to the task by itself.
_ENDED = frozenset(
    {
        TaskInstanceState.SUCCESS.value,
        TaskInstanceState.FAILED.value,
        TaskInstanceState.SKIPPED.value,
        TaskInstanceState.UPSTREAM_FAILED.value,
        TaskInstanceState.REMOVED.value,
    }
)
#: The task waits for its next try: a clear begins that at once.
_BETWEEN_TRIES = frozenset({TaskInstanceState.UP_FOR_RETRY.value})


def has_ended(state: str | None) -> bool:
    """Return whether nothing more happens to a task by itself."""
    return state in _ENDED


def has_failed(state: str | None) -> bool:
    """Return whether the latest try of a task has failed."""
    return state == TaskInstanceState.FAILED.value or state in _BETWEEN_TRIES


def may_be_cleared(state: str | None) -> bool:
    """Return whether a clear of the task interrupts no work of it."""
    return state in _ENDED or state in _BETWEEN_TRIES
