"""Lines of the CSV files that people open: as Excel takes them rightly, and without formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from airflow_provider_workflows.batch.output_options import OUTPUT_DELIMITERS

#: Excel takes a file with it for UTF-8, and one without for whatever the machine's language is.
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
#: Results are longer than the csv module's limit of 128 KB.
_CSV_FIELD_CHARACTERS = 2**31 - 1
#: A spreadsheet runs a cell that begins so; some leave out blanks before it, and some take wide characters, too.
_FORMULA = r"[\t\r\n]|\s*[=+\-@＝＋－＠]"  # noqa: RUF001
#: What a spreadsheet takes the text after it for text by.
APOSTROPHE = "'"
#: What gets an apostrophe more: what would be run, also after apostrophes, so that one that was put there can be
#: told from the text's own; and what is nothing but apostrophes, because an empty cell has no value.
_TO_ESCAPE = re.compile(rf"'*(?:{_FORMULA}|\Z)")
_ESCAPED = re.compile(rf"'+(?:{_FORMULA}|\Z)")


class OtherColumns(Exception):
    """A file of CSV is not one that a batch has written."""


class SpreadsheetLines:
    """Makes the lines of a file: UTF-8 with its mark, ends of lines as Excel's, and no formulas.

    :param delimiter: what stands between two cells
    """

    def __init__(self, delimiter: str) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, delimiter=delimiter, lineterminator="\r\n")

    def header(self, columns: Iterable[str]) -> bytes:
        """Return the first line, with the mark before it."""
        self._text.write(_BOM)
        return self.line(columns)

    def line(self, values: Iterable[object]) -> bytes:
        """Return the line of a row.

        :param values: the value of each column; None for none
        """
        self._writer.writerow(map(escaped_cell, values))
        line = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return line.encode(errors="replace")


class SpreadsheetRows:
    """The rows of such a file, whatever stands between its cells, with the values that its cells were made of.

    A file without the mark, and one that a spreadsheet has saved, are read as well.

    :param lines: the lines of the file, with their ends
    :param columns: the columns that it must have; those of one of several forms
    :raises OtherColumns: if it has others
    """

    def __init__(self, lines: Iterable[str], *columns: Sequence[str]) -> None:
        lines = iter(lines)
        first = next(lines, "").removeprefix(_BOM)
        headers = {
            delimiter: next(csv.reader([first], delimiter=delimiter), []) for delimiter in OUTPUT_DELIMITERS
        }
        forms = [*map(list, columns)]
        found = [delimiter for delimiter, header in headers.items() if header in forms]
        if not found:
            raise OtherColumns
        #: What stands between two cells.
        self.delimiter = found[0]
        self.columns: Sequence[str] = headers[self.delimiter]
        # The limit holds for the whole process, so it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), _CSV_FIELD_CHARACTERS))
        self._rows = csv.reader(lines, delimiter=self.delimiter)

    def __iter__(self) -> Iterator[list[str | None]]:
        """Yield the values of each row, None for those that have none; a damaged row may have more or fewer.

        :raises csv.Error: if a row cannot be read
        """
        for cells in self._rows:
            yield [value_of(cell) for cell in cells]


def escaped_cell(value: object) -> object:
    """Return a value as a cell that no spreadsheet takes for a formula, and that ``value_of`` gives back."""
    return f"'{value}" if isinstance(value, str) and _TO_ESCAPE.match(value) else value


def value_of(escaped: str) -> str | None:
    """Return the text that ``escaped_cell`` made a cell of; None if there was none.

    :param escaped: the cell
    """
    if not escaped:
        return None
    return escaped[1:] if _ESCAPED.match(escaped) else escaped
