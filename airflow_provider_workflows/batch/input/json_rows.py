"""Read rows out of JSON, an object a line or an array of objects, in bounded memory."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import parse_json
from airflow_provider_workflows.batch.input.encodings import UNDECODED_CHARACTERS, TextFile, as_text
from airflow_provider_workflows.batch.input.json_wrappers import require_rows
from airflow_provider_workflows.batch.input.object_names import with_names_shown
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import ROW_CHARACTERS, ROW_TOO_LONG, Cells
from airflow_provider_workflows.batch.input.unreadable import Unreadable

_CHUNK_CHARACTERS = 1 << 16
_WHITE_SPACE = " \t\r\n"
_UNDECODED = re.compile(f"[{UNDECODED_CHARACTERS}]")
#: What ends a run of other characters: outside of a text, and within one.
_OUTSIDE = re.compile(r'["{}\[\],]')
_WITHIN_TEXT = re.compile(r'["\\]')
#: An object without another within, up to the comma or bracket after it: most rows are one, and are found at once.
_FLAT = re.compile(r'(\{[^{}\[\]"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}\[\]"]*)*\})[ \t\r\n]*([,\]])')


def json_rows(
    stream: io.BufferedReader[Any], skip: int, reading: Reading
) -> Iterator[tuple[int | None, Cells]]:
    """Yield the line at which each row begins, and its cells.

    :param stream: the file
    :param skip: rows at the beginning to pass over
    :param reading: how it is read
    :raises InvalidInput: if the file as a whole cannot be read
    """
    file = as_text(stream, reading.options.encoding, newline="\n")
    first, line = _first_line(file.text)
    is_array = first.lstrip(_WHITE_SPACE).startswith("[")
    if not is_array:
        require_rows(first, reading)
    rows = _Array(file.text, first, line).rows() if is_array else _lines(file, first, line)
    cells = ((number, _cells(text, file.undecoded)) for number, text in islice(rows, skip, None))
    yield from with_names_shown(cells, reading)


def _first_line(text: io.TextIOWrapper) -> tuple[str, int]:
    """Return the first line that is not blank, or the beginning of a long one, and its number."""
    number = 1
    while (line := text.readline(ROW_CHARACTERS + 1)) and line.isspace():
        number += line.endswith("\n")
    return line, number


def _lines(file: TextFile, line: str, number: int) -> Iterator[tuple[int, str]]:
    """Yield number and content of each line that is not blank; of a line that is too long, only its beginning."""
    limit = ROW_CHARACTERS + 1
    while line:
        rest = line
        while len(rest) == limit and not rest.endswith("\n"):
            rest = file.text.readline(limit)
        if not line.isspace():
            yield number, line
        number += 1
        line = file.text.readline(limit)


def _cells(text: str, undecoded: Callable[[], str]) -> Cells:
    if len(text) > ROW_CHARACTERS:
        return Unreadable(ROW_TOO_LONG)
    if not text.isascii() and _UNDECODED.search(text):
        return Unreadable(undecoded())
    try:
        cells = parse_json(text)
    except InvalidInput as problem:
        return Unreadable(str(problem))
    return cells if isinstance(cells, dict) else Unreadable("is not a JSON object")


class _Array:
    """The elements of a JSON array, each as text, found by brackets and quotes alone."""

    def __init__(self, text: io.TextIOWrapper, first: str, line: int) -> None:
        self._text = text
        self._chunk = first
        self._place = 0
        self._line = line

    def rows(self) -> Iterator[tuple[int, str]]:
        """Yield the line at which each element begins, and its text; of a long one, only its beginning."""
        self._take_blanks()
        self._place += 1
        is_first = True
        while True:
            mark = self._take_blanks()
            if mark == "]" and is_first:
                self._place += 1
                break
            line = self._line
            text, end = self._element()
            if not text.strip(_WHITE_SPACE):
                raise _not_an_array()
            yield line, text
            is_first = False
            if end == "]":
                break
        if self._take_blanks():
            raise _not_an_array()

    def _fill(self) -> bool:
        """Return whether there is a character at the place, having read on where the chunk has ended."""
        if self._place >= len(self._chunk):
            self._chunk = self._text.read(_CHUNK_CHARACTERS)
            self._place = 0
        return bool(self._chunk)

    def _take_blanks(self) -> str:
        """Pass over white space, and return the character after it, empty at the end of the file."""
        while self._fill():
            character = self._chunk[self._place]
            if character not in _WHITE_SPACE:
                return character
            self._line += character == "\n"
            self._place += 1
        return ""

    def _element(self) -> tuple[str, str]:
        """Take an element and the comma or bracket after it, and return both."""
        if flat := _FLAT.match(self._chunk, self._place):
            self._line += flat[0].count("\n")
            self._place = flat.end()
            return flat[1], flat[2]
        parts: list[str] = []
        length = depth = 0
        is_text = False
        while self._fill():
            found = (_WITHIN_TEXT if is_text else _OUTSIDE).search(self._chunk, self._place)
            place = found.start() if found else len(self._chunk)
            mark = found[0] if found else ""
            if not is_text and depth == 0 and mark in (",", "]") and found:
                self._keep(parts, place, length)
                self._place = place + 1
                return "".join(parts), mark
            length += self._keep(parts, place + bool(found), length)
            if mark == '"':
                is_text = not is_text
            elif mark == "\\":
                if not self._fill():
                    break
                length += self._keep(parts, self._place + 1, length)
            elif mark in ("{", "["):
                depth += bool(mark)
            elif mark in ("}", "]"):
                depth -= bool(mark)
        raise _not_an_array()

    def _keep(self, parts: list[str], end: int, length: int) -> int:
        """Go on to a place in the chunk, and keep what is before it unless the element is too long already."""
        part = self._chunk[self._place : end]
        self._line += part.count("\n")
        self._place = end
        if length <= ROW_CHARACTERS:
            parts.append(part)
        return len(part)


def _not_an_array() -> InvalidInput:
    return InvalidInput(
        "items is not a whole JSON array: it may be cut, or a bracket, a comma or a quote is missing"
    )
