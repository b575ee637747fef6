"""The list of rows that may have a run, beside the output of their batch, for a person who checks the dashboard."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch.spreadsheet_lines import SpreadsheetLines
from airflow_provider_workflows.storage import remove_file, shown
from airflow_provider_workflows.whole_files import write_whole

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.batch.output_row import OutputRow
    from airflow_provider_workflows.storage import ObjectStoragePath

log = logging.getLogger(__name__)

#: The list of rows that may have a run, beside the output.
UNKNOWN_ROWS_NAME = "unknown.csv"
#: What a person does about such rows.
UNKNOWN_ROW_ADVICE = (
    "Search the service's dashboard for a run of the row's case or record that was started at about its time. If "
    'not one row has such a run, set on_unknown_outcome="resubmit" and clear the task, which submits them again. '
    "Otherwise run those without one as a batch of their own."
)
COLUMNS = ("key", "row", "time", "case_id", "record_id")


def write(folder: ObjectStoragePath, rows: Sequence[OutputRow], options: OutputOptions) -> None:
    """Write the list of rows that may have a run; without such rows, remove the one that is there.

    The file is ``unknown.csv``, with the columns ``key``, ``row``, ``time`` of the request that may have started a
    run, ``case_id`` and ``record_id``.

    :param folder: the folder of the output
    :param rows: the rows of the output whose outcome is unknown
    :param options: how the output is written, and so the list
    :raises Exception: if it cannot be written
    """
    path = folder / UNKNOWN_ROWS_NAME
    if rows:
        lines = SpreadsheetLines(options.delimiter)
        listed = (
            lines.line([row.key, row.row, row.submitted_at, row.case_id, row.record_id]) for row in rows
        )
        write_whole(path, b"".join([lines.header(COLUMNS), *listed]), options.mode)
    else:
        remove_file(path)


def warn(folder: ObjectStoragePath, number: int) -> None:
    """Say in the log that rows may have a run, and what to do about them.

    :param folder: the folder of the output
    :param number: how many rows these are
    """
    if number:
        log.warning(
            "%s of the rows may have a run: the response to the call that starts it was lost, or the task was cut "
            "off during that call. They are listed in %s. %s",
            f"{number:,}",
            shown(folder / UNKNOWN_ROWS_NAME),
            UNKNOWN_ROW_ADVICE,
        )
