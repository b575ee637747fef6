"""Rows that are kept for the time of one try, in a file without a name."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import IO, Any

from airflow_provider_workflows.batch.input.unreadable import Unreadable
from airflow_provider_workflows.database.failures import not_of_the_database

# Made once: ``json.dumps`` with an option makes an encoder for each call.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ROWS_KEPT_AT_ONCE = 1000
_KEEPING = "items: keeping the rows of the query on the worker's disk (TMPDIR)"


class KeptRows:
    """The rows of a table, on the worker's disk (``TMPDIR``), so that they are read from their source only once.

    The file has no name: nobody else can open it, and it is gone with the process, also with one that is killed.

    :param header: the names of the columns
    :param file: the rows, a line for each
    """

    def __init__(self, header: Sequence[str], file: IO[bytes]) -> None:
        self.header = header
        self._file = file

    @classmethod
    def of(cls, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> KeptRows:
        """Keep rows.

        :param header: the names of the columns
        :param rows: the cells of each row, in the order of the columns: values of JSON,
            decimals, or ``Unreadable``
        :raises WorkflowsError: if the disk does not take them
        """
        reading = iter(rows)
        with not_of_the_database(_KEEPING):
            file = tempfile.TemporaryFile()  # noqa: SIM115  (it is read for as long as the try lasts)
        while some := list(itertools.islice(reading, _ROWS_KEPT_AT_ONCE)):
            with not_of_the_database(_KEEPING):
                for row in some:
                    file.write(_COMPACT.encode([_wrapped(cell) for cell in row]).encode())
                    file.write(b"\n")
        with not_of_the_database(_KEEPING):
            file.flush()
        return cls(header, file)

    def read(self) -> Iterator[list[Any]]:
        """Yield the cells of each row; one reading at a time."""
        self._file.seek(0)
        for line in self._file:
            yield [_unwrapped(cell) for cell in json.loads(line)]


def _wrapped(cell: Any) -> Any:
    if isinstance(cell, Unreadable):
        return {"unreadable": cell.reason}
    if isinstance(cell, Decimal):
        return {"decimal": str(cell)}
    return {"value": cell} if isinstance(cell, dict) else cell


def _unwrapped(cell: Any) -> Any:
    if not isinstance(cell, dict):
        return cell
    if "decimal" in cell:
        return Decimal(cell["decimal"])
    return Unreadable(cell["unreadable"]) if "unreadable" in cell else cell["value"]
