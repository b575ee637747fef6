"""Read rows out of a workbook (``.xlsx``), each cell as text as it is shown, in bounded memory."""

from __future__ import annotations

import contextlib
import io
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any
from xml.parsers import expat

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.identifiers import IDENTIFIERS
from airflow_provider_workflows.batch.input.cell_columns import ReadCells, behind
from airflow_provider_workflows.batch.input.cells import EMPTY_REASON, NUMBERS
from airflow_provider_workflows.batch.input.compression import StoredFile, damaged, seekable
from airflow_provider_workflows.batch.input.empty_rows import without_empty_end
from airflow_provider_workflows.batch.input.names import OF_PERSONS
from airflow_provider_workflows.batch.input.number_formats import shown_number
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.rows import ROW_CHARACTERS, ROW_TOO_LONG, Cells
from airflow_provider_workflows.batch.input.sheet_cells import Cell, SharedTexts, SheetRow, sheet_rows
from airflow_provider_workflows.batch.input.sheets import Sheet, Workbook, chosen_sheet, read_workbook
from airflow_provider_workflows.batch.input.unreadable import Unreadable
from airflow_provider_workflows.counted import counted

#: Rows by which a header is told from a person where no column has a field.
_SAMPLE_ROWS = 20
#: A spreadsheet keeps 15 digits of a number, and makes zeros of the others.
_MAX_WHOLE = 10**15
#: Fields in which a bool is a bad row, as it is in JSON.
_NO_BOOLS = frozenset({*NUMBERS, *OF_PERSONS, "phone", "key", "email"})
_NO_VALUE = "is a formula whose value is not in the file: open it in a spreadsheet program, and save it"
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, expat.ExpatError, ET.ParseError),
    *(LookupError, EOFError, ValueError, OverflowError),
)


def workbook_rows(stream: io.BufferedReader[Any], skip: int, reading: Reading) -> Iterator[ReadCells]:
    """Yield the number of each row of the sheet, as a person sees it, and its cells.

    :param stream: the file
    :param skip: data rows at the beginning to pass over
    :param reading: how it is read
    :raises InvalidInput: if the file as a whole cannot be read
    """
    try:
        with seekable(stream) as file, zipfile.ZipFile(file) as archive:
            workbook = read_workbook(archive)
            sheet = chosen_sheet(workbook, reading.options.sheet, lambda each: _has_rows(archive, each))
            with contextlib.closing(_Values(archive, workbook)) as values, archive.open(sheet.file) as cells:
                rows = _rows(sheet_rows(cells), values, reading)
                yield from behind(without_empty_end(rows, reading), skip)
    except InvalidInput:
        raise
    except _DAMAGE:
        if isinstance(stream.raw, StoredFile) and stream.raw.failed:
            raise
        raise damaged("Excel") from None


def _has_rows(archive: zipfile.ZipFile, sheet: Sheet) -> bool:
    with archive.open(sheet.file) as cells:
        return next(sheet_rows(cells), None) is not None


class _Values:
    """The values of a workbook's cells, as text as they are shown, or as numbers."""

    def __init__(self, archive: zipfile.ZipFile, workbook: Workbook) -> None:
        self._formats = workbook.formats
        self._begins_1904 = workbook.begins_1904
        self._texts: SharedTexts | None = None
        if workbook.strings is not None:
            with archive.open(workbook.strings) as file:
                self._texts = SharedTexts(file)

    def close(self) -> None:
        if self._texts is not None:
            self._texts.close()

    def of(self, cell: Cell, field: str | None = None) -> Any:
        """Return a cell's value.

        :param cell: the cell
        :param field: the field of its column: in an identifier or a phone a number stays one, which may have lost
            its zeros
        """
        if cell.content is None or (cell.is_formula and cell.kind == "n" and not cell.content):
            return Unreadable(_NO_VALUE)
        if cell.kind == "s":
            return "" if self._texts is None else self._texts.text(int(cell.content))
        if cell.kind == "e":
            # Whatever word it is: each year, Excel has a new one.
            return Unreadable(EMPTY_REASON)
        if cell.kind == "b" and field not in _NO_BOOLS:
            return "TRUE" if cell.content == "1" else "FALSE"
        if cell.kind == "b":
            return cell.content == "1"
        return self._number(cell.content, cell.style, field) if cell.kind == "n" else cell.content

    def _number(self, content: str, style: int, field: str | None) -> Any:
        if not content.strip():
            return content
        number = float(content)
        if field in IDENTIFIERS:
            return _as_number(number)
        code = self._formats[style] if style < len(self._formats) else "General"
        shown = shown_number(number, code, begins_1904=self._begins_1904)
        # A format that shows a + says where the number begins; no zero in front of it is lost then.
        return _as_number(number) if field == "phone" and not shown.startswith("+") else shown


def _as_number(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) < _MAX_WHOLE else number


def _rows(rows: Iterator[SheetRow], values: _Values, reading: Reading) -> Iterator[ReadCells]:
    header: list[str] = []
    for row in rows:
        header = _texts(row, values)
        if any(header):
            break
    if not any(header):
        return
    sample = (_texts(row, values) for row in rows)
    without_name = set(reading.take_header(header, lambda: list(islice(sample, _SAMPLE_ROWS))))
    fields = [reading.fields.of(name) for name in header]
    filtered = 0
    for row in rows:
        filtered += not row.is_shown
        yield row.number, _cells(row, values, header, fields, without_name)
    if filtered:
        reading.note_of_file(
            f"items: {counted(filtered, 'row')} that the sheet does not show, such as by a filter, "
            f"{'was' if filtered == 1 else 'were'} read like the others"
        )


def _cells(
    row: SheetRow,
    values: _Values,
    header: list[str],
    fields: list[str | None],
    without_name: Collection[int],
) -> Cells:
    found: dict[str, Any] = {}
    beside = ""
    characters = row.characters
    for column, cell in row.cells.items():
        is_named = column < len(header) and column not in without_name
        value = values.of(cell, fields[column] if is_named else None)
        characters += len(value) if cell.kind == "s" else 0
        if characters > ROW_CHARACTERS:
            return Unreadable(ROW_TOO_LONG)
        if is_named:
            found[header[column]] = value
        elif value != "":
            beside = _letters(column)
    return Unreadable(f"has a value in column {beside}, which has no name") if beside else found


def _texts(row: SheetRow, values: _Values) -> list[str]:
    shown = [""] * (max(row.cells) + 1)
    characters = 0
    for column, cell in row.cells.items():
        value = values.of(cell)
        shown[column] = value.strip() if isinstance(value, str) else ""
        characters += len(shown[column])
        if characters > ROW_CHARACTERS:
            break
    return shown


def _letters(column: int) -> str:
    letters = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
