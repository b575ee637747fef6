"""The files that items are: one, those of a folder, or those that match a pattern, in one order."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input.partition_columns import is_partition, partition_of
from airflow_provider_workflows.storage import ObjectStoragePath, forget_listing, shown

_PATTERN = re.compile(r"[*?\[]")
_DIGITS = re.compile(r"([0-9]+)")
#: What the folder of a table has whose files are not all of its present rows.
_TABLE_FORMATS = {"_delta_log": "Delta", ".hoodie": "Hudi"}
_ICEBERG = {"metadata", "data"}
_UNFINISHED = "_temporary"


@dataclass(frozen=True)
class PartFile:
    """One of the files that items are.

    :param path: where it is
    :param info: what its storage says of it, such as its size
    :param place: its path within the folder, or behind the part of the pattern that says one
    :param partition: the values of the columns that are in the names of its folders
    """

    path: ObjectStoragePath
    info: Mapping[str, Any]
    place: str = ""
    partition: Mapping[str, str | None] = field(default_factory=dict)


def part_files(path: ObjectStoragePath) -> list[PartFile]:
    """Return the files that items are, in the order in which their rows are numbered.

    It is the order of their names, numbers within these by their value. Names that begin with ``_`` or ``.`` are
    left out, as programs do that write such folders. Columns are in the names of those folders that are found in
    the folder, or by the pattern, and not in those that ``path`` names itself.

    :param path: a file, a folder, or a pattern with ``*``, ``?`` or ``[...]``
    :raises InvalidInput: if there is no such file, or the folder is one of which not all files are to be read
    """
    with storage_problems(path):
        forget_listing(path)
        if _PATTERN.search(path.path) and not path.fs.exists(path.path):
            return _matching(path)
        info = path.fs.info(path.path)
        return _of_folder(path, path, path) if info.get("type") == "directory" else [PartFile(path, info)]


@contextlib.contextmanager
def storage_problems(path: ObjectStoragePath) -> Iterator[None]:
    """Raise what is wrong with a path as an error of the items.

    :param path: the path
    :raises InvalidInput: in place of an error that says so much
    """
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


def _matching(pattern: ObjectStoragePath) -> list[PartFile]:
    base = pattern
    while _PATTERN.search(base.path):
        base = base.parent
    base.fs.invalidate_cache()
    # A pattern that asks for such names gets them.
    all_names = pattern.name.startswith(("_", "."))
    parts: list[PartFile] = []
    for found, info in base.fs.glob(pattern.path, detail=True).items():
        path = _within(base, found)
        if _is_left_out(path.name) and not all_names:
            continue
        parts += (
            _of_folder(path, path, base) if info.get("type") == "directory" else [_part(path, info, base)]
        )
    if not parts:
        raise InvalidInput(f"items: no file matches {shown(pattern)}")
    return sorted(parts, key=lambda part: _order(part.path))


def _of_folder(
    folder: ObjectStoragePath, items: ObjectStoragePath, base: ObjectStoragePath
) -> list[PartFile]:
    folder.fs.invalidate_cache(folder.path)
    parts: list[PartFile] = []
    entries = {
        PurePosixPath(each["name"].rstrip("/")).name: each
        for each in folder.fs.ls(folder.path, detail=True)
        # A store may list the folder itself, as an object without content.
        if each["name"].strip("/") != folder.path.strip("/")
    }
    _require_finished_rows(folder, entries)
    for name, info in entries.items():
        if _is_left_out(name):
            continue
        path = _within(folder, info["name"])
        if info.get("type") != "directory":
            parts.append(_part(path, info, base))
        elif is_partition(name):
            parts += _of_folder(path, items, base)
        else:
            raise InvalidInput(
                f"items: {shown(items)} has folders in it, and whether they belong to the same table is not known: "
                f"name the folder of the rows, or a pattern such as {shown(items)}/*/*"
            )
    if not parts and folder is items:
        raise InvalidInput(f"items: {shown(items)} is a directory without a file of rows")
    return sorted(parts, key=lambda part: _order(part.path))


def _require_finished_rows(folder: ObjectStoragePath, entries: Mapping[str, Any]) -> None:
    kind = next((kind for name, kind in _TABLE_FORMATS.items() if name in entries), None)
    if kind is None and entries.keys() >= _ICEBERG:
        kind = "Iceberg"
    if kind is not None:
        raise InvalidInput(
            f"items: {shown(folder)} is a {kind} table, whose files also hold rows that were deleted or changed: "
            "read it by a query, or export it"
        )
    if _UNFINISHED in entries:
        raise InvalidInput(
            f"items: {shown(folder)} is still being written, or was left unfinished: it has a folder {_UNFINISHED}"
        )


def _part(path: ObjectStoragePath, info: Mapping[str, Any], base: ObjectStoragePath) -> PartFile:
    place = _below(base, path.path)
    return PartFile(path, info, place, partition_of(place.split("/")[:-1]))


def _within(base: ObjectStoragePath, found: str) -> ObjectStoragePath:
    """Return the path of a file that the storage has found below another."""
    return base / _below(base, found)


def _below(base: ObjectStoragePath, found: str) -> str:
    return found.strip("/").removeprefix(base.path.strip("/")).strip("/")


def _is_left_out(name: str) -> bool:
    return name.startswith(("_", "."))


def _order(path: ObjectStoragePath) -> tuple[list[tuple[str, int]], str]:
    """Return what files are put in order by: their names, with ``part-10`` after ``part-9``."""
    parts = _DIGITS.split(path.path)
    numbers = [*map(int, parts[1::2]), 0]
    return list(zip(parts[::2], numbers, strict=True)), path.path
