"""Texts that cannot be the name of a person or a company, or an e-mail address, as they stand in a table."""

from __future__ import annotations

import re
import unicodedata

from airflow_provider_workflows.api.errors import InvalidInput

NAMES = frozenset(("first_name", "last_name", "company_name", "company_address"))
OF_PERSONS = frozenset(("first_name", "last_name"))

#: Between letters of some scripts, these two change how they are written.
_JOINERS = "\u200c\u200d"
_TAB = "\t"
_LINE_ENDS = "\n\r"
#: The two characters of a letter whose bytes in UTF-8 were read as those of cp1252, Latin 1 or cp1250.
SHOWS_OTHER_ENCODING = re.compile(r"[\u00c2-\u00c5\u0102\u0139][^\x00-\x7f]")
_ENCODINGS = ("cp1252", "cp1250", "latin-1")
_OTHER_ENCODING = (
    "is text in UTF-8 that was read in another encoding: leave the argument encoding out, or export the table "
    "again as UTF-8"
)
NO_EMAIL = "is not written as one e-mail address"
"""What is wrong with text that is no address, or more than one."""
#: One address with nothing around it. Which domains there are is not asked.
_EMAIL = re.compile(r"[^\s,;<>:@]+@[^\s,;<>:@]+")


def begins_with_letter(text: str) -> bool:
    """Return whether a text begins with a letter, so that it is more than a number."""
    return text[:1].isalpha()


def require_name(field: str, text: str) -> None:
    """Return if a text may be the name or the address of a person or a company.

    :param field: one of ``NAMES``
    :param text: without white space around it
    :raises InvalidInput: saying what is wrong, never the text
    """
    if field in OF_PERSONS and any(map(str.isdigit, text)) and not any(map(str.isalpha, text)):
        raise InvalidInput("has digits and no letter, so it is nobody's name: is it from another column?")
    require_shown(text, but=_TAB if field in OF_PERSONS else _TAB + _LINE_ENDS)
    if SHOWS_OTHER_ENCODING.search(text) and _is_decoded_wrongly(text):
        raise InvalidInput(_OTHER_ENCODING)


def require_email(text: str) -> None:
    """Return if a text may be one e-mail address; ``checks`` asks for more.

    :param text: without white space around it
    :raises InvalidInput: saying what is wrong, never the text
    """
    require_shown(text)
    if not _EMAIL.fullmatch(text):
        raise InvalidInput(NO_EMAIL)


def require_shown(text: str, *, but: str = "") -> None:
    """Return if no character of a text is one that does not show.

    :param text: the text
    :param but: such characters that may be in it
    :raises InvalidInput: saying so, never the text
    """
    if text.isprintable():
        return
    if any(
        unicodedata.category(character) in ("Cc", "Cf") and character not in but + _JOINERS
        for character in text
    ):
        raise InvalidInput("holds a character that does not show: remove it")


def _is_decoded_wrongly(text: str) -> bool:
    for encoding in _ENCODINGS:
        try:
            meant = text.encode(encoding).decode()
        except UnicodeError:
            continue
        if all(character.isascii() or character.isalpha() for character in meant):
            return not any(map(_is_of_capitals, SHOWS_OTHER_ENCODING.finditer(text)))
    return False


def _is_of_capitals(found: re.Match[str]) -> bool:
    """Return whether two characters may stand in a name in capitals, as in the Romanian ``Paşcu`` in capitals."""
    return found[0][1].isupper() and not found.string[found.end() : found.end() + 1].islower()
