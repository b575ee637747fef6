"""The ids of cases, parameters, workflows and definitions: UUIDs, and the one check of them."""

from __future__ import annotations

import re
import uuid

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.counted import counted

#: How an id is written, as errors say it.
WRITTEN_AS = "an id is written like 3b2d8a4f-579f-4e2e-a51c-f859e532fe8c"

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_id(text: str) -> bool:
    """Return whether ``text`` is a UUID in the form with four hyphens (RFC 9562, section 4), and nothing else."""
    return _UUID.fullmatch(text) is not None


def is_same_id(one: str, other: str) -> bool:
    """Return whether two ids are the same, whatever their case, braces, hyphens and ``urn:uuid:``."""
    if one == other:
        return True
    try:
        return uuid.UUID(one.strip()) == uuid.UUID(other.strip())
    except ValueError:
        return False


def require_id(argument: str, value: object) -> str:
    """Return ``value`` without the white space around it.

    :param argument: the argument's name, for the error
    :param value: what was given as an id
    :raises InvalidInput: if ``value`` is not a UUID as text; the error does not repeat the value, which may be
        a personal number in the wrong place
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{argument} must be an id as text, not {type(value).__name__}")
    text = value.strip()
    if is_id(text):
        return text
    if not text:
        reason = "is empty"
    elif text == "None":
        reason = "is the text 'None', so a template found nothing to put there"
    elif "{{" in text or "{%" in text:
        reason = "still holds a template"
    else:
        reason = f"has {counted(len(text), 'character')} and not the form of an id"
    raise InvalidInput(f"{argument} {reason}; {WRITTEN_AS}")
