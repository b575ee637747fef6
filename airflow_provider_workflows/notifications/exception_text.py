"""What an alert says of an exception that is not this package's own: its words, without what may be personal."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_workflows.airflow_internals.secrets_masker import masked
from airflow_provider_workflows.api.redaction import REDACTED, all_values, one_line, redact_values

MAX_TEXT_CHARACTERS = 400

#: Python quotes the values that an exception is about; addresses and numbers stand for themselves.
_QUOTED = re.compile(
    r"(?<!\w)(?P<quote>['\"`]).*?(?P=quote)(?!\w)|[\u201c\u201e].*?[\u201c\u201d]", re.DOTALL
)
_WORD_WITH_MASK = re.compile(r"\S*\*{3}\S*")
_MASKS = re.compile(r"\*{3}(?:\s+\*{3})+")
_ADDRESS = re.compile(r"[^\s@<>(),;:]+@[^\s@<>(),;:]+")
_ID_OR_NUMBER = re.compile(
    r"(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)|\+?\d(?:[\s./-]?\d){3,}", re.IGNORECASE
)


def exception_text(exception: BaseException, task: Any) -> str:
    """Return the words of an exception that a task of this package has met; empty text if they cannot be redacted.

    Left out is what Airflow masks in logs, what the task holds redacted, and each text in quotes, mail address and
    number of four digits or more: ids of the service's stay.

    :param exception: what was raised
    :param task: the operator or sensor that ran
    """
    original = one_line(str(exception), 4 * MAX_TEXT_CHARACTERS)
    text = masked(original)
    if text is None:
        return ""
    held = {value for value in _redacted_values(task) if value.strip() and value.strip() in original}
    cut = [value for value in held if value.strip() not in text]
    if cut:
        # Airflow masks a first name that was an argument of its own, and would leave the last name behind it.
        text = _WORD_WITH_MASK.sub(REDACTED, text)
        held |= {word for value in cut for word in value.split()}
    text = redact_values(text, {"held": sorted(held)})
    text = _MASKS.sub(REDACTED, text)
    text = _ADDRESS.sub(REDACTED, _QUOTED.sub(REDACTED, text))
    text = _ID_OR_NUMBER.sub(lambda found: found["id"] or REDACTED, text)
    return one_line(text, MAX_TEXT_CHARACTERS)


def _redacted_values(task: Any) -> set[str]:
    values: set[str] = set()
    for value in vars(task).values():
        values |= _held_in(value)
    return values


def _held_in(value: Any) -> set[str]:
    if type(value).__name__ == "Redacted":
        return set(all_values(value.value))
    if isinstance(value, dict):
        return set().union(*map(_held_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(_held_in, value))
    return set()
