"""What counts as personal data, and how it is kept out of messages."""

from __future__ import annotations

import functools
import hashlib
import hmac
import html
import json
import math
import numbers
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from airflow_provider_workflows.api.errors import InvalidInput

REDACTED = "***"

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

PARTY_FIELDS = ("party_details",)
"""What the service tells of a person or company, whatever it calls the parts."""


class PersonalFields:
    """The names of fields whose values are personal: a case's, the service's own, and what a connection adds.

    However they are spelled: ``personal_number``, ``personalNumber`` and ``Personal Number`` are one name.

    :param further: names that are personal besides
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        self._names = frozenset(map(_plain, (*CASE_FIELDS, *PARTY_FIELDS, *further)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _plain(name) in self._names


class _AllFields(PersonalFields):
    def __contains__(self, name: object) -> bool:
        return True


@functools.lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name)).casefold()


_PARTY = frozenset(map(_plain, PARTY_FIELDS))
STANDARD_FIELDS = PersonalFields()
#: For where it cannot be told what is personal.
ALL_FIELDS: PersonalFields = _AllFields()


def personal_number_hash(number: object, secret: str) -> str | None:
    """Return the keyed hash of a personal number: the same number and secret give the same, for joins without it.

    It is the HMAC-SHA256, in hexadecimal, of the number as text in UTF-8, without the white space around it; a
    number of JSON is the text of its digits. Leading zeros count.

    :param number: text or a whole number; None, NaN (a table's missing value), a truth value and blank text have
        no hash
    :param secret: the connection's ``hash_secret``
    :raises InvalidInput: for what is neither, such as a float, whose text is not the number's
    """
    if number is None or isinstance(number, bool) or (isinstance(number, float) and math.isnan(number)):
        return None
    if not isinstance(number, (str, numbers.Integral)):
        raise InvalidInput(f"a personal number is text or a whole number, not {type(number).__name__}")
    text = str(number).strip()
    # JSON can express half a pair of surrogates, which UTF-8 cannot.
    content = text.encode(errors="surrogatepass")
    return hmac.new(secret.strip().encode(), content, hashlib.sha256).hexdigest() if text else None


def personal_number_in(value: Any) -> str | int | None:
    """Return the personal number of whom a case or a result is about, None where it tells none.

    In a result that has ``partyDetails`` it is the first one there, outer ones before inner ones: elsewhere there
    may be those of others. Without them it is the first one anywhere.

    :param value: JSON of any shape
    """
    fields = value.items() if isinstance(value, Mapping) else ()
    party = [item for name, item in fields if _plain(str(name)) in _PARTY]
    level: list[Any] = party or [value]
    while level:
        for item in level:
            for name, found in item.items() if isinstance(item, Mapping) else ():
                if _plain(str(name)) == "personalnumber" and _is_number(found):
                    return cast("str | int", found)
        level = [
            inner
            for item in level
            if isinstance(item, (Mapping, list, tuple))
            for inner in (item.values() if isinstance(item, Mapping) else item)
        ]
    return None


def _is_number(found: object) -> bool:
    return bool(found.strip()) if isinstance(found, str) else type(found) is int


_SHOWN_IN_EXCERPTS = frozenset({"status", "code", "fingerprint"})
_LOOKS_LIKE_JSON = re.compile(r'^\W{0,8}[{\["]|"\w+"\s*:')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"(?P<name>\s*:)?|$)|-?\d[\d.eE+-]*')
#: As much of a body as is polled for a message.
EXCERPT_BYTES = 16384
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def personal_values(value: Any, fields: PersonalFields = STANDARD_FIELDS) -> Iterator[str]:
    """Yield every text and number that stands under a personal name in ``value``, at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item) if name in fields else personal_values(item, fields)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from personal_values(item, fields)


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


def redact_values(text: str, values: Mapping[str, Any] | None, keep: frozenset[str] = frozenset()) -> str:
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
            text = re.sub(pattern, REDACTED, text, flags=re.IGNORECASE)
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

    :param body: the body of a response, or its beginning
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
