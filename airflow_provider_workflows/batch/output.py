"""The output of a batch: one row for each row of the input, in one file or in parts."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.arguments import require_module, require_pyarrow
from airflow_provider_workflows.batch.output_formats import (
    arrow_schema,
    batches_of,
    columns_of_file,
    parquet_batches,
    read_csv,
    read_json_lines,
    read_parquet,
    with_columns,
)
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OUTPUT_NAME
from airflow_provider_workflows.batch.output_parts import has_parts, parts_of
from airflow_provider_workflows.batch.output_row import FURTHER_COLUMNS, columns_of_output
from airflow_provider_workflows.batch.spreadsheet_lines import OtherColumns
from airflow_provider_workflows.storage import (
    forget_listing,
    from_working_directory,
    shown,
    storage_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_workflows.storage import ObjectStoragePath

_READERS: dict[str, Callable[[BinaryIO], Iterator[dict[str, Any]]]] = {
    ".jsonl": read_json_lines,
    ".csv": read_csv,
    ".parquet": read_parquet,
}


def existing_output(folder: ObjectStoragePath) -> ObjectStoragePath | None:
    """Return the path of the output in a folder, in whatever form; None if it has no output.

    :param folder: the folder of the output
    """
    paths = [folder / f"{OUTPUT_NAME}.{name}" for name in OUTPUT_FORMATS]
    found = next((path for path in paths if path.fs.exists(path.path)), None)
    return folder / OUTPUT_NAME if found is None and has_parts(folder / OUTPUT_NAME) else found


class OutputRows(Iterator[dict[str, Any]]):
    """The rows of an output: an iterator over them, which reads as a stream, or a table of all.

    As an iterator it yields each row as a dict of the columns of ``OutputRow``, with times as text such as
    ``"2026-01-31T23:59:59.000Z"`` and the result as a dict, whatever the format. In a table times are times in UTC,
    and the result is JSON text; its columns are the same whatever the rows are, and keys are always text.

    :param outputs: the outputs, one after another
    """

    def __init__(self, outputs: Sequence[ObjectStoragePath]) -> None:
        self._outputs = outputs
        self._rows = self._read()

    def __iter__(self) -> OutputRows:
        """Return itself: it can be iterated over once."""
        return self

    def __next__(self) -> dict[str, Any]:
        """Return the next row.

        :raises InvalidInput: if it is not the output of a batch, or a row cannot be read
        :raises FileNotFoundError: if it is not there
        """
        return next(self._rows)

    def to_arrow(self) -> Any:
        """Return all rows as a ``pyarrow.Table``; raises as ``__next__``.

        :raises InvalidInput: also if pyarrow is missing
        """
        pyarrow = require_pyarrow("to_arrow")
        schema = arrow_schema("to_arrow", columns_of_output(self._further_columns()))
        return pyarrow.Table.from_batches(self._batches(schema), schema)

    def to_pandas(self) -> Any:
        """Return all rows as a ``pandas.DataFrame``; raises as ``__next__``.

        :raises InvalidInput: also if pyarrow or pandas is missing
        """
        require_module("pandas", "to_pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """Return all rows as a ``polars.DataFrame``; raises as ``__next__``.

        :raises InvalidInput: also if pyarrow or polars is missing
        """
        return require_module("polars", "to_polars").from_arrow(self.to_arrow())

    def _files(self) -> Iterator[ObjectStoragePath]:
        return chain.from_iterable(map(_files_of, self._outputs))

    def _read(self) -> Iterator[dict[str, Any]]:
        for path in self._files():
            with _opened(path) as file:
                yield from _READERS[path.suffix](file)

    def _batches(self, schema: Any) -> Iterator[Any]:
        for path in self._files():
            with _opened(path) as file:
                if path.suffix == ".parquet":
                    # Before there were times, they were text.
                    yield from (with_columns(batch, schema).cast(schema) for batch in parquet_batches(file))
                else:
                    yield from batches_of(_READERS[path.suffix](file), schema)

    def _further_columns(self) -> set[str]:
        """Return the further columns that some output has: a shard may have run with another generation."""
        found: set[str] = set()
        for output in self._outputs:
            # All files of an output have the same columns.
            for path in _files_of(output)[:1]:
                with _opened(path) as file:
                    found.update(columns_of_file(file, path.suffix))
        return found.intersection(FURTHER_COLUMNS)

    def row_keys(self) -> Iterator[tuple[int, str]]:
        """Yield number and key of each row, and read no more than that takes; raises as ``__next__``."""
        for path in self._files():
            with _opened(path) as file:
                if path.suffix == ".parquet":
                    for batch in parquet_batches(file, ["row", "key"]):
                        numbers, keys = (batch.column(name).to_pylist() for name in ("row", "key"))
                        yield from zip(numbers, keys, strict=True)
                else:
                    yield from ((row["row"], row["key"]) for row in _READERS[path.suffix](file))


def _files_of(output: ObjectStoragePath) -> Sequence[ObjectStoragePath]:
    if output.suffix and output.suffix not in _READERS:
        raise InvalidInput(
            f"{shown(output)} is not an output of a batch: that is a file in .jsonl, .parquet or .csv, or a folder "
            "of parts"
        )
    return [output] if output.suffix else parts_of(output)


@contextlib.contextmanager
def _opened(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    forget_listing(path)
    try:
        with path.open("rb") as file:  # type: ignore[no-untyped-call]
            yield cast("BinaryIO", file)
    except OtherColumns:
        raise InvalidInput(f"{shown(path)} is not an output of a batch: it has other columns") from None
    except InvalidInput:
        raise
    except (ValueError, LookupError, csv.Error):
        # Python's own words would show what stands in the row.
        raise InvalidInput(
            f"{shown(path)} is no whole output of a batch: a row of it cannot be read. It may be cut, or another "
            "program may have saved it; clear the batch's task to have it written again"
        ) from None


def read_output(uri: ObjectStoragePath | Path | str) -> OutputRows:
    """Return the rows of an output: an iterator of dicts, with ``to_arrow()``, ``to_pandas()`` and ``to_polars()``.

    :param uri: the file, of any format, or the folder of its parts: the summary's ``output``. A relative path
        is one of the working directory
    :raises InvalidInput: if it is not a path; while reading, if it is not an output of a batch
    :raises FileNotFoundError: while reading, if it is not there
    """
    return OutputRows([storage_path("uri", from_working_directory(uri))])
