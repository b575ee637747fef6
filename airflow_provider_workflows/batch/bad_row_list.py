"""The list of the rows that cannot be run, beside the output of their batch, for the person who corrects them."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.rows import BadRow
from airflow_provider_workflows.batch.input.unreadable import Unreadable
from airflow_provider_workflows.batch.spreadsheet_lines import SpreadsheetLines
from airflow_provider_workflows.storage import remove_file, shown
from airflow_provider_workflows.storage_retry import failure_reason
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import Checked
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.storage import ObjectStoragePath

log = logging.getLogger(__name__)

BAD_ROWS_NAME = "bad_rows.csv"
COLUMNS = ("row", "line", "column", "reason")
VALUE = "value"
"""The last column, where values are asked for."""
MAX_VALUE_CHARACTERS = 1000
_BYTES_IN_MEMORY = 4 * 1024 * 1024


class BadRowList:
    """Takes note of the bad rows of an input while it is read; they are kept on the disk.

    The list has a line for each thing that is wrong with a row: the number of the row, the line of the file at
    which it begins, the column (none for the row as a whole) and the reason.

    :param folder: the folder of the output
    :param options: how the output is written, and so the list
    :param values: whether to add what stands in the column
    """

    def __init__(self, folder: ObjectStoragePath, options: OutputOptions, *, values: bool = False) -> None:
        self._path = folder / BAD_ROWS_NAME
        self._mode = options.mode
        self._lines = SpreadsheetLines(options.delimiter)
        self._values = values
        self._problems = 0
        self._is_whole = False
        self._file = tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115  (open until it is written)

    def taken(self, rows: Iterable[Checked]) -> Iterator[Checked]:
        """Yield rows, and take note of those that are bad.

        :param rows: all rows of the input
        """
        for row in rows:
            if isinstance(row, BadRow):
                self._take(row)
            yield row
        self._is_whole = True

    @contextlib.contextmanager
    def written(self) -> Iterator[None]:
        """Write the list at the end of the block, also of one that refuses the rows: its error then names the list.

        Without bad rows, the list of an earlier try is removed. A list that cannot be written is left out.
        """
        refusal = ""
        try:
            yield
        except InvalidInput as error:
            refusal = str(error)
        finally:
            with self._file:
                listed = self._write()
        if refusal:
            raise InvalidInput(f"{refusal}\nAll of them are in {listed}" if listed else refusal)

    def _take(self, row: BadRow) -> None:
        for place, (column, reason) in enumerate(row.problems, 1):
            self._problems += 1
            is_of_earlier = row.earlier is not None and place == len(row.problems)
            full_reason = f"{reason}: row {row.earlier}" if is_of_earlier else reason
            fields: list[object] = [row.number, row.line, column or None, full_reason]
            if self._values:
                fields.append(_value_of(row.cells, column))
            self._file.write(self._lines.line(fields))

    def _write(self) -> str | None:
        """Write the list, and return its URI; None if nothing is bad, or it cannot be written."""
        try:
            if not (self._problems and self._is_whole):
                remove_file(self._path)
                return None
            self._file.seek(0)
            with replacing(self._path, mode=self._mode) as file:
                file.write(self._lines.header([*COLUMNS, *([VALUE] if self._values else [])]))
                shutil.copyfileobj(self._file, file)
        except Exception as error:  # noqa: BLE001  (each kind of storage has its own, and the rows are named anyway)
            log.warning(
                "The list of bad rows %s could not be written: %s.", shown(self._path), failure_reason(error)
            )
            return None
        return shown(self._path)


def _value_of(cells: Mapping[Any, Any] | None, column: str) -> str | None:
    value = None if cells is None or not column else cells.get(column)
    if value is None or isinstance(value, Unreadable):
        return None
    text = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    )
    return text[:MAX_VALUE_CHARACTERS] or None
