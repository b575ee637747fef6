"""Read rows as a stream out of JSON Lines, CSV and Parquet, wherever the file is."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.strict_json import parse_json
from airflow_provider_workflows.arguments import require_pyarrow
from airflow_provider_workflows.batch.input.columns import CheckHeader
from airflow_provider_workflows.batch.input.csv_rows import NOT_UTF_8, UNDECODED, csv_rows
from airflow_provider_workflows.batch.input.rows import (
    ROW_CHARACTERS,
    ROW_TOO_LONG,
    Cells,
    Unreadable,
)
from airflow_provider_workflows.storage import forget_listing, shown, storage_path

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

_CHUNK_BYTES = 1 << 18
#: The names under which file systems give the time of a file's last change.
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified")
_PARQUET_ROWS = 1000


def file_path(value: object) -> ObjectStoragePath:
    """Return the path of a file of rows.

    :param value: URI, absolute local path, or ``ObjectStoragePath``
    :raises InvalidInput: if it is not a path, or its suffix is not that of a format read here
    """
    path = storage_path("items", value)
    if suffix(path) not in _READERS:
        raise InvalidInput(
            f"items must be a file in .jsonl (or .ndjson), .csv or .parquet; {shown(path)} is not"
        )
    return path


def file_version(path: ObjectStoragePath) -> str:
    """Return what tells one version of a file from another: its size, time and ETag, as far as they are known.

    :param path: what ``file_path`` returned
    :raises InvalidInput: if there is no such file
    """
    with _problems(path):
        forget_listing(path)
        info = path.fs.info(path.path)
    facets = [info.get("size"), *(info.get(name) for name in _TIMES), info.get("ETag") or info.get("etag")]
    return ";".join("" if each is None else str(each) for each in facets)


def suffix(path: ObjectStoragePath) -> str:
    """Return the suffix that says a file's format, in lower case."""
    return PurePosixPath(path.path).suffix.lower()


def read_file(
    path: ObjectStoragePath, skip: int, check_header: CheckHeader
) -> Iterator[tuple[int | None, Cells]]:
    """Yield the line at which each row begins, None for a file without lines, and its cells.

    :param path: what ``file_path`` returned
    :param skip: data rows at the beginning to pass over
    :param check_header: called with the columns of a table before its first row
    :raises InvalidInput: if the file as a whole cannot be read
    """
    with _opened(path) as stream:
        yield from _READERS[suffix(path)](stream, skip, check_header)


class _Source(io.RawIOBase):
    """Wraps an Airflow file as a plain Python file: Airflow counts each read, which is slow line by line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.failed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except OSError:
            self.failed = True
            raise
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _problems(path: ObjectStoragePath) -> Iterator[None]:
    problem = ""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        problem = f"items: there is no file {shown(path)}"
    except IsADirectoryError:
        problem = f"items: {shown(path)} is a directory, not a file"
    except PermissionError:
        problem = f"items: no permission to read {shown(path)}"
    if problem:
        raise InvalidInput(problem)


@contextmanager
def _opened(path: ObjectStoragePath) -> Iterator[io.BufferedReader]:
    with _problems(path):
        stream = path.open("rb")  # type: ignore[no-untyped-call]
    with stream:
        yield io.BufferedReader(_Source(stream), _CHUNK_BYTES)


def _json_lines(stream: io.BufferedReader, skip: int, _: CheckHeader) -> Iterator[tuple[int | None, Cells]]:
    for number, line in islice(_lines(stream), skip, None):
        yield number, _json_cells(line)


def _json_cells(line: bytes) -> Cells:
    # A line that is too long was not read to its end, which may be in the middle of a character.
    text = line.decode(errors="surrogateescape")
    if len(text) > ROW_CHARACTERS:
        return Unreadable(ROW_TOO_LONG)
    if not text.isascii() and UNDECODED.search(text):
        return Unreadable(NOT_UTF_8)
    try:
        cells = parse_json(text)
    except InvalidInput as problem:
        return Unreadable(str(problem))
    return cells if isinstance(cells, dict) else Unreadable("is not a JSON object")


def _lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each line that is not blank; of a line that is too long, only its beginning."""
    limit = 4 * ROW_CHARACTERS + 1  # A character has four bytes at most.
    number = 1
    line = stream.readline(limit).removeprefix(b"\xef\xbb\xbf")
    while line:
        rest = line
        while len(rest) == limit and not rest.endswith(b"\n"):
            rest = stream.readline(limit)
        if not line.isspace():
            yield number, line
        number += 1
        line = stream.readline(limit)


def _parquet(
    stream: io.BufferedReader, skip: int, check_header: CheckHeader
) -> Iterator[tuple[int | None, Cells]]:
    pyarrow = require_pyarrow("items")
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        names = file.schema_arrow.names
        check_header(names)
        groups: list[int] = []
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if groups or skip < rows:
                groups.append(group)
            else:
                skip -= rows
        for batch in file.iter_batches(_PARQUET_ROWS, row_groups=groups) if groups else ():
            columns = [_values(column) for column in batch.slice(skip).columns]
            skip = max(0, skip - batch.num_rows)
            for cells in zip(*columns, strict=True):
                yield None, dict(zip(names, cells, strict=True))
    except (pyarrow.ArrowException, OSError):
        if isinstance(stream.raw, _Source) and stream.raw.failed:
            raise
        raise InvalidInput("items is not a whole Parquet file: it may be cut or damaged") from None


def _values(column: Any) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(cell) for cell in column]


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return Unreadable("is not UTF-8")
    except (ValueError, OverflowError):
        return Unreadable("cannot be read")


_READERS: dict[str, Callable[[io.BufferedReader, int, CheckHeader], Iterator[tuple[int | None, Cells]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": csv_rows,
    ".parquet": _parquet,
}
