"""Phones as people write them, split into calling code and number by a strict rule.

What is not certain is refused: a phone that is split wrongly is the phone of somebody else, and the check is paid.
That is why there is no library in here: those that there are take the first number that they find in a text, and
judge by tables that change with each of their releases, so that a row could be bad for one worker and good for the
next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import refuse
from airflow_provider_workflows.batch.input.calling_codes import (
    CALLING_CODES,
    LENGTHS,
    MAX_DIGITS,
    OTHER_LENGTHS,
    TRUNK_PREFIXES,
    WITH_LEADING_ZERO,
)

_LONGEST_CODE = 3
_CODE_NAMES = ("country_code", "countryCode")
_REQUIREMENT = "the digits of a country's calling code as text, such as '48'"

#: What stands between groups of digits; the hyphens and blanks of word processors among them.
_SEPARATORS = r" \u00a0\u2007\u2009\u202f.\-\u2010\u2011\u2012\u2013"
_GROUPS = rf"[0-9]+(?:[{_SEPARATORS}]+[0-9]+)*"
#: Digits in groups, one of the first of which may be in brackets, and one slash as in German numbers.
_WRITTEN = re.compile(
    rf"(?P<prefix>\+[{_SEPARATORS}]*|00[{_SEPARATORS}]*)?(?P<before>(?:{_GROUPS})?)[{_SEPARATORS}]*"
    rf"(?:\((?P<brackets>{_GROUPS})\)[{_SEPARATORS}]*)?(?P<after>(?:{_GROUPS})?(?:/(?P<slash>{_GROUPS}))?)"
)
_WRITTEN_CODE = re.compile(r"(?:\+|00)\s*(?P<digits>[0-9](?:[ -]?[0-9])*)")
_NUMBER_WITH_FRACTION = re.compile(r"[+-]?\d+[.,]0*")
#: Of the text of a phone, so that no other text takes long to be refused.
_MOST_CHARACTERS = 40
#: Fewer digits than this behind a slash are a second number, or an extension.
_DIGITS_AFTER_SLASH = 5

_CHANGED = "is a number that a spreadsheet has changed, so digits may be lost; read the column as text"
_NOT_A_PHONE = (
    "is not a phone number as +48 600 700 800: it has other characters, an extension, or more than one number"
)
_WITHOUT_CODE = (
    "has no calling code: write it as +48 600 700 800, or set default_country_code for numbers without one"
)


def require_country_code(code: object) -> str | None:
    """Return the calling code of phones that have none.

    :param code: the argument ``default_country_code``: digits as text, with or without ``+`` or ``00``; or None
    :raises InvalidInput: if it is not a calling code
    """
    if code is None:
        return None
    if not isinstance(code, str):
        refuse("default_country_code", _REQUIREMENT, code)
    digits = plain_code(code.strip())
    if digits not in CALLING_CODES:
        raise InvalidInput(f"default_country_code must be {_REQUIREMENT}, not {code!r}")
    return digits


def plain_code(code: str) -> str:
    """Return a calling code without ``+`` or ``00`` in front, and any other text as it is.

    :param code: such as ``"+48"``, ``"0048"`` or ``"48"``
    """
    written = _WRITTEN_CODE.fullmatch(code.strip())
    return re.sub(r"\D", "", written["digits"]) if written else code


def split_phone(text: str, default_country_code: str | None = None) -> dict[str, str]:
    """Return calling code and number of a phone that is written as people write it.

    :param text: such as ``"+48 600 700 800"``, ``"0048600700800"`` or ``"(600) 700-800"``
    :param default_country_code: the calling code of numbers that have none; None to refuse these
    :raises InvalidInput: saying what is wrong, never the number; whatever could be read in two ways is refused
    """
    text = text.strip()
    if _NUMBER_WITH_FRACTION.fullmatch(text):
        raise InvalidInput(_CHANGED)
    written = _WRITTEN.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if written is None or (written["slash"] is not None and not _is_long(written["slash"])):
        raise InvalidInput(_NOT_A_PHONE)
    before, brackets, after = (_digits(written[name]) for name in ("before", "brackets", "after"))
    if written["prefix"] is None:
        if default_country_code is None:
            raise InvalidInput(_WITHOUT_CODE)
        number = f"{before}{brackets}{after}"
        if (
            number.startswith(default_country_code)
            and len(number) > LENGTHS.get(default_country_code, (0, 99))[1]
        ):
            # As in (48) 600 700 800: it is too long to be without its calling code, and no other country has it.
            number = number.removeprefix(default_country_code)
        return _phone(default_country_code, number)
    digits = f"{before}{brackets}{after}"
    beginnings = (digits[:length] for length in range(1, _LONGEST_CODE + 1))
    code = next((beginning for beginning in beginnings if beginning in CALLING_CODES), None)
    if code is None:
        raise InvalidInput("begins with what is not the calling code of a country")
    if brackets == "0" and before == code:
        # As in +44 (0)20 7946 0018: only within the country a 0 is written there.
        if TRUNK_PREFIXES.get(code) != "0":
            raise InvalidInput(f"has (0) behind +{code}, where no such 0 is written: remove it")
        return _phone(code, after)
    return _phone(code, digits.removeprefix(code))


def finished_phone(phone: Mapping[str, Any], default_country_code: str | None = None) -> dict[str, Any]:
    """Return a phone in its two parts, its calling code without ``+`` or ``00`` and its number without the code.

    :param phone: the parts, as the row has them
    :param default_country_code: the calling code of numbers that have none
    :raises InvalidInput: if the number has another calling code than its part says, or its own in front
        without a +, or digits of another script
    """
    finished = dict(phone)
    code_name = next((name for name in _CODE_NAMES if name in phone), "country_code")
    code, number = phone.get(code_name), phone.get("number")
    if type(code) is str and type(number) is str and is_plain_phone(code, number):
        # Most are so: to see that takes a part of the time.
        return finished
    if isinstance(code, str):
        code = plain_code(code)
        finished[code_name] = code
    text = str(number).strip() if isinstance(number, (str, int)) and not isinstance(number, bool) else ""
    if not text:
        return finished
    has_code = isinstance(code, int) or (isinstance(code, str) and bool(code.strip()))
    if not has_code and (text.startswith(("+", "00")) or default_country_code is not None):
        return {**finished, **_named(code_name, split_phone(text, default_country_code))}
    if has_code and text.startswith(("+", "00")):
        split = split_phone(text)
        if split["country_code"] != str(code).strip():
            raise InvalidInput("has another calling code than its country code says")
        return {**finished, **_named(code_name, split)}
    if any(character.isdigit() and not character.isascii() for character in text):
        raise InvalidInput("has digits of another script: write it with 0 to 9")
    if has_code and _repeats_code(str(code).strip(), _digits(text)):
        raise InvalidInput(
            "begins with its calling code, and is too long with it: remove the code, or write + in front"
        )
    return finished


def is_plain_phone(code: str, number: str) -> bool:
    """Return whether a phone in two parts is sent as it is: digits alone, without a calling code in the number.

    :param code: the calling code
    :param number: the number
    """
    return _is_plain(code) and _is_plain(number) and not _repeats_code(code, number)


def _repeats_code(code: str, number: str) -> bool:
    # As 48 and 48600700800: under +48 that is nobody's phone, or somebody else's.
    return number.startswith(code) and len(number) > LENGTHS.get(code, OTHER_LENGTHS)[1]


def _is_plain(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and digits[0] != "0"


def _named(code_name: str, split: Mapping[str, str]) -> dict[str, str]:
    return {code_name: split["country_code"], "number": split["number"]}


def _is_long(behind_slash: str) -> bool:
    return len(_digits(behind_slash)) >= _DIGITS_AFTER_SLASH


def _digits(text: str | None) -> str:
    return re.sub("[^0-9]", "", text or "")


def _phone(code: str, number: str) -> dict[str, str]:
    shortest, longest = LENGTHS.get(code, OTHER_LENGTHS)
    longest = min(longest, MAX_DIGITS - len(code))
    trunk = TRUNK_PREFIXES.get(code)
    if trunk is not None and number.startswith(trunk) and (trunk[0] == "0" or len(number) > longest):
        number = number.removeprefix(trunk)
    if number.startswith("0") and code not in WITH_LEADING_ZERO:
        raise InvalidInput(
            f"begins with 0, and it is not certain what that says under +{code}: write it as +{code} ..."
        )
    if not shortest <= len(number) <= longest:
        expected = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        raise InvalidInput(
            f"has {len(number)} digits behind the calling code, and numbers of +{code} have {expected}; a number "
            "that begins with its calling code is written with + in front"
        )
    return {"country_code": code, "number": number}
