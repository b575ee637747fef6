"""What is wrong with one value of a row, whatever source it comes from.

Spreadsheets and data frames change what a person has typed: a personal number becomes a number and loses its
leading zeros, or a float; an empty cell becomes text that says so. Each would be sent, and billed, for nobody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from numbers import Number
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import IDENTIFIERS
from airflow_provider_workflows.batch.input.columns import RECORD_PREFIX
from airflow_provider_workflows.batch.input.names import (
    NAMES,
    OF_PERSONS,
    SHOWS_OTHER_ENCODING,
    begins_with_letter,
    require_email,
    require_name,
)
from airflow_provider_workflows.batch.input.scalars import text_of, whole_number_of
from airflow_provider_workflows.batch.input.spreadsheet_errors import BEGINS_ERROR, is_spreadsheet_error

#: An example of an identifier's length, for the messages.
_LENGTHS = {"personal_number": 11, "company_number": 10}
NUMBERS = frozenset({*IDENTIFIERS, "phone_country_code", "phone_number"})
#: Fields in which no name of a person or a company can stand.
_NO_NAMES = frozenset({*NUMBERS, "email"})
_OBJECTS = frozenset({"phone", "documents", "parameters", "record"})

#: Text that a spreadsheet, a data frame or a database has put in the place of an empty cell or of an error, in
#: exactly this spelling; ``is_spreadsheet_error`` knows those with "#". Not "Null", "None", "Na" or "NAN", which
#: are family names.
EMPTY_WORDS = frozenset(
    (
        *(
            "NULL",
            "null",
            "(NULL)",
            "(null)",
            "[NULL]",
            "[null]",
            "<NULL>",
            "<null>",
            "\\N",
            "<NA>",
            "N/A",
            "n/a",
        ),
        # As Snowflake writes \\N, and reports and pivot tables an empty cell.
        *("\\\\N", "(No value)", "(no value)", "(blank)", "(none)", "(None)", "(empty)", "(Empty)"),
        *("(puste)", "(Leer)", "(leer)", "(vide)", "(prázdné)", "n/d", "N/D", "b/d", "B/D"),
        *("nan", "NaN", "-nan", "-NaN", "NaT", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND"),
        # A formula's error in LibreOffice, also in Polish and German.
        *(f"{word}:{number}" for word in ("Err", "Błąd", "Fehler") for number in range(501, 541)),
    )
)
#: Words that stand for nothing in a field where no name can stand, in any case.
_EMPTY_WORDS_BUT_NAMES = frozenset(("null", "none", "nil", "na", "nan", "nat", "undefined"))

_DECIMAL_POINT = re.compile(r"[+-]?\d+[.,]0*")
#: With a sign, or behind a fraction: "12E10" is an ordinary key.
_EXPONENT = re.compile(r"[+-]?\d+(?:[.,]\d+[eE][+-]?|[eE]\+)\d+")
#: What a spreadsheet has put beside digits to keep them text: an apostrophe, or a formula such as ="007".
APOSTROPHE = "\u02bc"
"""The only mark of ``_MARKS`` that Unicode takes for a letter."""
_MARKS = "'\u2018\u2019\u02bc`\u00b4=\"\u201c\u201d\u201e"
_WITHOUT_MARKS = {ord(mark): None for mark in _MARKS}

MOST_ORDINARY_CHARACTERS = 200
BEGINS_LINE = "-_=\N{EN DASH}"
"""Characters that make the line below the header of a printed list, as SAP writes one."""
#: One or two stand for a name that a person does not have. Excel prints ``####`` where a column is too narrow.
_LINE = re.compile(rf"[{re.escape(BEGINS_LINE)}]{{3,}}|#{{2,}}")
#: What a program has put in the place of a letter that an encoding did not have, or of bytes that were none.
LOST = "\N{REPLACEMENT CHARACTER}"
_LOST_REASON = (
    "has a character that was lost when the table was saved in another encoding: export it again as UTF-8"
)
#: As a number is written, and no identifier is: SAP has the minus behind it.
_SIGNED = re.compile(r"[+\-\N{MINUS SIGN}]\s*\d+|\d+\s*[+\-\N{MINUS SIGN}]")
HAS_DIGIT = re.compile(r"\d")
#: What a program shows in place of digits that are not for everybody.
_IN_PLACE_OF_DIGITS = "*\N{BULLET}\N{BLACK CIRCLE}\N{HORIZONTAL ELLIPSIS}"
_BEGINS_WITHOUT_DIGITS = re.compile(r"[xX]{3}")
#: What is beside a number where it was cut out of a list or of an object.
_AROUND = ";,.:#{}[]<>|/\\_"
#: Begins what is not as it is sent, or is no value.
_BEGINS_ODD = f" {BEGINS_ERROR}{BEGINS_LINE}"


def _is_ordinary_key(key: str) -> bool:
    """Return whether a key is letters and digits, with hyphens among them as in a UUID or not."""
    letters_and_digits = key.replace("-", "").replace("_", "")
    return letters_and_digits.isalnum() and key[0] != "-" and APOSTROPHE not in key


def _is_ordinary_name(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not SHOWS_OTHER_ENCODING.search(text))


def _is_ordinary_name_of_person(text: str) -> bool:
    return _is_ordinary_name(text) and (begins_with_letter(text) or not HAS_DIGIT.search(text))


#: By field, what surely has neither marks nor characters that do not show in it.
_ORDINARY: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(NAMES, _is_ordinary_name),
    **dict.fromkeys(OF_PERSONS, _is_ordinary_name_of_person),
    **dict.fromkeys(NUMBERS, re.compile(r"[0-9]+").fullmatch),
    "email": re.compile(r"[!-+\--9=?A-~]+@[!-+\--9=?A-~]+").fullmatch,
    "key": _is_ordinary_key,
}

EMPTY_REASON = "is text that stands for an empty cell or an error: leave the cell empty, or correct it"
"""What is wrong with text that is no value."""
_MARKS_REASON = "has an apostrophe beside its digits, or a quote: a spreadsheet has put it there; remove it"
_CHANGED_REASON = (
    "is a number that a spreadsheet or a data frame has changed, so digits may be lost; read the column as "
    "text"
)


def is_ordinary(name: str, value: Any) -> bool:
    """Return whether a value is short text in which nothing is wrong, with no white space around it.

    Most values are. To see that takes a part of the time of ``require_value``.

    :param name: name of the field
    :param value: what the source has for it
    """
    is_ordinary_text = _ORDINARY.get(name)
    return (
        is_ordinary_text is not None
        and type(value) is str
        and 0 < len(value) <= MOST_ORDINARY_CHARACTERS
        and bool(is_ordinary_text(value))
        and value not in EMPTY_WORDS
        and value[0] not in _BEGINS_ODD
        and value[-1] != " "
        and LOST not in value
    )


def is_header(cells: Mapping[Any, Any]) -> bool:
    """Return whether a row has the name of each column for its value, as the first line of a file that was joined.

    :param cells: the value of each column
    """
    return bool(cells) and all(type(value) is str and value == name for name, value in cells.items())


def decimal_in(name: str, value: Decimal) -> Decimal | int | str:
    """Return a decimal as a field has it: a fraction is text, such as ``1.50``, but where the field says it is not.

    :param name: name of the field
    :param value: the decimal
    """
    is_no_text = name in IDENTIFIERS or name == "phone" or name.startswith(RECORD_PREFIX)
    return whole_number_of(value) if is_no_text else text_of(value)


def require_value(name: str, value: Any) -> None:
    """Return if a value may be what its field says.

    :param name: name of the field
    :param value: what the source has for it, read from JSON where it is an object; not empty
    :raises InvalidInput: saying what is wrong, never the value
    """
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidInput("holds a NUL byte")
        if name not in _OBJECTS:
            _require_text(name, value.strip())
    elif name in IDENTIFIERS and isinstance(value, Number) and not isinstance(value, bool):
        raise InvalidInput(
            f"is a number, so its leading zeros may be lost; read the column as text{_or_zero_pad(name)}"
        )
    elif name == "phone" and isinstance(value, Number):
        raise InvalidInput("is a number, so a + or zeros in front may be lost; read the column as text")
    elif isinstance(value, (Mapping, list, tuple)):
        _require_no_nul(value)
        if name == "phone" and isinstance(value, Mapping):
            _require_parts(value)
        elif name == "documents" and isinstance(value, list):
            _require_documents(value)


def _require_text(name: str, text: str) -> None:
    if (
        text in EMPTY_WORDS
        or is_spreadsheet_error(text)
        or (name in NAMES and _LINE.fullmatch(text))
        or (name in _NO_NAMES and text.casefold() in _EMPTY_WORDS_BUT_NAMES)
    ):
        raise InvalidInput(EMPTY_REASON)
    shows = text.isprintable() or [unicodedata.category(character)[0] not in "CZ" for character in text]
    if shows is not True and not any(shows):
        raise InvalidInput("has only characters that do not show: leave the cell empty, or correct it")
    if LOST in text:
        raise InvalidInput(_LOST_REASON)
    if name in NUMBERS:
        _require_number(name, text, shows=shows is True or all(shows))
    elif name in NAMES:
        require_name(name, text)
    elif name == "email":
        require_email(text)
    elif name == "key":
        _require_unchanged(name, text)
        if text != (digits := text.strip(_MARKS)) and digits.isdigit():
            raise InvalidInput(_MARKS_REASON)


def _require_number(name: str, text: str, *, shows: bool) -> None:
    """Return if the text of an identifier or of a part of a phone may be right."""
    if not any(map(str.isalnum, text)):
        raise InvalidInput(EMPTY_REASON)
    if not text.isascii() and any(each.isdigit() and not each.isascii() for each in text):
        raise InvalidInput("has digits of another script or size: write 0 to 9")
    _require_unchanged(name, text)
    without_marks = text.translate(_WITHOUT_MARKS)
    if without_marks != text and without_marks.strip().isdigit():
        raise InvalidInput(_MARKS_REASON)
    if name in IDENTIFIERS and _SIGNED.fullmatch(text):
        raise InvalidInput("has a + or - before or behind its digits: remove it")
    if name in IDENTIFIERS:
        _require_identifier(text)
    # A phone is often written with blanks, and is understood so.
    if name in IDENTIFIERS and not text.isdigit():
        for mark, separated in (("blanks", text.split()), ("commas", text.split(","))):
            if len(separated) > 1 and "".join(separated).isdigit():
                raise InvalidInput(f"has {mark} between its digits: remove them")
    if not shows and any(unicodedata.category(character)[0] == "C" for character in text):
        raise InvalidInput("holds a character that does not show: remove it")


def _require_identifier(text: str) -> None:
    """Return if a text may be a number by which somebody is known, whichever country has given it."""
    if not HAS_DIGIT.search(text):
        raise InvalidInput("has no digit, so it is no number: leave the cell empty, or correct it")
    if any(mark in text for mark in _IN_PLACE_OF_DIGITS) or _BEGINS_WITHOUT_DIGITS.match(text):
        raise InvalidInput("has marks in place of digits: export the table with whole numbers")
    if text[0] in _AROUND or text[-1] in _AROUND:
        raise InvalidInput("has a mark before or behind it: remove it")


def _require_unchanged(name: str, text: str) -> None:
    if _DECIMAL_POINT.fullmatch(text):
        raise InvalidInput(f"{_CHANGED_REASON}{_or_zero_pad(name)}")
    if _EXPONENT.fullmatch(text):
        raise InvalidInput(_CHANGED_REASON)


def _or_zero_pad(name: str) -> str:
    return f", or set zero_pad={{'{name}': {_LENGTHS[name]}}}" if name in IDENTIFIERS else ""


def _require_parts(phone: Mapping[Any, Any]) -> None:
    for name, value in phone.items():
        if not isinstance(value, str) or not value or value.isspace():
            continue
        try:
            _require_text("phone_number", value.strip())
        except InvalidInput as problem:
            # A name that the API does not have may be personal.
            part = f"{name} " if name in ("number", "country_code", "countryCode") else ""
            raise InvalidInput(f"{part}{problem}") from None


def _require_documents(documents: list[Any]) -> None:
    for number, document in enumerate(documents, 1):
        for value in document.values() if isinstance(document, Mapping) else ():
            if isinstance(value, str) and value and not value.isspace():
                try:
                    _require_text("documents", value.strip())
                except InvalidInput as problem:
                    raise InvalidInput(f"item {number} {problem}") from None


def _require_no_nul(value: Any) -> None:
    """Return if no text in an object or a list has a NUL, which databases and files cannot hold."""
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
