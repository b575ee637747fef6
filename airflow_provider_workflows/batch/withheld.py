"""Rows that are not submitted before the next clear, because a person has said so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.batch.row_state import RowState

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.journal import Entry

#: The error of a row that was not sent because a person has stopped the submission.
SUBMISSION_STOPPED: Mapping[str, str] = {
    "kind": "SubmissionStopped",
    "message": "A person stopped the submission, so this row was not sent. The next clear submits it.",
}
#: The error of a row that was not sent because a person has asked for others.
NOT_CHOSEN: Mapping[str, str] = {
    "kind": "NotChosen",
    "message": "A person chose other rows to submit, so this row was not sent. The next clear submits it.",
}
_KINDS = (SUBMISSION_STOPPED["kind"], NOT_CHOSEN["kind"])


def withhold(
    states: dict[int, RowState], numbers: Iterable[int], reason: Mapping[str, str]
) -> Iterator[Entry]:
    """Withhold rows in ``states``, and yield what the journal has to say of it.

    :param states: the state of each row that has one, by number; changed
    :param numbers: numbers of rows
    :param reason: the error of those that have no run, and no error of their own
    """
    for number in numbers:
        state = states.get(number)
        if state is None:
            state = states[number] = RowState()
        entry: dict[str, Any] = {"withheld": True}
        if state.has_no_run and state.error is None:
            entry["error"] = dict(reason)
        state.change(entry)
        yield {"row": number, **entry}


def release(states: Mapping[int, RowState]) -> Iterator[Entry]:
    """Have the rows that are withheld be so no more, and yield what the journal has to say of it.

    :param states: the state of each row that has one, by number; changed
    """
    for number, state in states.items():
        if state.withheld:
            entry: dict[str, Any] = {"withheld": None}
            if state.error is not None and state.error.get("kind") in _KINDS:
                entry["error"] = None
            state.change(entry)
            yield {"row": number, **entry}
