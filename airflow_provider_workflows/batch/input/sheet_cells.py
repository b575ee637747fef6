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
from airflow_provider_workflows.batch.input.rows import CELL_CHARACTERS, ROW_CHARACTERS

_CHUNK_BYTES = 1 << 16
#: Texts of this size together are kept in memory, others on disk.
_MAX_TEXT_BYTES = 8 << 20
_CACHED_TEXTS = 10_000
#: Longer texts are hardly there twice, and together would fill the memory.
_MAX_CACHED_BYTES = 1000
MAX_COLUMNS = 16_384
"""As many columns a spreadsheet has."""
#: Bytes of one tag with its attributes, and tags within each other, of which a few hundred and ten are usual.
_MAX_TAG_BYTES = 1 << 20
_MAX_DEPTH = 100
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
    :param cells: by their columns, from 0; empty ones where the row is too long
    :param characters: of what its cells hold
    """

    number: int
    is_shown: bool
    cells: dict[int, Cell]
    characters: int = 0


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
        self._short_text = functools.lru_cache(_CACHED_TEXTS)(self._text)

    def text(self, number: int) -> str:
        """Return a text by its number.

        :raises IndexError: if there is no such text
        """
        size = self._ends[number + 1] - self._ends[number]
        return self._short_text(number) if size <= _MAX_CACHED_BYTES else self._text(number)

    def _text(self, number: int) -> str:
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
        self._depth = 0
        #: Characters that are still kept of a cell.
        self._room = 0

    def of(self, file: IO[bytes]) -> Iterator[Any]:
        size = 0
        while chunk := file.read(_CHUNK_BYTES):
            size += len(chunk)
            self._parser.Parse(chunk, False)
            if size - self._parser.CurrentByteIndex > _MAX_TAG_BYTES:
                raise of_no_program("a tag is too long")
            yield from self.found
            self.found.clear()
        self._parser.Parse(b"", True)
        yield from self.found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        # How an East Asian text is read aloud is no part of it.
        self._phonetic += name == "rPh"
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise of_no_program("its tags are too deep")
        self.start(name, attributes)

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        self.end(name)
        self._phonetic -= name == "rPh"
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._parts is not None and self._room > 0:
            self._parts.append(text[: self._room])
            self._room -= len(text)

    def unescaped(self, text: str) -> str:
        """Return a text as it is meant; one that was cut as it is, so that it stays too long for a cell."""
        return _unescaped(text) if self._room > 0 else text

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
            self._room = CELL_CHARACTERS + 1
        elif name == "t" and not self._phonetic:
            self._parts = []

    def end(self, name: str) -> None:
        if name == "t" and self._parts is not None:
            self._text += "".join(self._parts)
            self._parts = None
        elif name == "si":
            self.found.append(self.unescaped(self._text))


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
            if self._column >= MAX_COLUMNS:
                raise of_no_program(f"it has more than {MAX_COLUMNS:,} columns")
            self._room = CELL_CHARACTERS + 1
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
                    self._cell.content = self.unescaped(self._cell.content or "")
                self._keep(self._cell)
        elif name == "row" and self._row.cells:
            self.found.append(self._row)

    def _keep(self, cell: Cell) -> None:
        """Keep a cell, and of a row that is too long that it is so."""
        row = self._row
        row.characters += len(cell.content or "")
        if row.characters > ROW_CHARACTERS:
            cell = Cell()
        row.cells[self._column] = cell


def of_no_program(reason: str) -> InvalidInput:
    """Return the error for a workbook that no spreadsheet program has written.

    :param reason: how that is seen
    """
    return InvalidInput(f"items is a workbook that no spreadsheet program has written: {reason}")


def _refuse_entities(*_: object) -> None:
    raise of_no_program("it defines entities")


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


@functools.lru_cache(1024)
def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
