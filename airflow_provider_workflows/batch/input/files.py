"""Read the rows of one file or several as a stream, wherever they are and whatever their format is."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.cell_columns import CellColumns, ReadCells, behind
from airflow_provider_workflows.batch.input.compression import StoredFile, uncompressed
from airflow_provider_workflows.batch.input.formats import Format, format_of, require_suffix
from airflow_provider_workflows.batch.input.part_files import PartFile, part_files, storage_problems
from airflow_provider_workflows.batch.input.partition_columns import with_partition, without_values
from airflow_provider_workflows.batch.input.reading import Reading
from airflow_provider_workflows.storage import shown

if TYPE_CHECKING:
    import io

    from airflow_provider_workflows.storage import ObjectStoragePath

#: The names under which file systems give the time of a file's last change.
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified")
_NOTED_FILES = 20


def file_version(path: ObjectStoragePath) -> str:
    """Return what tells one version of a file or of several from another: name, size, time and ETag of each.

    :param path: a file, a folder or a pattern
    :raises InvalidInput: if there is no such file
    """
    parts = part_files(path)
    if len(parts) == 1 and parts[0].path == path:
        return _version(parts[0].info)
    versions = "\n".join(f"{part.path}\t{_version(part.info)}" for part in parts)
    return f"{len(parts)} files;{hashlib.blake2b(versions.encode(), digest_size=16).hexdigest()}"


def read_files(path: ObjectStoragePath, skip: int, reading: Reading) -> Iterator[ReadCells]:
    """Yield the line at which each row begins, None where files have no lines or are several, and its cells.

    Rows that follow on each other may come together, as ``CellColumns``.

    :param path: a file, a folder or a pattern
    :param skip: data rows at the beginning to pass over
    :param reading: how they are read
    :raises InvalidInput: if a file as a whole cannot be read
    """
    parts = part_files(path)
    if len(parts) == 1:
        require_suffix(parts[0].path.name, shown(parts[0].path))
        yield from _read_file(parts[0], skip, reading, set())
        return
    yield from behind(_read_all(parts, reading), skip)


def _version(info: Mapping[str, Any]) -> str:
    facets = [info.get("size"), *(info.get(name) for name in _TIMES), info.get("ETag") or info.get("etag")]
    return ";".join("" if each is None else str(each) for each in facets)


def _read_all(parts: list[PartFile], reading: Reading) -> Iterator[ReadCells]:
    """Yield None and the cells of each row of several files; which rows are in which file is noted at the end."""
    formats: set[Format] = set()
    first_row = 1
    noted: list[str] = []
    for part in parts:
        rows = 0
        reading.file = without_values(part.place, reading.fields)
        # Of nothing, which Spark writes where a part has no rows, there is no header either.
        if part.info.get("size") != 0:
            try:
                for _, cells in _read_file(part, 0, reading, formats):
                    rows += len(cells) if isinstance(cells, CellColumns) else 1
                    yield None, cells
            except InvalidInput as error:
                name = without_values(shown(part.path), reading.fields)
                raise InvalidInput(f"{error} ({name})") from None
        if rows and len(noted) < _NOTED_FILES:
            noted.append(f"{reading.file} has rows {first_row:,} to {first_row + rows - 1:,}")
        first_row += rows
    others = "; and so on" if len(parts) > len(noted) == _NOTED_FILES else ""
    reading.note(f"items: {len(parts)} files were read, in this order: {'; '.join(noted)}{others}")


def _read_file(part: PartFile, skip: int, reading: Reading, formats: set[Format]) -> Iterator[ReadCells]:
    reading.take_partition([*part.partition])
    with storage_problems(part.path):
        file = part.path.open("rb")  # type: ignore[no-untyped-call]
    with file, uncompressed(StoredFile(file), part.path.name) as (stream, name):
        found = format_of(name, stream.peek(_HEAD_BYTES)[:_HEAD_BYTES])
        formats.add(found)
        if len(formats) > 1:
            raise InvalidInput("items has files of more than one format: name those of one, as in *.csv")
        rows = _rows(found, stream, skip, reading)
        if part.partition:
            rows = with_partition(rows, part.partition, reading.fields, first_row=skip + 1)
        yield from rows


_HEAD_BYTES = 64


def _rows(found: Format, stream: io.BufferedReader[Any], skip: int, reading: Reading) -> Iterator[ReadCells]:
    # Most tasks read files of one format, and need no more.
    module, name = _READERS[found]
    read = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    rows: Iterator[ReadCells] = read(stream, skip, reading)
    if found not in _OF_SPREADSHEETS:
        return rows
    from airflow_provider_workflows.batch.input.written_lists import without_apostrophes  # noqa: PLC0415  (as above)

    return without_apostrophes(rows, reading)


_OF_SPREADSHEETS = (Format.CSV, Format.WORKBOOK)
_READERS = {
    Format.CSV: ("csv_rows", "csv_rows"),
    Format.JSON: ("json_rows", "json_rows"),
    Format.PARQUET: ("arrow_rows", "parquet_rows"),
    Format.ARROW: ("arrow_rows", "arrow_rows"),
    Format.WORKBOOK: ("workbook_rows", "workbook_rows"),
}
