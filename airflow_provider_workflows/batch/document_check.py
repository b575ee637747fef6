"""The files that rows name as documents: whether they are there is checked before the first call."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.bad_rows import named_rows
from airflow_provider_workflows.batch.input.columns import DOCUMENT_FILES
from airflow_provider_workflows.batch.input.rows import Row
from airflow_provider_workflows.counted import counted

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import Checked

_CHECKED_AT_ONCE = 16
_SHOWN_FILES = 20


class DocumentFiles:
    """The files of all rows, each once however many rows name it."""

    def __init__(self) -> None:
        #: The first row of each file, with its line.
        self._rows: dict[str, tuple[int, int | None]] = {}

    def taken(self, rows: Iterator[Checked]) -> Iterator[Checked]:
        """Yield rows, and take note of their files.

        :param rows: as they were checked
        """
        for row in rows:
            if isinstance(row, Row):
                for path in row.files:
                    self._rows.setdefault(path, (row.number, row.line))
            yield row

    def require(self) -> None:
        """Return if each file is there, not too large, and of a known type.

        :raises InvalidInput: with the first rows whose file cannot be uploaded and why, never with a path
        """
        if not self._rows:
            return
        with ThreadPoolExecutor(_CHECKED_AT_ONCE, "document-files") as threads:
            problems = list(threads.map(_problem_with, self._rows))
        wrong = [
            f"{named_rows([number], [] if line is None else [line])}: {problem}"
            for (number, line), problem in zip(self._rows.values(), problems, strict=True)
            if problem
        ]
        if wrong:
            others = len(wrong) - _SHOWN_FILES
            summary = (
                f"{counted(len(wrong), 'file')} of {len(self._rows):,} cannot be uploaded, so nothing was sent. "
                'Correct them, or have their rows fail alone with on_bad_row="skip":'
            )
            more = [f"and {others:,} more"] if others > 0 else []
            raise InvalidInput("\n".join([summary, *wrong[:_SHOWN_FILES], *more]))


def _problem_with(path: str) -> str:
    from airflow_provider_workflows.files_to_upload import require_stored_file  # noqa: PLC0415  (not while parsing)

    try:
        require_stored_file(DOCUMENT_FILES, path)
    except InvalidInput as problem:
        return str(problem)
    except Exception:  # noqa: BLE001  (storage may be away for a moment: the row's own upload says more)
        return ""
    return ""
