"""What is wrong with one value of a row, whatever source it comes from.

Spreadsheets and data frames change what a person has typed: a personal number becomes a number and loses its
leading zeros, or a float; an empty cell becomes text that says so. Each would be sent, and billed, for nobody.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.models import IDENTIFIERS
from airflow_provider_workflows.arguments import refuse

#: An example of an identifier's length, for the messages.
_LENGTHS = {"personal_number": 11, "company_number": 10}
_PHONE_FIELDS = frozenset({"phone_country_code", "phone_number"})
_NUMBER_FIELDS = frozenset({*IDENTIFIERS, *_PHONE_FIELDS, "key"})

#: Text that a spreadsheet, a data frame or a database has put in the place of an empty cell, or of an error. Not
#: "Null" or "Na": these are family names.
_EMPTY_WORDS = frozenset(
    (
        *("NULL", "null", "nan", "NaN", "NAN", "<NA>", "NaT", "N/A", "n/a", "\\N"),
        *("#N/A", "#N/D", "#N/D!", "#NULL!", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!"),
        *("#BRAK!", "#ARG!", "#ADR!", "#LICZBA!", "#NAZWA?", "#ZERO!"),
    )
)
_DECIMAL_POINT = re.compile(r"\s*[+-]?\d+[.,]0*\s*")
_EXPONENT = re.compile(r"\s*[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+\s*")
_APOSTROPHES = "'\u2019\u02bc`"
_MAX_LENGTH = 50
_ZERO_PAD = "a number of digits for personal_number or company_number, such as {'personal_number': 11}"


def require_zero_pad(zero_pad: object) -> Mapping[str, int] | None:
    """Return the lengths to which numbers are padded with zeros.

    :param zero_pad: number of digits by ``personal_number`` and ``company_number``, or None
    :raises InvalidInput: if it is something else
    """
    if zero_pad is None:
        return None
    if not isinstance(zero_pad, Mapping):
        refuse("zero_pad", f"a dict of {_ZERO_PAD}", zero_pad)
    for name, length in zero_pad.items():
        if name not in IDENTIFIERS or type(length) is not int or not 1 <= length <= _MAX_LENGTH:
            raise InvalidInput(f"zero_pad must have {_ZERO_PAD}")
    return dict(zero_pad)


def require_value(name: str, value: Any) -> None:
    """Return if a value may be what its field says.

    :param name: name of the field
    :param value: what the source has for it; not empty
    :raises InvalidInput: saying what is wrong, never the value
    """
    if isinstance(value, str):
        _require_text(name, value)
    elif name in IDENTIFIERS and isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        raise InvalidInput(
            f"is a number, so its leading zeros may be lost; read the column as text{_or_zero_pad(name)}"
        )
    elif isinstance(value, (Mapping, list, tuple)):
        require_no_nul(value)
        if name == "phone" and isinstance(value, Mapping):
            _require_parts(value)


def zero_padded(name: str, value: Any, length: int) -> Any:
    """Return a whole number, or the text of one, as that many digits; any other value as it is.

    :param name: name of the field
    :param value: what the source has for it
    :param length: number of digits
    :raises InvalidInput: if it has more digits, or digits may be lost
    """
    digits = _whole_number(value)
    if digits is None:
        return value
    if len(digits) > length:
        raise InvalidInput(f"has {len(digits)} digits, and zero_pad says {length} for {name}")
    return digits.zfill(length)


def _whole_number(value: Any) -> str | None:
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit():
            return text
        return re.split("[.,]", text)[0] if _DECIMAL_POINT.fullmatch(text) and text[0].isdigit() else None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    if not math.isfinite(value) or value < 0 or value != int(value):
        return None
    # A float holds whole numbers up to 2 ** 53, beyond which digits are lost.
    return None if isinstance(value, float) and value > 2**53 else str(int(value))


def _require_text(name: str, value: str) -> None:
    if "\0" in value:
        raise InvalidInput("holds a NUL byte")
    if name in ("parameters", "documents", "phone"):
        return
    text = value.strip()
    if text in _EMPTY_WORDS:
        raise InvalidInput(
            "is text that stands for an empty cell or an error: leave the cell empty, or mend it"
        )
    shows = text.isascii() and text.isprintable()
    if not shows and all(unicodedata.category(character)[0] in "CZ" for character in text):
        raise InvalidInput("has only characters that do not show: leave the cell empty, or mend it")
    if name in _NUMBER_FIELDS and not text.isdigit():
        _require_digits(name, text)


def _require_digits(name: str, text: str) -> None:
    if _DECIMAL_POINT.fullmatch(text) or _EXPONENT.fullmatch(text):
        raise InvalidInput(
            "is a number that a spreadsheet or a data frame has changed, so digits may be lost; read the column as "
            f"text{_or_zero_pad(name)}"
        )
    if name == "key":
        return
    digits = text.translate({ord(mark): None for mark in _APOSTROPHES})
    if digits != text and digits.strip().isdigit():
        raise InvalidInput(
            "has an apostrophe beside its digits: a spreadsheet has put it there, leave it away"
        )
    if name in IDENTIFIERS and len(text.split()) > 1 and "".join(text.split()).isdigit():
        raise InvalidInput("has blanks between its digits: leave them away")


def _or_zero_pad(name: str) -> str:
    return f", or set zero_pad={{'{name}': {_LENGTHS[name]}}}" if name in IDENTIFIERS else ""


def _require_parts(phone: Mapping[Any, Any]) -> None:
    for name, value in phone.items():
        if value is None or isinstance(value, (Mapping, list)):
            continue
        try:
            require_value("phone_number", value)
        except InvalidInput as problem:
            # A name that the API does not have may be personal.
            part = f"{name} " if name in ("number", "country_code", "countryCode") else ""
            raise InvalidInput(f"{part}{problem}") from None


def require_no_nul(value: Any) -> None:
    """Return if no text in an object or a list has a NUL, which databases and files cannot hold.

    :param value: an object, a list or text
    :raises InvalidInput: if one has
    """
    values: list[Any] = [value]
    seen: set[int] = set()
    while values:
        each = values.pop()
        if isinstance(each, str):
            if "\0" in each:
                raise InvalidInput("holds a NUL byte")
        elif isinstance(each, (Mapping, list, tuple)) and id(each) not in seen:
            # One that contains itself is refused later, in words of its own.
            seen.add(id(each))
            values += [*each, *each.values()] if isinstance(each, Mapping) else each
