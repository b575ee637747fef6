"""Keyed hashes in the place of personal numbers, for joins without the numbers."""

from __future__ import annotations

import hashlib
import hmac
import math
import numbers
from collections.abc import Mapping
from typing import Any, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.redaction import PARTY_FIELDS, normalized_name

_PARTY = frozenset(map(normalized_name, PARTY_FIELDS))
_PERSONAL_NUMBER = normalized_name("personal_number")


def personal_number_hash(number: object, secret: str) -> str | None:
    """Return the keyed hash of a personal number: the same number and secret give the same hash.

    It is the HMAC-SHA256, in hexadecimal, of the number as text in UTF-8, without the white space around it. A
    JSON number counts as the text of its digits. Leading zeros count.

    :param number: text or a whole number; None, NaN (a table's missing value), a bool and blank text have no hash
    :param secret: the connection's ``hash_secret``
    :return: 64 hexadecimal digits, or None where there is no number
    :raises InvalidInput: if ``number`` is of another type, such as a float, whose text differs from the number's
    """
    if number is None or isinstance(number, bool) or (isinstance(number, float) and math.isnan(number)):
        return None
    if not isinstance(number, (str, numbers.Integral)):
        raise InvalidInput(f"a personal number is text or a whole number, not {type(number).__name__}")
    text = str(number).strip()
    # JSON can express half a pair of surrogates, which UTF-8 cannot.
    content = text.encode(errors="surrogatepass")
    return hmac.new(secret.strip().encode(), content, hashlib.sha256).hexdigest() if text else None


def secret_fingerprint(secret: str, salt: str) -> str:
    """Return what tells one secret of hashes from another, and nothing of the secret.

    :param secret: the connection's ``hash_secret``
    :param salt: random text, kept beside the fingerprint
    :return: 16 hexadecimal digits
    """
    return hmac.new(secret.strip().encode(), f"fingerprint {salt}".encode(), hashlib.sha256).hexdigest()[:16]


def find_personal_number(value: Any) -> str | int | None:
    """Return the personal number of the person that a case or a result is about, or None if it is missing.

    In a result that has ``partyDetails`` it is the first one there, outer ones before inner ones: elsewhere there
    may be those of other people. Without ``partyDetails`` it is the first one anywhere.

    :param value: JSON of any shape
    """
    fields = value.items() if isinstance(value, Mapping) else ()
    party = [item for name, item in fields if normalized_name(str(name)) in _PARTY]
    level: list[Any] = party or [value]
    while level:
        for item in level:
            for name, found in item.items() if isinstance(item, Mapping) else ():
                if normalized_name(str(name)) == _PERSONAL_NUMBER and _is_number(found):
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
