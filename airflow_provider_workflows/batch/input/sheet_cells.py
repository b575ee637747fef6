"""Read the XML of a workbook's sheet, and of its texts, as a stream."""

from __future__ import annotations

import functools
import re
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any
from xml.parsers import expat

from airflow_provider_workflows.api.errors import InvalidInput

_CHUNK_BYTES = 1 << 16
#: Texts of this size together are kept in memory, others on disk.
_MAX_TEXT_BYTES = 8 << 20
_CACHED_TEXTS = 10_000
_PLACE = re.compile(r"([A-Z]{1,3})[0-9]+")
#: How a workbook writes a character that XML cannot hold.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


@dataclass(slots=True)
class Cell:
    """A cell of a sheet, as the file has it.

    :param kind: the type of what it holds, such as ``"s"`` for a text that it has in common with others
    :param style: the number of its style
    :param content: what it holds; None for nothing
    :param is_formula: whether it is computed
    """

    kind: str = "n"
    style: int = 0
    content: str | None = None
    is_formula: bool = False


@dataclass(slots=True)
class SheetRow:
    """A row of a sheet.

    :param number: as a person sees it
    :param is_shown: whether a person sees it, which a filter may prevent
    :param cells: by their columns, from 0
    """

    number: int
    is_shown: bool
    cells: dict[int, Cell]


class SharedTexts:
    """The texts that the sheets of a workbook have in common, on disk where they are many.

    :param file: the workbook's file of them
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._texts = tempfile.SpooledTemporaryFile(_MAX_TEXT_BYTES)  # noqa: SIM115  (closed by ``close``)
        self._ends = array("Q", [0])
        for text in _Texts().of(file):
            self._texts.write(text.encode("utf-8", "surrogatepass"))
            self._ends.append(self._texts.tell())
        self.text = functools.lru_cache(_CACHED_TEXTS)(self._text)

    def _text(self, number: int) -> str:
        """Return a text by its number.

        :raises IndexError: if there is no such text
        """
        first, end = self._ends[number], self._ends[number + 1]
        self._texts.seek(first)
        return self._texts.read(end - first).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Remove the texts from the disk."""
        self._texts.close()


def sheet_rows(file: IO[bytes]) -> Iterator[SheetRow]:
    """Yield the rows of a sheet that have a cell.

    :param file: the workbook's file of the sheet
    :raises expat.ExpatError: if it is damaged
    """
    return _Sheet().of(file)


class _Stream:
    """A parser that gathers, between two pieces of a file, what it has come upon."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse_entities
        self.found: list[Any] = []
        self._parts: list[str] | None = None
        self._phonetic = 0

    def of(self, file: IO[bytes]) -> Iterator[Any]:
        while chunk := file.read(_CHUNK_BYTES):
            self._parser.Parse(chunk, False)
            yield from self.found
            self.found.clear()
        self._parser.Parse(b"", True)
        yield from self.found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        # How an East Asian text is read aloud is no part of it.
        self._phonetic += name == "rPh"
        self.start(name, attributes)

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        self.end(name)
        self._phonetic -= name == "rPh"

    def _characters(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        raise NotImplementedError


class _Texts(_Stream):
    def __init__(self) -> None:
        super().__init__()
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002  (a text has no attributes)
        if name == "si":
            self._text = ""
        elif name == "t" and not self._phonetic:
            self._parts = []

    def end(self, name: str) -> None:
        if name == "t" and self._parts is not None:
            self._text += "".join(self._parts)
            self._parts = None
        elif name == "si":
            self.found.append(_unescaped(self._text))


class _Sheet(_Stream):
    def __init__(self) -> None:
        super().__init__()
        self._row = SheetRow(0, True, {})
        self._cell = Cell()
        self._column = -1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            number = int(attributes.get("r", self._row.number + 1))
            self._row = SheetRow(number, attributes.get("hidden") not in ("1", "true"), {})
            self._column = -1
        elif name == "c":
            place = _PLACE.fullmatch(attributes.get("r", ""))
            self._column = _column(place[1]) if place else self._column + 1
            self._cell = Cell(attributes.get("t", "n"), int(attributes.get("s", 0)))
        elif name in ("v", "t") and not self._phonetic:
            self._parts = []
        elif name == "f":
            self._cell.is_formula = True

    def end(self, name: str) -> None:
        if name in ("v", "t") and self._parts is not None:
            self._cell.content = (self._cell.content or "") + "".join(self._parts)
            self._parts = None
        elif name == "c":
            if self._cell.content is not None or self._cell.is_formula:
                if self._cell.kind in ("str", "inlineStr"):
                    self._cell.content = _unescaped(self._cell.content or "")
                self._row.cells[self._column] = self._cell
        elif name == "row" and self._row.cells:
            self.found.append(self._row)


def _refuse_entities(*_: object) -> None:
    raise InvalidInput("items is a workbook that no spreadsheet program has written: it defines entities")


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


@functools.lru_cache(1024)
def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
