"""The output of a batch: one row for each row of the input, as JSON Lines or Parquet."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import require_pyarrow
from airflow_provider_workflows.batch.row_state import RowOutcome
from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.storage import (
    forget_listing,
    read_connection_again,
    remove_file,
    shown,
    storage_path,
)
from airflow_provider_workflows.storage_retry import StorageRetry
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_workflows.storage import ObjectStoragePath

OUTPUT_FORMATS = ("jsonl", "parquet")
#: The list of rows that may have a run, beside the output.
UNKNOWN_ROWS_NAME = "unknown.csv"
#: What a person does about such rows.
UNKNOWN_ROW_ADVICE = (
    "Search the service's dashboard for a run of the row's case that was started at about its time. If not one row "
    'has such a run, set on_unknown_outcome="resubmit" and clear the task, which submits them again. Otherwise '
    "run those without one as a batch of their own."
)

_ROWS_IN_GROUP = 1000
#: Rows wait in memory until they are a group of Parquet: a thousand, or fewer if they have this many characters.
_CHARACTERS_IN_GROUP = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One row of the output, for one row of the input; the order of fields is the order of columns.

    :param key: the row's own identifier
    :param row: its number in the whole input, from 1
    :param outcome: how the row ended
    :param status: the workflow's status at the last poll
    :param case_id: id of the case
    :param workflow_id: id of the workflow
    :param submitted_at: when it was submitted, as ``iso`` writes it
    :param ended_at: when it was seen to have ended, as ``iso`` writes it
    :param result: what the workflow found out
    :param error_code: a name for what went wrong
    :param error: what went wrong, in words without a personal value
    :param personal_number_hash: keyed hash of the row's personal number, where hashes are asked for
    """

    key: str = field(repr=False)
    row: int
    outcome: str
    status: str | None
    case_id: str | None
    workflow_id: str | None
    submitted_at: str | None
    ended_at: str | None
    result: dict[str, Any] | None = field(repr=False)
    error_code: str | None
    error: str | None
    personal_number_hash: str | None = None


_COLUMNS = tuple(column.name for column in dataclasses.fields(OutputRow))


class RowWriter(Protocol):
    """Writes the rows of an output."""

    def write(self, row: OutputRow) -> None:
        """Write the next row."""


def iso(seconds_since_epoch: float | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the millisecond: ``2026-01-31T23:59:59.000Z``."""
    if seconds_since_epoch is None:
        return None
    time = datetime.fromtimestamp(seconds_since_epoch, timezone.utc)
    return f"{time.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def require_format(output_format: str) -> None:
    """Check that a format can be written.

    :param output_format: one of ``OUTPUT_FORMATS``
    :raises InvalidInput: if it is another one, or if it is Parquet and pyarrow is missing
    """
    if output_format not in OUTPUT_FORMATS:
        raise InvalidInput(f"output_format must be one of {', '.join(OUTPUT_FORMATS)}")
    if output_format == "parquet":
        require_pyarrow("output_format")


def output_path(folder: ObjectStoragePath, output_format: str) -> ObjectStoragePath:
    """Return the path of the output in a folder: ``results.jsonl`` or ``results.parquet``.

    :raises InvalidInput: if the format cannot be written
    """
    require_format(output_format)
    return folder / f"results.{output_format}"


@contextlib.contextmanager
def writer(
    folder: ObjectStoragePath,
    output_format: str,
    is_stopped: Callable[[], bool] | None = None,
    *,
    mode: int = OWNER_ONLY,
) -> Iterator[RowWriter]:
    """Yield a writer of rows; the output is there once the block has ended without an exception, and not before.

    Beside it is the list of rows that may have a run, if there are such. The same rows give the same bytes. What
    cannot be written is tried again for two minutes, so that no result is fetched again for that. It blocks.

    :param folder: the folder of the output
    :param output_format: one of ``OUTPUT_FORMATS``
    :param is_stopped: returns whether the task was told to stop: then a write that fails has 3 s in place of 120
    :param mode: of the files and of folders that are missing, where they are local
    :raises InvalidInput: if the format cannot be written
    :raises Exception: what storage raised last, if the output cannot be written
    """
    from airflow_provider_workflows.batch import unknown_rows  # noqa: PLC0415  (not while parsing)

    path = output_path(folder, output_format)
    retry = StorageRetry(
        f"The batch's output {shown(path)}",
        meanwhile="the results wait",
        renew=partial(read_connection_again, path),
        is_stopped=is_stopped,
    )
    with replacing(path, retry, mode=mode) as file:
        rows = _JsonLines(file) if output_format == "jsonl" else _Parquet(file)
        try:
            yield rows
            rows.flush()
        finally:
            rows.close()
    retry.run(lambda: unknown_rows.write(folder, rows.unknown, mode))
    # What is there in another format is an earlier output of this task.
    for other in OUTPUT_FORMATS:
        if other != output_format:
            retry.run(partial(remove_file, folder / f"results.{other}"))
    unknown_rows.warn(folder, len(rows.unknown))


def read_output(uri: ObjectStoragePath | str) -> Iterator[dict[str, Any]]:
    """Yield the rows of an output as dicts of the columns of ``OutputRow``.

    :param uri: the file, of either format
    :raises InvalidInput: if it is not an output of a batch
    :raises FileNotFoundError: if it is not there
    """
    path = storage_path("uri", uri)
    forget_listing(path)
    if path.suffix not in (".jsonl", ".parquet"):
        raise InvalidInput(f"{shown(path)} is not an output of a batch: that ends in .jsonl or .parquet")
    with path.open("rb") as file:  # type: ignore[no-untyped-call]
        if path.suffix == ".jsonl":
            yield from map(json.loads, file)
            return
        for rows in require_pyarrow("uri").parquet.ParquetFile(file).iter_batches(batch_size=_ROWS_IN_GROUP):
            for row in rows.to_pylist():
                yield row | {"result": None if row["result"] is None else json.loads(row["result"])}


def read_keys(uri: ObjectStoragePath | str) -> Iterator[str]:
    """Yield the key of each row of an output, and read no more of it than that takes.

    :param uri: the output, as ``read_output`` takes it
    :raises InvalidInput: if it is not an output
    :raises FileNotFoundError: if it is not there
    """
    path = storage_path("uri", uri)
    if path.suffix != ".parquet":
        for row in read_output(path):
            yield row["key"]
        return
    pyarrow = require_pyarrow("uri")
    forget_listing(path)
    with path.open("rb") as file:  # type: ignore[no-untyped-call]
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(columns=["key"]):
            yield from batch.column(0).to_pylist()


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _values(row: OutputRow) -> dict[str, Any]:
    # Not dataclasses.asdict, which copies the result.
    return {name: getattr(row, name) for name in _COLUMNS}


class _Rows:
    """Rows of an output, of which those are kept that may have a run."""

    def __init__(self) -> None:
        self.unknown: list[OutputRow] = []

    def write(self, row: OutputRow) -> None:
        if row.outcome == RowOutcome.UNKNOWN.value:
            self.unknown.append(row)

    def flush(self) -> None:
        """Write what waits to be written."""

    def close(self) -> None:
        """Write what belongs at the end."""


class _JsonLines(_Rows):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def write(self, row: OutputRow) -> None:
        super().write(row)
        self._file.write(f"{_as_json(_values(row))}\n".encode())


class _Parquet(_Rows):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._pyarrow = pyarrow = require_pyarrow("output_format")
        text, required = pyarrow.string(), ("key", "row", "outcome")
        self._schema = pyarrow.schema(
            pyarrow.field(name, pyarrow.int64() if name == "row" else text, nullable=name not in required)
            for name in _COLUMNS
        )
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def write(self, row: OutputRow) -> None:
        super().write(row)
        result = None if row.result is None else _as_json(row.result)
        self._rows.append(_values(row) | {"result": result})
        self._characters += len(result or "")
        if len(self._rows) == _ROWS_IN_GROUP or self._characters > _CHARACTERS_IN_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_batch(self._pyarrow.RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows, self._characters = [], 0

    def close(self) -> None:
        self._writer.close()
