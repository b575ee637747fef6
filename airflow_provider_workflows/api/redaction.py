"""Which fields hold personal data, and how their values are kept out of messages.

The arguments and logs of tasks are redacted by ``operators/redaction.py``, which asks this module.
"""

from __future__ import annotations

import functools
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

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
"""The fields of a case. All hold personal data: a company may be one person."""

PARTY_FIELDS = ("party_details",)
"""Where the service describes a person or company, whatever the names of the parts."""


class PersonalFields:
    """The names of fields that hold personal data: a case's, the service's, and those that a connection adds.

    Spellings do not matter: ``personal_number``, ``personalNumber`` and ``Personal Number`` are one name.

    :param further: the names that a connection adds
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        self._names = frozenset(map(normalized_name, (*CASE_FIELDS, *PARTY_FIELDS, *further)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normalized_name(name) in self._names


class _AllFields(PersonalFields):
    def __contains__(self, name: object) -> bool:
        return True


@functools.lru_cache(maxsize=4096)
def normalized_name(name: str) -> str:
    """Return a field's name without what differs between spellings: case, white space and punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name)).casefold()


STANDARD_FIELDS = PersonalFields()
#: For values whose personal fields are not known: every field counts as one.
ALL_FIELDS: PersonalFields = _AllFields()


_SHOWN_IN_EXCERPTS = frozenset({"status", "code", "fingerprint"})
_JSON_BEGINNING = re.compile(r'^\W{0,8}[{\["]|"\w+"\s*:')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"(?P<name>\s*:)?|$)|-?\d[\d.eE+-]*')
#: As much of a body as an excerpt is made from.
EXCERPT_BYTES = 16384
#: A parameter of a URL's query whose name says that its value is a secret.
_URL_TOKEN = re.compile(
    r"""(?P<name>(?:[?&#;]|%3F|%26|%23)[\w.-]*(?:token|secret|signature|otp)[\w.-]*(?:=|%3D))[^\s&"'<>;)%]+""",
    re.IGNORECASE,
)
# Halves of surrogate pairs stand for bytes of a header that are not UTF-8: text with them can be neither logged
# as JSON nor stored.
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def values_of_personal_fields(value: Any, fields: PersonalFields = STANDARD_FIELDS) -> Iterator[str]:
    """Yield each text and number in the personal fields of ``value``, at any depth, as text."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from all_values(item) if name in fields else values_of_personal_fields(item, fields)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from values_of_personal_fields(item, fields)


def all_values(value: Any) -> Iterator[str]:
    """Yield each text and number in ``value``, at any depth, as text."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from all_values(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from all_values(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def redact_url_tokens(text: str) -> str:
    """Return ``text`` with the tokens and signatures that the URLs in it carry replaced by ``***``.

    :param text: a message of the service, which may repeat the link of an end user, as it is or percent-encoded
    """
    return _URL_TOKEN.sub(rf"\g<name>{REDACTED}", text)


def redact_values(text: str, values: Mapping[str, Any] | None, keep: frozenset[str] = frozenset()) -> str:
    """Return ``text`` with each value that occurs in it replaced by ``***``.

    :param text: a message of the service
    :param values: the body that was sent: its texts, and its numbers of four digits and more, are redacted
    :param keep: values that may show
    """
    secret = {leaf.strip() for leaf in all_values(values or {})} - keep
    for leaf in sorted(secret, key=len, reverse=True):
        if len(leaf) < 2 or (leaf.isdigit() and len(leaf) < 4):
            continue
        for spelling in _spellings(leaf):
            pattern = r"\s+".join(map(re.escape, spelling.split()))
            pattern = pattern if len(leaf) > 4 else rf"(?<!\w){pattern}(?!\w)"
            text = re.sub(pattern, REDACTED, text, flags=re.IGNORECASE)
    return text


def _spellings(value: str) -> Iterator[str]:
    """Yield a value as a message may repeat it: as it is, and as HTML, JSON and a URL write it."""
    plain = [value, *(unicodedata.normalize(form, value) for form in ("NFC", "NFD"))]
    written = [html.escape(value), html.escape(value).replace("&#x27;", "&#39;"), quote(value)]
    yield from dict.fromkeys([*plain, *written, json.dumps(value)[1:-1]])


def one_line(text: str, length: int) -> str:
    """Return ``text`` on one line, without control characters, cut to ``length`` characters."""
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= length else line[: length - 1] + "…"


def excerpt(body: str, length: int = 160) -> str:
    """Return the beginning of a body, fit for a message.

    Of JSON, whole or cut, only the names are shown, and a few values that are never personal data; any other text,
    such as a proxy's page, is shown as it is.

    :param body: the body of a response, or its beginning
    :param length: characters at most
    """
    text = one_line(body.lstrip("\ufeff"), EXCERPT_BYTES)
    return one_line(_names_only(text) if _JSON_BEGINNING.search(text) else text, length)


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
