"""The formats of an output, row by row: JSON Lines, CSV and Parquet, written and read as a stream."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, Protocol

from airflow_provider_workflows.arguments import require_pyarrow
from airflow_provider_workflows.batch.output_options import OutputOptions
from airflow_provider_workflows.batch.output_row import (
    COLUMNS,
    FURTHER_COLUMNS,
    RECORD_COLUMNS,
    REQUIRED_COLUMNS,
    TIME_COLUMNS,
    OutputRow,
    columns_of_output,
    iso_of_microseconds,
)
from airflow_provider_workflows.batch.spreadsheet_lines import SpreadsheetLines, SpreadsheetRows

#: Rows wait in memory until they are a group of Parquet: a thousand, or fewer if they have this many characters.
ROWS_IN_GROUP = 1000
CHARACTERS_IN_GROUP = 64 * 1024 * 1024


class TableRows(Protocol):
    """Takes the rows of a table, one by one."""

    def write(self, row: OutputRow) -> None:
        """Write the next row."""


class TableWriter(TableRows, Protocol):
    """Writes the rows of a table to a file."""

    def flush(self) -> None:
        """Write what waits to be written."""

    def close(self) -> None:
        """Write what belongs at the end."""


def table_writer(file: BinaryIO, options: OutputOptions) -> TableWriter:
    """Return what writes rows to a file in the format that the options say.

    :param file: written from its start to its end
    :param options: how the output is written
    """
    columns = columns_of_output(options.further_columns)
    if options.format == "jsonl":
        return JsonLines(file, columns)
    return Csv(file, columns, options.delimiter) if options.format == "csv" else Parquet(file, columns)


def as_json(value: object) -> str:
    """Return a value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


class JsonLines:
    """Writes rows as JSON objects, one a line.

    :param file: written from its start to its end
    :param columns: the names of the columns
    """

    def __init__(self, file: BinaryIO, columns: Sequence[str]) -> None:
        self._file = file
        self._columns = columns

    def write(self, row: OutputRow) -> None:
        """Write the next row."""
        self._file.write(f"{as_json(row.values(self._columns))}\n".encode())

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def close(self) -> None:
        """Do nothing: nothing belongs at the end."""


class Csv:
    """Writes rows as CSV that Excel opens.

    :param file: written from its start to its end
    :param columns: the names of the columns
    :param delimiter: what stands between two cells
    """

    def __init__(self, file: BinaryIO, columns: Sequence[str], delimiter: str) -> None:
        self._file = file
        self._columns = columns
        self._lines = SpreadsheetLines(delimiter)
        self._file.write(self._lines.header(columns))

    def write(self, row: OutputRow) -> None:
        """Write the next row."""
        values = row.values(self._columns)
        if row.result is not None:
            values["result"] = as_json(row.result)
        self._file.write(self._lines.line(values.values()))

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def close(self) -> None:
        """Do nothing: nothing belongs at the end."""


class Parquet:
    """Writes rows as Parquet, in groups.

    :param file: written from its start to its end
    :param columns: the names of the columns
    """

    def __init__(self, file: BinaryIO, columns: Sequence[str]) -> None:
        self._columns = columns
        self._schema = arrow_schema("output_format", columns)
        pyarrow = require_pyarrow("output_format")
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def write(self, row: OutputRow) -> None:
        """Write the next row."""
        values = row.values(self._columns)
        if row.result is not None:
            values["result"] = as_json(row.result)
            self._characters += len(values["result"])
        self._rows.append(values)
        if len(self._rows) == ROWS_IN_GROUP or self._characters > CHARACTERS_IN_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are not a whole group."""
        if self._rows:
            self._writer.write_batch(arrow_batch(self._rows, self._schema))
            self._rows, self._characters = [], 0

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def arrow_schema(argument: str, columns: Sequence[str] = COLUMNS) -> Any:
    """Return the schema of an output, which is the same whatever its rows are.

    :param argument: the argument that asks for it, for the error
    :param columns: the names of the columns
    :raises InvalidInput: if pyarrow is missing
    """
    pyarrow = require_pyarrow(argument)
    types = {"row": pyarrow.int64(), **dict.fromkeys(TIME_COLUMNS, pyarrow.timestamp("us", "UTC"))}
    return pyarrow.schema(
        pyarrow.field(name, types.get(name, pyarrow.string()), nullable=name not in REQUIRED_COLUMNS)
        for name in columns
    )


def arrow_batch(rows: Sequence[dict[str, Any]], schema: Any) -> Any:
    """Return rows as a record batch.

    :param rows: the value of each column, with results as JSON text
    :param schema: what ``arrow_schema`` returned
    """
    pyarrow = require_pyarrow("output_format")
    arrays = []
    for column in schema:
        # A shard that has run with another generation of the API lacks them.
        read = dict.get if column.name in FURTHER_COLUMNS else dict.__getitem__
        values = [read(row, column.name) for row in rows]
        is_time = column.name in TIME_COLUMNS
        array = pyarrow.array(values, pyarrow.string() if is_time else column.type)
        arrays.append(array.cast(column.type) if is_time else array)
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def read_json_lines(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of JSON Lines."""
    return map(json.loads, file)


def read_csv(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of CSV, as they were before they became cells.

    :raises OtherColumns: if it is not one that a batch has written
    :raises ValueError: if another program has changed a row
    """
    rows = _spreadsheet_rows(file)
    for values in rows:
        row: dict[str, Any] = dict(zip(rows.columns, values, strict=True))
        # A row that was skipped may have no key.
        yield row | {"key": row["key"] or "", "row": int(row["row"] or ""), "result": _result(row["result"])}


def columns_of_file(file: BinaryIO, suffix: str) -> Sequence[str]:
    """Return the names of the columns of a file of an output, as far as it says them without rows.

    :param file: the file
    :param suffix: of its name
    :raises OtherColumns: if it is CSV that no batch has written
    :raises ValueError: if its first row cannot be read
    :raises InvalidInput: if it is Parquet, and pyarrow is missing
    """
    if suffix == ".parquet":
        names: Sequence[str] = require_pyarrow("uri").parquet.read_schema(file).names
        return names
    return _spreadsheet_rows(file).columns if suffix == ".csv" else [*next(read_json_lines(file), {})]


def read_parquet(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of Parquet, with times as text and results as JSON.

    :raises InvalidInput: if pyarrow is missing
    """
    for batch in parquet_batches(file):
        names, columns = batch.schema.names, map(_plain, batch.schema.names, batch.columns)
        for cells in zip(*columns, strict=True):
            row = dict(zip(names, cells, strict=True))
            yield row | {"result": _result(row["result"])}


def parquet_batches(file: BinaryIO, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Yield the rows of a file of Parquet as record batches.

    :param file: the file
    :param columns: names of the columns to read; None for all
    :raises InvalidInput: if pyarrow is missing
    """
    parquet = require_pyarrow("uri").parquet.ParquetFile(file)
    yield from parquet.iter_batches(batch_size=ROWS_IN_GROUP, columns=columns)


def with_columns(batch: Any, schema: Any) -> Any:
    """Return a record batch of Parquet with the columns of a schema: further ones may be some that it lacks.

    :param batch: as ``parquet_batches`` yields it
    :param schema: what ``arrow_schema`` returned
    """
    if batch.schema.names == schema.names:
        return batch
    pyarrow = require_pyarrow("uri")
    columns = [
        batch.column(name)
        if name in batch.schema.names
        else pyarrow.nulls(batch.num_rows, schema.field(name).type)
        for name in schema.names
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=schema.names)


def batches_of(rows: Iterator[dict[str, Any]], schema: Any) -> Iterator[Any]:
    """Yield rows, as one of the functions above yields them, as record batches.

    :param rows: the rows
    :param schema: what ``arrow_schema`` returned
    """
    while some := list(islice(rows, ROWS_IN_GROUP)):
        texts = (None if row["result"] is None else as_json(row["result"]) for row in some)
        yield arrow_batch([row | {"result": text} for row, text in zip(some, texts, strict=True)], schema)


def _spreadsheet_rows(file: BinaryIO) -> SpreadsheetRows:
    forms = (columns_of_output(further) for further in ((), RECORD_COLUMNS, FURTHER_COLUMNS))
    return SpreadsheetRows(io.TextIOWrapper(file, "utf-8", newline=""), *forms)


def _plain(name: str, column: Any) -> list[Any]:
    pyarrow = require_pyarrow("uri")
    # Before there were times, they were text.
    if name not in TIME_COLUMNS or not pyarrow.types.is_timestamp(column.type):
        return list(column.to_pylist())
    microseconds = column.cast(pyarrow.timestamp("us", "UTC")).cast(pyarrow.int64())
    return [iso_of_microseconds(each) for each in microseconds.to_pylist()]


def _result(text: str | None) -> dict[str, Any] | None:
    result: dict[str, Any] | None = None if text is None else json.loads(text)
    return result
