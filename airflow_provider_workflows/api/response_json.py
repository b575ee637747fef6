"""Read JSON that the service sent: one odd value in it must not lose a run or a result that was paid for.

What Python or JSON cannot express is kept as text, as the service wrote it: a whole number of thousands of digits,
``1e400``, NaN, half of a surrogate pair. What is to be sent is held to more (``strict_json.py``).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NamedTuple

from pydantic_core import from_json

#: A longer body is read in a thread, and so that others have their turn meanwhile: it takes a hundredth of a second
#: and more.
MAX_BYTES_READ_AT_ONCE = 256 * 1024


class NotJson(ValueError):
    """A body that is not JSON; the text says what it is, without a value of it."""


class ReceivedJson(NamedTuple):
    """What a body holds.

    ``kept_as_text`` says what is text in the value because it cannot be anything else: a kind and its number, such
    as ``NaN or Infinity (2)``. It is empty if the value is what was sent.
    """

    value: Any
    kept_as_text: str = ""


def parse_response(body: bytes) -> ReceivedJson:
    """Return the value of a body that is JSON.

    :param body: JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark
    :raises NotJson: saying why it is not
    """
    if len(body) <= MAX_BYTES_READ_AT_ONCE:
        try:
            # Five times as fast as Python's own, and a poll has some 80 microseconds.
            value = from_json(body, allow_inf_nan=False)
        except ValueError:
            # Something is odd: what, the careful way finds out.
            pass
        else:
            if not _holds_infinity(value):
                return ReceivedJson(value)
    return _parse_carefully(body)


_SURROGATES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def _holds_infinity(value: Any) -> bool:
    """Return whether a number is beyond the range of a float, which ``from_json`` takes for infinity."""
    # A search of the text for such a number takes longer than this.
    values = [value]
    for each in values:
        kind = type(each)
        if kind is str:
            continue
        if kind is float:
            if math.isinf(each):
                return True
        elif kind is dict:
            values += each.values()
        elif kind is list:
            values += each
    return False


def _parse_carefully(body: bytes) -> ReceivedJson:
    kinds: Counter[str] = Counter()

    def kept(kind: str, text: str) -> str:
        kinds[kind] += 1
        return text

    def whole_number(text: str) -> int | str:
        try:
            return int(text)
        except ValueError:
            return kept("a number of thousands of digits", text)

    def float_or_text(text: str) -> float | str:
        number = float(text)
        return kept("a number beyond the range of a float", text) if math.isinf(number) else number

    def without_half(match: re.Match[str]) -> str:
        # A backslash more makes the escape the text that the service wrote.
        return f"\\{kept('half of a surrogate pair', match[0])}" if match["half"] else match[0]

    decoder = json.JSONDecoder(
        parse_constant=lambda text: kept("NaN or Infinity", text),
        parse_float=float_or_text,
        parse_int=whole_number,
        # A function in Python for each object, so that other threads have their turn while a large body is read.
        object_hook=lambda value: value,
        strict=False,
    )
    text = _text(body, kinds)
    try:
        value = decoder.decode(_SURROGATES.sub(without_half, text))
    except json.JSONDecodeError as error:
        raise NotJson(_reason(text, error)) from None
    except RecursionError:
        raise NotJson("JSON that is nested too deeply") from None
    return ReceivedJson(value, ", ".join(f"{kind} ({number})" for kind, number in kinds.items()))


def _text(body: bytes, kinds: Counter[str]) -> str:
    try:
        # With a byte order mark or without, as RFC 4627 told them apart.
        return body.decode(json.detect_encoding(body)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        text = body.decode("utf-8-sig", errors="replace")
        kinds["bytes that are not UTF-8, in place of which there is U+FFFD"] = text.count("\ufffd")
        return text


def _reason(text: str, error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return "JSON with something behind it"
    text = text.strip()
    is_open = text[:1] in _CLOSING and text[-1:] != _CLOSING[text[:1]]
    return "JSON that ends in the middle" if is_open or not text else "a body that is not JSON"


_CLOSING = {"{": "}", "[": "]"}
