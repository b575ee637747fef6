"""What counts as personal data, and how it is kept out of messages."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

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

_SHOWN_IN_EXCERPTS = frozenset({"status", "code", "fingerprint"})
_LOOKS_LIKE_JSON = re.compile(r'^\W{0,8}[{\["]|"\w+"\s*:')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"(?P<name>\s*:)?|$)|-?\d[\d.eE+-]*')
#: What the service tells of a person or company, whatever it calls the parts.
_PARTY_FIELDS = frozenset({"partyDetails", "party_details"})
#: As much of a body as is looked at for a message.
EXCERPT_BYTES = 16384
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def masked(value: Any) -> Any:
    """Return ``value`` with what stands under a personal name replaced by ``***``, at any depth.

    :param value: JSON of any shape, such as a workflow's result
    """
    if isinstance(value, Mapping):
        return {
            name: _all_masked(item) if name in _PARTY_FIELDS else _masked_under(name, item)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


def _masked_under(name: Any, value: Any) -> Any:
    return MASK if name in PERSONAL_FIELDS and value not in (None, [], {}) else masked(value)


def _all_masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _all_masked(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_all_masked(item) for item in value]
    return value if value is None else MASK


def personal_values(value: Any) -> Iterator[str]:
    """Yield every text and number that stands under a personal name in ``value``, at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            personal = name in PERSONAL_FIELDS or name in _PARTY_FIELDS
            yield from leaves(item) if personal else personal_values(item)
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
        for spelling in _spellings(leaf):
            pattern = r"\s+".join(map(re.escape, spelling.split()))
            pattern = pattern if len(leaf) > 4 else rf"(?<!\w){pattern}(?!\w)"
            text = re.sub(pattern, MASK, text, flags=re.IGNORECASE)
    return text


def _spellings(value: str) -> Iterator[str]:
    """Yield a value as it may come back: as it is, and as HTML, JSON and a URL write it."""
    plain = [value, *(unicodedata.normalize(form, value) for form in ("NFC", "NFD"))]
    written = [html.escape(value), html.escape(value).replace("&#x27;", "&#39;"), quote(value)]
    yield from dict.fromkeys([*plain, *written, json.dumps(value)[1:-1]])


def one_line(text: str, length: int) -> str:
    """Return ``text`` on one line, without control characters, cut to ``length`` characters."""
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= length else line[: length - 1] + "…"


def excerpt(body: str, length: int = 160) -> str:
    """Return the beginning of a body that is fit for a message.

    Of what looks like JSON only the names are shown, with a few values that are never personal; any other
    text (a proxy's page, say) is shown as it is.

    :param body: the body of an answer, or its beginning
    :param length: characters at most
    """
    text = one_line(body.lstrip("\ufeff"), EXCERPT_BYTES)
    return one_line(_names_only(text) if _LOOKS_LIKE_JSON.search(text) else text, length)


def _names_only(text: str) -> str:
    name = ""

    def shown(token: re.Match[str]) -> str:
        nonlocal name
        if token["name"]:
            name = token[0].rstrip(": ").strip('"')
            return token[0]
        shown_name, name = name, ""
        if shown_name in _SHOWN_IN_EXCERPTS:
            return token[0]
        return '"…"' if token[0].startswith('"') else "…"

    return _TOKEN.sub(shown, text)
