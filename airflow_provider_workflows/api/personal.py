"""What counts as personal data, and how it is kept out of messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.alias_generators import to_camel

MASK = "***"

CASE_FIELDS = (
    "first_name",
    "last_name",
    "personal_number",
    "email",
    "phone",
    "company_name",
    "company_number",
    "company_address",
    "documents",
)
"""The fields of a case, all of which are personal: a company may be one person."""

PERSONAL_FIELDS = frozenset(CASE_FIELDS) | {to_camel(name) for name in CASE_FIELDS}
"""Names under which personal values travel, in Python's spelling and the wire's."""

_SHOWN_IN_EXCERPTS = frozenset({"status", "code", "error", "fingerprint", "type", "title"})
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"(?P<name>\s*:)?|$)|-?\d[\d.eE+-]*')
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def masked(value: Any) -> Any:
    """Return ``value`` with what stands under a personal name replaced by ``***``, at any depth.

    :param value: JSON of any shape, such as a workflow's result
    """
    if isinstance(value, Mapping):
        return {
            name: MASK if name in PERSONAL_FIELDS and item not in (None, [], {}) else masked(item)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


def personal_values(value: Any) -> Iterator[str]:
    """Yield every text and number that stands under a personal name in ``value``, at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item) if name in PERSONAL_FIELDS else personal_values(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from personal_values(item)


def leaves(value: Any) -> Iterator[str]:
    """Yield every text and number in ``value``, as text."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def without(text: str, values: Mapping[str, Any] | None, keep: frozenset[str] = frozenset()) -> str:
    """Return ``text`` with each value that occurs in it replaced by ``***``.

    :param text: a message from outside
    :param values: what was sent, whose texts and longer numbers must not come back in a message
    :param keep: values that may
    """
    secret = {leaf.strip() for leaf in leaves(values or {})} - keep
    for leaf in sorted(secret, key=len, reverse=True):
        if len(leaf) < 2 or (leaf.isdigit() and len(leaf) < 4):
            continue
        pattern = re.escape(leaf) if len(leaf) > 4 else rf"(?<!\w){re.escape(leaf)}(?!\w)"
        text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
    return text


def one_line(text: str, length: int) -> str:
    """Return ``text`` on one line, without control characters, cut to ``length`` characters."""
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= length else line[: length - 1] + "…"


def excerpt(body: bytes, length: int = 160) -> str:
    """Return the beginning of a body that is fit for a message.

    Of what looks like JSON only the names are shown, with a few values that are never personal; any other
    text (a proxy's page, say) is shown as it is.

    :param body: the body of an answer
    :param length: characters at most
    """
    text = one_line(body[: 16 * length].decode("utf-8", errors="replace"), 4 * length)
    if text.startswith(("{", "[", '"')):
        text = _names_only(text)
    return one_line(text, length)


def _names_only(text: str) -> str:
    name = ""

    def shown(token: re.Match[str]) -> str:
        nonlocal name
        if token["name"]:
            name = token[0].rstrip(": ").strip('"')
            return token[0]
        if name in _SHOWN_IN_EXCERPTS:
            return token[0]
        return '"…"' if token[0].startswith('"') else "…"

    return _TOKEN.sub(shown, text)
