"""The encoding of a text file: what its first bytes say, or the argument ``encoding``."""

from __future__ import annotations

import codecs
import functools
import io
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import refuse

#: The marks that say an encoding, the longer ones first: UTF-32's begins as UTF-16's does.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Encodings of Python's own: names of hosts, or the source code of strings.
_NO_FILE_IS_IN = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"))
#: Encodings that exports are in, the likely ones first: Windows (Central and Western Europe, Cyrillic, Greek,
#: Turkish), ISO, DOS.
_OLD_ENCODINGS = (
    "cp1250",
    "cp1252",
    "cp1251",
    "cp1253",
    "cp1254",
    "iso8859-2",
    "iso8859-15",
    "cp852",
    "cp850",
)
_NAMED_ENCODINGS = 3
#: Marks beside letters that a name, an address or a note may have.
_MARKS_IN_TEXT = frozenset(
    "\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2026\u20ac\u00a0\u00a7\u00b0\u00ab\u00bb"
)
#: Begun where letters begin only: from within a run of 100,000 letters, each place took as long as the run.
_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_]*[^\x00-\x7f][^\W\d_]*")
_MIN_WORD = 4
_SAMPLE_BYTES = 4096
_HIGHEST_PLANE = 0x10
#: What stands for a byte that cannot be decoded; "surrogateescape", which is faster, is used for UTF-8.
_UNDECODED = "\udcff"
_ERRORS = "airflow_provider_workflows.undecoded"

UNDECODED_CHARACTERS = "\udc80-\udcff"
"""What stands in a text for bytes that could not be decoded, as a part of a regular expression."""


def _undecoded(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _UNDECODED, error.end


codecs.register_error(_ERRORS, _undecoded)


def require_encoding(encoding: object) -> str | None:
    """Return the name of an encoding of text, as Python has it.

    :param encoding: the name, such as ``"cp1250"`` or ``"utf-16"``; None if a file's own bytes say it
    :raises InvalidInput: if there is no such encoding
    """
    if encoding is None:
        return None
    if not isinstance(encoding, str):
        refuse("encoding", 'the name of an encoding, such as "cp1250"', encoding)
    try:
        name = codecs.lookup(encoding).name
        # What is no encoding of text, such as "base64", is not found here.
        "".encode(name)
        is_of_files = name.replace("-", "_") not in _NO_FILE_IS_IN
    except (LookupError, ValueError):
        is_of_files = False
    if not is_of_files:
        raise InvalidInput('encoding must be the name of an encoding, such as "cp1250" or "utf-16"')
    return name


@dataclass(frozen=True)
class TextFile:
    """A file as text.

    :param text: the text; what could not be decoded is in it as ``UNDECODED_CHARACTERS``
    :param undecoded: returns the reason why a value with such characters cannot be read
    """

    text: io.TextIOWrapper
    undecoded: Callable[[], str]


def as_text(stream: io.BufferedReader[Any], encoding: str | None, *, newline: str) -> TextFile:
    """Return a file as text, in the encoding that it is in.

    :param stream: the file, of which nothing is read yet
    :param encoding: what ``require_encoding`` returned
    :param newline: as ``io.TextIOWrapper`` takes it
    :raises InvalidInput: if the file's first bytes say another encoding, or that it is not in this one
    """
    first = stream.peek(_SAMPLE_BYTES)[:_SAMPLE_BYTES]
    marked = next((name for mark, name in _MARKS.items() if first.startswith(mark)), None)
    if encoding is not None:
        if marked is not None and not _may_be(encoding, marked):
            raise InvalidInput(
                f"items is in {marked.removesuffix('-sig').upper()}, as its first bytes say, and encoding is "
                f"{encoding!r}: leave the argument out"
            )
        text = io.TextIOWrapper(
            stream, marked or _with_order(encoding, first), errors=_ERRORS, newline=newline
        )
        return TextFile(text, lambda: f"is not in the encoding {encoding!r} that the argument encoding says")
    found = marked or _utf_16_without_mark(first)
    if found not in (None, "utf-8-sig"):
        text = io.TextIOWrapper(stream, found, errors=_ERRORS, newline=newline)
        return TextFile(text, lambda: f"is damaged: it is not in {found.upper()} as the rest of the file is")
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline=newline)
    sample = stream.peek(1)
    # Said once: to find likely encodings takes 2 ms, and each cell of the file may need it.
    return TextFile(text, functools.cache(lambda: _not_utf_8(sample)))


def _may_be(encoding: str, marked: str) -> bool:
    """Return whether a file in an encoding may have a mark."""
    family = marked.removesuffix("-sig")
    return (encoding.replace("_", "-").startswith(family) and encoding != "utf-8-sig") or encoding == marked


def _with_order(encoding: str, first: bytes) -> str:
    """Return the name of an encoding that says, too, which of a character's bytes comes first.

    Python reads UTF-16 and UTF-32 without such a name only where a mark at the file's beginning says it.
    """
    if encoding not in ("utf-16", "utf-32"):
        return encoding
    found = _utf_16_without_mark(first) if encoding == "utf-16" else _utf_32_without_mark(first)
    if found is None and first:
        raise InvalidInput(
            f"items is not in {encoding.upper()}, which encoding says, as far as its first bytes show: leave the "
            "argument out for UTF-8. If it is right, say which byte of a character comes first: "
            f'encoding="{encoding}-le" or "{encoding}-be"'
        )
    return found or f"{encoding}-le"


def _utf_32_without_mark(first: bytes) -> str | None:
    whole = first[: len(first) // 4 * 4]
    # Of a character, the highest byte is a zero, and the next one at most 16.
    if whole and not any(whole[3::4]) and max(whole[2::4]) <= _HIGHEST_PLANE:
        return "utf-32-le"
    if whole and not any(whole[0::4]) and max(whole[1::4]) <= _HIGHEST_PLANE:
        return "utf-32-be"
    return None


def _utf_16_without_mark(first: bytes) -> str | None:
    """Return UTF-16's name if the beginning of a file is in it: every other byte of most texts is a NUL then."""
    even, odd = first[::2].count(0), first[1::2].count(0)
    characters = len(first) // 2
    if not characters or max(even, odd) < 0.6 * characters or min(even, odd) > 0.05 * characters:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _not_utf_8(sample: bytes) -> str:
    likely = [name for name in _OLD_ENCODINGS if _is_likely(sample, name)][:_NAMED_ENCODINGS]
    shown = " or ".join(f'"{name}"' for name in likely or _OLD_ENCODINGS[:2])
    return f"is not UTF-8: save the file as UTF-8, or say its encoding: encoding={shown} is likely"


def _is_likely(sample: bytes, encoding: str) -> bool:
    """Return whether text would be words in an encoding: letters of one script, in upper case only at the front."""
    text = sample.decode(encoding, errors="replace")
    words = _WORD.findall(text)
    others = {each for each in text if not each.isascii() and not each.isalpha()}
    return bool(words) and others <= _MARKS_IN_TEXT and all(map(_is_word, words))


def _is_word(word: str) -> bool:
    scripts = {unicodedata.name(letter, "?").split(maxsplit=1)[0] for letter in word}
    # No Latin word has accents on all of its letters.
    is_latin = scripts == {"LATIN"} and (len(word) < _MIN_WORD or any(map(str.isascii, word)))
    return (is_latin or (len(scripts) == 1 and scripts != {"LATIN"})) and (
        word[1:].islower() or word.isupper() or len(word) == 1
    )
