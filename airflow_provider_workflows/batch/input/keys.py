"""The keys of the rows so far: no two rows may have the same."""

from __future__ import annotations

import operator
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import OrdinaryRows
    from airflow_provider_workflows.batch.input.rows import BadRow, Row

#: The reasons why a row whose key an earlier one has is a bad row.
DUPLICATE_KEY = "is used by an earlier row"
DUPLICATE_NUMBER = "its number is the key of an earlier row"

_BYTES_IN_MEMORY = 256 * 1024
_KEYS_WRITTEN_AT_ONCE = 1024
_LEAST_SLOTS = 1 << 10
_HASH = 0xFFFFFFFF


class Keys:
    """The keys so far.

    Nothing is kept as long as each is its row's number. As long as they ascend, by their length and then their
    text, none can be there twice, and they only go to the disk, into a file without a name. Once one does not, each
    takes 16 bytes of memory.

    :param first_row: number of the first row
    """

    def __init__(self, first_row: int) -> None:
        #: The rows at the beginning whose key is their number.
        self._numbers = range(first_row, first_row)
        self._kept: _KeptKeys | None = None
        self._last = (0, "")
        self._places: _Places | None = None

    def clash(self, row: Row | BadRow) -> str:
        """Return why the row cannot have its key; empty if it can."""
        return self._clash(row.number, row.key)

    def clashes(self, rows: OrdinaryRows) -> dict[int, str]:
        """Return why rows cannot have their keys, by their places in ``rows``."""
        if self._kept is None and rows.own_keys is None:
            return {}
        keys = rows.keys
        if self._kept is None and keys[0] != str(rows.number):
            self._kept = self._begun(rows.number)
        if self._kept is not None and self._places is None and _ascend(self._last, keys):
            self._kept.extend(keys)
            self._last = (len(keys[-1]), keys[-1])
            return {}
        found = ((place, self._clash(rows.number + place, key)) for place, key in enumerate(keys))
        return {place: reason for place, reason in found if reason}

    def _clash(self, number: int, key: str) -> str:
        if self._kept is None:
            if key == str(number):
                return ""
            self._kept = self._begun(number)
        if self._places is None:
            if (len(key), key) > self._last:
                self._last = (len(key), key)
                self._kept.extend((key,))
                return ""
            self._places = _Places(self._kept)
        if not self._is_earlier_number(key) and self._places.take(key):
            return ""
        return DUPLICATE_NUMBER if key == str(number) else DUPLICATE_KEY

    def _begun(self, number: int) -> _KeptKeys:
        """Begin to keep keys at a row: all rows before have their number as a key."""
        self._numbers = range(self._numbers.start, number)
        if self._numbers:
            last = str(self._numbers[-1])
            self._last = (len(last), last)
        return _KeptKeys()

    def _is_earlier_number(self, key: str) -> bool:
        return key.isascii() and key.isdigit() and str(int(key)) == key and int(key) in self._numbers


def _ascend(last: tuple[int, str], keys: Sequence[str]) -> bool:
    if (len(keys[0]), keys[0]) <= last:
        return False
    lengths = [*map(len, keys)]
    if min(lengths) == max(lengths):
        return all(map(operator.lt, keys, islice(keys, 1, None)))
    pairs = [*zip(lengths, keys, strict=True)]
    return all(map(operator.lt, pairs, islice(pairs, 1, None)))


class _KeptKeys:
    """Keys in the order in which they came, on the worker's disk once they are many."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115  (open as long as the keys are)
        #: Where in the file each group of keys begins, and how many keys are before it.
        self._offsets = array("Q")
        self._befores = array("Q")
        self._written = self._bytes = 0
        self._last: list[str] = []
        self._group: tuple[int, list[str]] | None = None

    def __len__(self) -> int:
        return self._written + len(self._last)

    def __iter__(self) -> Iterator[str]:
        for group in range(len(self._offsets)):
            yield from self._read(group)
        yield from self._last

    def extend(self, keys: Sequence[str]) -> None:
        """Take note of keys, none of which has a line feed."""
        self._last += keys
        if len(self._last) >= _KEYS_WRITTEN_AT_ONCE:
            content = "\n".join(self._last).encode(errors="surrogatepass")
            self._offsets.append(self._bytes)
            self._befores.append(self._written)
            self._file.seek(self._bytes)
            self._file.write(content)
            self._bytes += len(content)
            self._written += len(self._last)
            self._last = []

    def at(self, place: int) -> str:
        """Return a key.

        :param place: how many keys came before it
        """
        if place >= self._written:
            return self._last[place - self._written]
        number = bisect_right(self._befores, place) - 1
        if self._group is None or self._group[0] != number:
            self._group = (number, self._read(number))
        return self._group[1][place - self._befores[number]]

    def _read(self, group: int) -> list[str]:
        start = self._offsets[group]
        end = self._offsets[group + 1] if group + 1 < len(self._offsets) else self._bytes
        self._file.seek(start)
        content = self._file.read(end - start)
        return content.decode(errors="surrogatepass").split("\n")


class _Places:
    """Finds keys among those that are kept, by a table with open addressing.

    A slot has half of a key's hash and, from 1, the key's place; it is 0 while it is free. At most half of the
    slots are taken. Whether a key is really the same is seen by the kept one.
    """

    def __init__(self, kept: _KeptKeys) -> None:
        self._kept = kept
        slots = _LEAST_SLOTS
        while slots < 2 * (len(kept) + 1):
            slots *= 2
        self._slots = array("Q", [0]) * slots
        for place, key in enumerate(kept, 1):
            self._put(hash(key) & _HASH, place)

    def take(self, key: str) -> bool:
        """Return whether a key is not there, and keep it then."""
        slots = self._slots
        mask = len(slots) - 1
        hashed = hash(key) & _HASH
        slot = hashed & mask
        while taken := slots[slot]:
            if taken >> 32 == hashed and self._kept.at((taken & _HASH) - 1) == key:
                return False
            slot = (slot + 1) & mask
        self._kept.extend((key,))
        place = len(self._kept)
        slots[slot] = hashed << 32 | place
        if place * 2 > mask:
            self._grow()
        return True

    def _grow(self) -> None:
        before = self._slots
        self._slots = array("Q", [0]) * (2 * len(before))
        for taken in before:
            if taken:
                self._put(taken >> 32, taken & _HASH)

    def _put(self, hashed: int, place: int) -> None:
        mask = len(self._slots) - 1
        slot = hashed & mask
        while self._slots[slot]:
            slot = (slot + 1) & mask
        self._slots[slot] = hashed << 32 | place
