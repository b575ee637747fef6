"""An output in parts: a folder of files of a given number of rows, and the list of those that belong together.

The list is written once all parts are there, and names them: a reader who goes by it sees the earlier output or the
new one, and never half of one. Its name, ``_SUCCESS``, is what Spark and its like take for the sign that a folder
is complete, and what readers of a folder pass over.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.output_formats import TableWriter, table_writer
from airflow_provider_workflows.storage import OBJECT_STORES, forget_listing, remove_file, shown
from airflow_provider_workflows.whole_files import (
    NamelessFile,
    nameless_file,
    remove_abandoned,
    replacing,
    write_whole,
)

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.output_options import OutputOptions
    from airflow_provider_workflows.batch.output_row import OutputRow
    from airflow_provider_workflows.storage import ObjectStoragePath
    from airflow_provider_workflows.storage_retry import StorageRetry

LIST_NAME = "_SUCCESS"
_LIST_VERSION = 1
#: A part's name has a digest of its content: another content never takes the place of a part that is listed.
_DIGEST_BYTES = 8
_PART = re.compile(rf"part-\d{{5,}}-[0-9a-f]{{{2 * _DIGEST_BYTES}}}\.(?:jsonl|parquet|csv)")
_COPIED_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Part:
    """One file of an output in parts.

    :param name: in the folder of the parts
    :param rows: number of its rows
    """

    name: str
    rows: int


class _Content(io.RawIOBase):
    """The content of a part, which waits among others in one file; its offsets count from its own start."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self.length = 0

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.length

    def write(self, content: Any, /) -> int:
        view = memoryview(content).cast("B")
        self._file.write(view)
        self._digest.update(view)
        self.length += view.nbytes
        return view.nbytes


class PartsWriter:
    """Writes rows as parts, one after another, into a file where they wait for their own.

    :param file: where they wait
    :param options: how the output is written
    """

    def __init__(self, file: BinaryIO, options: OutputOptions) -> None:
        self._file = file
        self._options = options
        self._rows_per_file = options.rows_per_file or 1
        #: The parts that have ended, and the number of bytes of each.
        self.ended: list[tuple[Part, int]] = []
        self._begin()

    def _begin(self) -> None:
        self._content = _Content(self._file)
        self._rows = 0
        self._writer: TableWriter = table_writer(self._content, self._options)  # type: ignore[arg-type]

    def write(self, row: OutputRow) -> None:
        """Write the next row."""
        if self._rows == self._rows_per_file:
            self._end()
            self._begin()
        self._writer.write(row)
        self._rows += 1

    def flush(self) -> None:
        """End the last part; without rows it is the only one, so that the columns can be seen."""
        self._end()

    def close(self) -> None:
        """Have the last part end, also after an exception."""
        self._writer.close()

    def _end(self) -> None:
        self._writer.flush()
        self._writer.close()
        name = f"part-{len(self.ended):05}-{self._content.digest}.{self._options.format}"
        self.ended.append((Part(name, self._rows), self._content.length))


@contextlib.contextmanager
def writing_parts(
    folder: ObjectStoragePath, options: OutputOptions, retry: StorageRetry
) -> Iterator[PartsWriter]:
    """Yield a writer of parts, which take the place of earlier ones once the block has ended without an exception.

    Until then they wait on the disk of the output, or on the worker's (``TMPDIR``) where that is not local.

    :param folder: the folder of the parts
    :param options: how the output is written
    :param retry: tries again what fails
    :raises Exception: if the parts cannot be written
    """
    with nameless_file(folder.parent, retry, options.mode) as waiting:
        parts = PartsWriter(waiting.file, options)
        try:
            yield parts
            parts.flush()
        finally:
            parts.close()
        waiting.file.flush()
        offset = 0
        for part, length in parts.ended:
            with replacing(folder / part.name, retry, mode=options.mode) as file:
                _copy(waiting, offset, length, file)
            offset += length
    listed = [part for part, _ in parts.ended]
    retry.run(lambda: _write_list(folder, listed, options))
    retry.run(lambda: _remove_others(folder, {part.name for part in listed}))


def _copy(waiting: NamelessFile, offset: int, length: int, file: BinaryIO) -> None:
    end = offset + length
    file.writelines(
        waiting.read(start, min(_COPIED_BYTES, end - start)) for start in range(offset, end, _COPIED_BYTES)
    )


def _write_list(folder: ObjectStoragePath, parts: Sequence[Part], options: OutputOptions) -> None:
    content = {
        "version": _LIST_VERSION,
        "format": options.format,
        "rows": sum(part.rows for part in parts),
        "parts": [{"name": part.name, "rows": part.rows} for part in parts],
    }
    write_whole(folder / LIST_NAME, f"{json.dumps(content, indent=2)}\n".encode(), options.mode)


def parts_of(folder: ObjectStoragePath) -> list[ObjectStoragePath]:
    """Return the parts of an output, in the order of their rows.

    :param folder: the folder of the parts
    :raises InvalidInput: if what lists them is not an output's
    :raises FileNotFoundError: if there is no list of them
    """
    path = folder / LIST_NAME
    forget_listing(path)
    with path.open("rb") as file:  # type: ignore[no-untyped-call]
        content = file.read()
    try:
        listed = json.loads(content)
        names = [str(part["name"]) for part in listed["parts"]]
        is_list = listed["version"] == _LIST_VERSION and all(map(_PART.fullmatch, names))
    except (ValueError, LookupError, TypeError):
        is_list = False
    if not is_list:
        raise InvalidInput(
            f"{shown(folder)} is not an output of a batch: {LIST_NAME} does not list its parts"
        )
    return [folder / name for name in names]


def remove_parts(folder: ObjectStoragePath) -> None:
    """Remove an output in parts if it is there, and its folder if nothing else is in it."""
    remove_file(folder / LIST_NAME)
    _remove_others(folder, set())
    if folder.protocol not in OBJECT_STORES:
        with contextlib.suppress(OSError):
            folder.fs.rmdir(folder.path)


def _remove_others(folder: ObjectStoragePath, names: set[str]) -> None:
    """Remove those parts of earlier tries that have other names."""
    remove_abandoned(folder, _PART.fullmatch)
    folder.fs.invalidate_cache(folder.path)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.fs.ls(folder.path, detail=False):
            name = path.rstrip("/").rpartition("/")[2]
            if _PART.fullmatch(name) and name not in names:
                remove_file(folder / name)


def has_parts(folder: ObjectStoragePath) -> bool:
    """Return whether an output in parts is there."""
    path = folder / LIST_NAME
    forget_listing(path)
    return bool(path.fs.exists(path.path))
