"""The rows of a batch with something wrong, from ``problem_rows.csv`` beside its output, for the page's table."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.problem_rows import COLUMNS
from airflow_provider_workflows.batch.spreadsheet_lines import OtherColumns, SpreadsheetLines, SpreadsheetRows
from airflow_provider_workflows.storage import forget_listing, storage_path

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

#: Nothing else is read: the path comes from an XCom, and an XCom is data.
_NAME = "/problem_rows.csv"
ROWS_IN_PAGE = 50
#: Rows are downloaded in pieces of this many.
_ROWS_IN_PIECE = 500
#: What storages call the things that change with a file.
_VERSION_KEYS = ("size", "mtime", "LastModified", "last_modified", "updated", "ETag", "etag", "generation")


@dataclass(frozen=True)
class RowFilter:
    """Which rows are shown.

    :param outcome: only rows of this outcome; empty for all
    :param search: only rows with this in the id of their workflow, case or record or in their error code, or with
        this number; empty for all
    """

    outcome: str = ""
    search: str = ""

    def takes(self, row: list[str]) -> bool:
        """Return whether a row is shown.

        :param row: its values, in the order of ``COLUMNS``
        """
        if self.outcome and row[2] != self.outcome:
            return False
        search = self.search.strip().lower()
        if not search:
            return True
        return search == row[0] or any(search in row[column].lower() for column in (3, 6, 7, 8))


class ProblemRows:
    """The file of one batch.

    :param uri: where it is, as the task has reported
    :raises InvalidInput: if it is no such file, or cannot be reached from here
    """

    def __init__(self, uri: str) -> None:
        if not uri.endswith(_NAME):
            raise InvalidInput("the task has not reported where its problem_rows.csv is")
        self._path: ObjectStoragePath = storage_path("problem_rows", uri)

    def version(self, which: RowFilter, first: int) -> str:
        """Return what tells one version of a page of the table from another. It blocks.

        :param which: the rows that are shown
        :param first: how many of these come before the page
        :raises Exception: if storage cannot be read
        """
        forget_listing(self._path)
        info = self._path.fs.info(self._path.path)
        version = [str(info.get(key)) for key in _VERSION_KEYS]
        return hashlib.blake2b(repr((version, which, first)).encode(), digest_size=12).hexdigest()

    def page(self, which: RowFilter, first: int) -> dict[str, Any]:
        """Return one page of the table, as JSON. It blocks.

        :param which: the rows that are shown
        :param first: how many of these come before the page
        :raises InvalidInput: if the file has other columns
        :raises Exception: if storage cannot be read
        """
        shown: list[list[str]] = []
        matching = total = 0
        with self._rows() as rows:
            for row in _whole(rows):
                total += 1
                if which.takes(row):
                    matching += 1
                    if first < matching <= first + ROWS_IN_PAGE:
                        shown.append(row)
        return {"rows": shown, "first": first, "matching": matching, "total": total}

    def download(self, which: RowFilter) -> Iterator[bytes]:
        """Yield a CSV file of the rows that are shown, in pieces. It blocks.

        :raises Exception: if storage cannot be read
        """
        with self._rows() as rows:
            lines = SpreadsheetLines(rows.delimiter)
            yield lines.header(COLUMNS)
            chosen = filter(which.takes, _whole(rows))
            while piece := list(itertools.islice(chosen, _ROWS_IN_PIECE)):
                yield b"".join(lines.line(value or None for value in row) for row in piece)

    @contextmanager
    def _rows(self) -> Iterator[SpreadsheetRows]:
        file = cast("Any", self._path.open("rb"))  # type: ignore[no-untyped-call]
        with file, io.TextIOWrapper(file, "utf-8", newline="") as lines:
            try:
                rows = SpreadsheetRows(lines, COLUMNS)
            except OtherColumns:
                raise InvalidInput("problem_rows.csv has other columns than this version reads") from None
            yield rows


def _whole(rows: SpreadsheetRows) -> Iterator[list[str]]:
    """Yield the rows that are whole: another program may have saved the file."""
    return ([value or "" for value in row] for row in rows if len(row) == len(COLUMNS))
