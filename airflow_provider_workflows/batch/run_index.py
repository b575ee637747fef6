"""The index of a batch's runs beside its output: which row an id of a workflow, a case or a record belongs to.

A page searches the batches of a month by it. It holds short hashes of the ids, in order, so that one of a hundred
thousand rows is found by reading a few kilobytes.
"""

from __future__ import annotations

import bisect
import hashlib
import struct
from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_workflows.local_files import OWNER_ONLY
from airflow_provider_workflows.storage import forget_listing
from airflow_provider_workflows.whole_files import replacing

if TYPE_CHECKING:
    from airflow_provider_workflows.storage import ObjectStoragePath

RUN_INDEX_NAME = "run_index.bin"
_MAGIC = b"WFRUNIX1"
_HASH_BYTES = 8
_ENTRY = struct.Struct(">8sI")
#: A file that is no longer than this is read as a whole.
_WHOLE_BYTES = 64 * 1024
#: Hashes are spread evenly, so that one is near the place that its value says: within some deviations of that.
_WINDOW_ENTRIES = 4096
_ENTRIES_IN_PIECE = 4096


def write_run_index(
    folder: ObjectStoragePath, ids: Iterable[tuple[int, str | None]], mode: int = OWNER_ONLY
) -> None:
    """Write the index of a batch.

    It takes 12 bytes of memory, and of the file, for each id.

    :param folder: the folder of the output
    :param ids: row numbers with an id of the row's workflow, case or record; None is left out
    :param mode: of the file, where it is local
    :raises Exception: if it cannot be written
    """
    hashes, rows = array("Q"), array("I")
    for row, given in ids:
        if given:
            hashes.append(int.from_bytes(_hash(given), "big"))
            rows.append(row)
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    with replacing(folder / RUN_INDEX_NAME, mode=mode) as file:
        file.write(_MAGIC)
        for begin in range(0, len(order), _ENTRIES_IN_PIECE):
            piece = order[begin : begin + _ENTRIES_IN_PIECE]
            file.write(b"".join(_ENTRY.pack(hashes[i].to_bytes(_HASH_BYTES, "big"), rows[i]) for i in piece))


def find_row(path: ObjectStoragePath, wanted: str) -> int | None:
    """Return the number of the row that an id belongs to, or None if the index has no such id. It blocks.

    One id in many billions is taken for another one.

    :param path: of the index
    :param wanted: id of a workflow, a case or a record, in upper or lower case
    :raises ValueError: if the file is no index in the format that this version reads
    :raises Exception: if storage cannot be read
    """
    forget_listing(path)
    size = int(path.fs.info(path.path)["size"])
    entries, rest = divmod(size - len(_MAGIC), _ENTRY.size)
    if rest or entries < 0:
        raise ValueError("it is no index of runs")
    digest = _hash(wanted)
    if size <= _WHOLE_BYTES:
        content = path.fs.cat_file(path.path)
        _require_magic(content)
        return _find(content[len(_MAGIC) :], digest)
    _require_magic(path.fs.cat_file(path.path, 0, len(_MAGIC)))
    for first, last in _windows(entries, digest):
        content = path.fs.cat_file(
            path.path, len(_MAGIC) + first * _ENTRY.size, len(_MAGIC) + last * _ENTRY.size
        )
        if _is_within(content, digest, is_first=first == 0, is_last=last == entries):
            return _find(content, digest)
    return None


def _windows(entries: int, digest: bytes) -> Iterator[tuple[int, int]]:
    """Yield where a hash may be: near where it is expected, and then anywhere."""
    middle = entries * int.from_bytes(digest, "big") >> (8 * _HASH_BYTES)
    yield max(0, middle - _WINDOW_ENTRIES), min(entries, middle + _WINDOW_ENTRIES)
    yield 0, entries


def _is_within(content: bytes, digest: bytes, *, is_first: bool, is_last: bool) -> bool:
    first, last = content[:_HASH_BYTES], content[-_ENTRY.size : -_ENTRY.size + _HASH_BYTES]
    return (is_first or first < digest) and (is_last or digest < last)


def _find(content: bytes, digest: bytes) -> int | None:
    def at(place: int) -> bytes:
        return content[place * _ENTRY.size : place * _ENTRY.size + _HASH_BYTES]

    number = len(content) // _ENTRY.size
    place = bisect.bisect_left(range(number), digest, key=at)
    if place == number or at(place) != digest:
        return None
    row: int = _ENTRY.unpack_from(content, place * _ENTRY.size)[1]
    return row


def _require_magic(content: bytes) -> None:
    if not content.startswith(_MAGIC):
        raise ValueError("it is no index of runs")


def _hash(given: str) -> bytes:
    return hashlib.blake2b(given.strip().lower().encode(), digest_size=_HASH_BYTES).digest()
