"""Read rows out of Parquet and Arrow, with values that JSON can express where that changes nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from airflow_provider_workflows.arguments import require_pyarrow
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells, behind
from airflow_provider_workflows.batch.input.compression import StoredFile, damaged, seekable
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.batch.input.scalars import number_of, whole_number_of
from airflow_provider_workflows.batch.input.unreadable import Unreadable

_BATCH_ROWS = 1000


def parquet_rows(stream: io.BufferedReader[Any], skip: int, reading: Reading) -> Iterator[ReadCells]:
    """Yield None, since the file has no lines, and the cells of many rows at a time.

    :param stream: the file
    :param skip: rows at the beginning to pass over
    :param reading: how it is read
    :raises InvalidInput: if the file as a whole cannot be read
    """
    pyarrow = require_pyarrow("items")
    with _problems(pyarrow, stream, "Parquet"):
        file = pyarrow.parquet.ParquetFile(seekable(stream), pre_buffer=False)
        reading.take_header(file.schema_arrow.names)
        groups: list[int] = []
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if groups or skip < rows:
                groups.append(group)
            else:
                skip -= rows
        # A thread for each column, and reading ahead, nearly double the memory: 51 MB instead of 85 for 7 columns.
        batches = file.iter_batches(_BATCH_ROWS, row_groups=groups, use_threads=False) if groups else ()
        yield from behind(_rows(pyarrow, batches), skip)


def arrow_rows(stream: io.BufferedReader[Any], skip: int, reading: Reading) -> Iterator[ReadCells]:
    """Yield None, since the file has no lines, and the cells of many rows of an Arrow or Feather file at a time.

    :param stream: the file, of the format with batches that may be read in any order, or of the stream's
    :param skip: rows at the beginning to pass over
    :param reading: how it is read
    :raises InvalidInput: if the file as a whole cannot be read
    """
    pyarrow = require_pyarrow("items")
    with _problems(pyarrow, stream, "Arrow"):
        if stream.peek(6).startswith(b"ARROW1"):
            file = pyarrow.ipc.open_file(seekable(stream))
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
        else:
            file = pyarrow.ipc.open_stream(stream)
            batches = iter(file)
        reading.take_header(file.schema.names)
        yield from behind(_rows(pyarrow, batches), skip)


@contextlib.contextmanager
def _problems(pyarrow: Any, stream: io.BufferedReader[Any], kind: str) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, OSError):
        if isinstance(stream.raw, StoredFile) and stream.raw.failed:
            raise
        raise damaged(kind) from None


def _rows(pyarrow: Any, batches: Any) -> Iterator[ReadCells]:
    for batch in batches:
        names = batch.schema.names
        # A batch of an Arrow file may be the whole table, and as objects of Python many times as large.
        for first in range(0, batch.num_rows, _BATCH_ROWS):
            part = batch.slice(first, _BATCH_ROWS)
            if part.num_rows:
                yield None, CellColumns(names, [column_values(pyarrow, column) for column in part.columns])


def column_values(pyarrow: Any, column: Any) -> list[Any]:
    """Return the values of a column, each as JSON has it where that changes nothing.

    :param pyarrow: the module
    :param column: of a table or a batch
    """
    # Within an object a fraction is a number; here, its field says what it becomes.
    is_decimal = pyarrow.types.is_decimal(column.type)
    converted = whole_number_of if is_decimal else _converter(pyarrow, column.type)
    try:
        values = list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(cell, converted) for cell in column]
    return values if converted is None else [None if each is None else converted(each) for each in values]


def _value(cell: Any, converted: Callable[[Any], Any] | None) -> Any:
    try:
        value = cell.as_py()
    except UnicodeDecodeError:
        return Unreadable("is not UTF-8")
    except (ValueError, OverflowError):
        return Unreadable("cannot be read")
    return value if converted is None or value is None else converted(value)


def _converter(pyarrow: Any, kind: Any) -> Callable[[Any], Any] | None:
    """Return what makes a value of a type one that JSON has; None if it is one already.

    :param pyarrow: the module
    :param kind: the type
    """
    types = pyarrow.types
    if types.is_dictionary(kind):
        return _converter(pyarrow, kind.value_type)
    if isinstance(kind, pyarrow.BaseExtensionType):
        return str if _is_uuid(pyarrow, kind) else _converter(pyarrow, kind.storage_type)
    simple = next((converted for is_of, converted in _SIMPLE.items() if _is(types, is_of, kind)), None)
    return simple or _nested(pyarrow, kind)


def _is(types: Any, is_of: str, kind: Any) -> bool:
    # Releases of pyarrow before 16 do not know the views of bytes.
    return hasattr(types, is_of) and bool(getattr(types, is_of)(kind))


def _nested(pyarrow: Any, kind: Any) -> Callable[[Any], Any] | None:
    types = pyarrow.types
    if types.is_map(kind):
        return _of_map(_converter(pyarrow, kind.key_type), _converter(pyarrow, kind.item_type))
    if types.is_struct(kind):
        return _of_struct({field.name: _converter(pyarrow, field.type) for field in kind})
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _of_list(_converter(pyarrow, kind.value_type))
    return None


def _is_uuid(pyarrow: Any, kind: Any) -> bool:
    return hasattr(pyarrow, "UuidType") and isinstance(kind, pyarrow.UuidType)


def _time(value: dt.date | dt.time) -> str:
    return value.isoformat()


def _decoded(value: bytes) -> Any:
    """Return bytes as text: older programs write text so."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Unreadable("is not UTF-8")


def _of_map(
    key: Callable[[Any], Any] | None, item: Callable[[Any], Any] | None
) -> Callable[[list[tuple[Any, Any]]], Any]:
    def converted(pairs: list[tuple[Any, Any]]) -> Any:
        keys = [each if key is None else key(each) for each, _ in pairs]
        items = [each if item is None or each is None else item(each) for _, each in pairs]
        if not all(isinstance(each, str) for each in keys):
            return Unreadable("is a map whose keys are not text")
        if len(set(keys)) < len(keys):
            return Unreadable("is a map that has a key twice")
        return _or_unreadable(dict(zip(keys, items, strict=True)), items)

    return converted


def _of_struct(fields: dict[str, Callable[[Any], Any] | None]) -> Callable[[dict[str, Any]], Any] | None:
    if not any(fields.values()):
        return None

    def converted(value: dict[str, Any]) -> Any:
        found = {
            name: each if (of := fields.get(name)) is None or each is None else of(each)
            for name, each in value.items()
        }
        return _or_unreadable(found, found.values())

    return converted


def _of_list(item: Callable[[Any], Any] | None) -> Callable[[list[Any]], Any] | None:
    if item is None:
        return None

    def converted(values: list[Any]) -> Any:
        found = [None if each is None else item(each) for each in values]
        return _or_unreadable(found, found)

    return converted


def _or_unreadable(value: Any, parts: Iterable[Any]) -> Any:
    """Return a value, or what of its parts cannot be read."""
    return next((each for each in parts if isinstance(each, Unreadable)), value)


#: What makes a value of a type one that JSON has, by the function of pyarrow that knows the type.
_SIMPLE: dict[str, Callable[[Any], Any]] = {
    "is_decimal": number_of,
    **dict.fromkeys(("is_date", "is_timestamp", "is_time"), _time),
    **dict.fromkeys(("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary"), _decoded),
}
