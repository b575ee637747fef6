"""Write the output of a batch: one row for each row of the input, in one file or in parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_workflows.batch import unknown_rows
from airflow_provider_workflows.batch.output_formats import TableRows, TableWriter, table_writer
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OUTPUT_NAME, OutputOptions
from airflow_provider_workflows.batch.output_parts import remove_parts, writing_parts
from airflow_provider_workflows.batch.output_row import OutputRow
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.storage import read_connection_again, remove_file, shown
from airflow_provider_workflows.storage_retry import StorageRetry
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_workflows.storage import ObjectStoragePath


class OutputWriter:
    """Writes the rows of an output, and keeps those that may have a run.

    :param table: writes them to a file, or to parts
    """

    def __init__(self, table: TableRows) -> None:
        self._table = table
        self.unknown: list[OutputRow] = []

    def write(self, row: OutputRow) -> None:
        """Write the next row."""
        if row.outcome == RowOutcome.UNKNOWN.value:
            self.unknown.append(row)
        self._table.write(row)


@contextlib.contextmanager
def writer(
    folder: ObjectStoragePath,
    options: OutputOptions,
    is_stopped: Callable[[], bool] | None = None,
) -> Iterator[OutputWriter]:
    """Yield a writer of rows; the output is there once the block has ended without an exception, and not before.

    Beside it is the list of rows that may have a run, if there are such; what there was of an output in another
    form is removed. The same rows give the same bytes. What cannot be written is tried again for two minutes, so
    that no result is fetched again for that. It blocks.

    :param folder: the folder of the output
    :param options: how it is written
    :param is_stopped: returns whether the task was told to stop: then a write that fails has 3 s in place of 120
    :raises InvalidInput: if the format cannot be written
    :raises Exception: what storage raised last, if the output cannot be written
    """
    path = options.path_in(folder)
    retry = StorageRetry(
        f"The batch's output {shown(path)}",
        meanwhile="the results wait",
        renew=partial(read_connection_again, path),
        is_stopped=is_stopped,
    )
    table = (
        _whole(path, options, retry) if options.rows_per_file is None else writing_parts(path, options, retry)
    )
    with table as rows:
        yield (output := OutputWriter(rows))
    retry.run(lambda: unknown_rows.write(folder, output.unknown, options))
    # What is there in another form is an earlier output of this task.
    for other in OUTPUT_FORMATS:
        if folder / f"{OUTPUT_NAME}.{other}" != path:
            retry.run(partial(remove_file, folder / f"{OUTPUT_NAME}.{other}"))
    if options.rows_per_file is None:
        retry.run(partial(remove_parts, folder / OUTPUT_NAME))
    unknown_rows.warn(folder, len(output.unknown))


@contextlib.contextmanager
def _whole(path: ObjectStoragePath, options: OutputOptions, retry: StorageRetry) -> Iterator[TableWriter]:
    with replacing(path, retry, mode=options.mode) as file:
        rows = table_writer(file, options)
        try:
            yield rows
            rows.flush()
        finally:
            rows.close()
