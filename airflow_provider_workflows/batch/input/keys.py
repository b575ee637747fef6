"""The keys of the rows so far: no two rows may have the same."""

from __future__ import annotations

import operator
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

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
#: No row has a number with more; Python reads no numbers of thousands of digits.
_MOST_DIGITS = 18


class Clash(NamedTuple):
    """Why a row cannot have its key.

    :param reason: in words that are the same for each such row
    :param earlier: the number of the row that has the key
    """

    reason: str
    earlier: int


class Keys:
    """The keys so far.

    Nothing is kept as long as each is its row's number. As long as they ascend, by their length and then their
    text, none can be there twice, and they only go to the disk, into a file without a name. Once one does not, each
    takes 16 bytes of memory. So does each gap in the numbers of the rows: where one was passed over, or has no key.

    :param first_row: number of the first row
    """

    def __init__(self, first_row: int) -> None:
        #: Where the numbers of the rows at the beginning whose key is their number follow on each other: the first
        #: of them, and the one after the last.
        self._firsts, self._ends = array("Q", [first_row]), array("Q", [first_row])
        self._kept: _KeptKeys | None = None
        self._last = (0, "")
        self._places: _Places | None = None

    def clash(self, row: Row | BadRow) -> Clash | None:
        """Return why the row cannot have its key; None if it can."""
        # One that cannot be run and has no key of its own takes none: its number may be the key of another.
        return self._clash(row.number, row.key, has_key=row.has_key) if row.key else None

    def clashes(self, rows: OrdinaryRows) -> dict[int, Clash]:
        """Return why rows cannot have their keys, by their places in ``rows``."""
        if self._kept is None and rows.own_keys is None:
            self._take_numbers(rows.number, len(rows))
            return {}
        keys = rows.keys
        if self._kept is None and keys[0] != str(rows.number):
            self._kept = self._begun()
        if self._kept is not None and self._places is None and _ascend(self._last, keys):
            self._kept.extend(keys, rows.number)
            self._last = (len(keys[-1]), keys[-1])
            return {}
        own_keys = rows.own_keys or keys
        found = (
            (place, self._clash(rows.number + place, key, has_key=bool(own_keys[place])))
            for place, key in enumerate(keys)
        )
        return {place: clash for place, clash in found if clash is not None}

    def _clash(self, number: int, key: str, *, has_key: bool) -> Clash | None:
        if self._kept is None:
            if key == str(number):
                self._take_numbers(number, 1)
                return None
            self._kept = self._begun()
        if self._places is None:
            if (len(key), key) > self._last:
                self._last = (len(key), key)
                self._kept.extend((key,), number)
                return None
            self._places = _Places(self._kept)
        earlier = int(key) if self._is_earlier_number(key) else self._places.take(key, number)
        if earlier is None:
            return None
        return Clash(DUPLICATE_KEY if has_key else DUPLICATE_NUMBER, earlier)

    def _take_numbers(self, first: int, rows: int) -> None:
        """Take note of rows whose key is their number; between them may be rows that have no key."""
        if first != self._ends[-1]:
            self._firsts.append(first)
            self._ends.append(first)
        self._ends[-1] += rows

    def _begun(self) -> _KeptKeys:
        """Begin to keep keys: all rows before that have one have their number as a key."""
        if self._ends[-1] > self._firsts[0]:
            last = str(self._ends[-1] - 1)
            self._last = (len(last), last)
        return _KeptKeys()

    def _is_earlier_number(self, key: str) -> bool:
        if not (key.isascii() and key.isdigit() and len(key) <= _MOST_DIGITS and str(int(key)) == key):
            return False
        run = bisect_right(self._firsts, int(key)) - 1
        return run >= 0 and int(key) < self._ends[run]


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
        #: How many keys are before those of rows whose numbers follow on each other, and the number of their first.
        self._run_places = array("Q")
        self._run_numbers = array("Q")
        self._next_number = 0

    def __len__(self) -> int:
        return self._written + len(self._last)

    def __iter__(self) -> Iterator[str]:
        for group in range(len(self._offsets)):
            yield from self._read(group)
        yield from self._last

    def extend(self, keys: Sequence[str], number: int) -> None:
        """Take note of keys, none of which has a line feed.

        :param keys: of rows that follow on each other
        :param number: of the first of these rows
        """
        if number != self._next_number or not self._run_places:
            self._run_places.append(len(self))
            self._run_numbers.append(number)
        self._next_number = number + len(keys)
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

    def number(self, place: int) -> int:
        """Return the number of the row whose key it is.

        :param place: how many keys came before it
        """
        run = bisect_right(self._run_places, place) - 1
        return self._run_numbers[run] + place - self._run_places[run]

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

    def take(self, key: str, number: int) -> int | None:
        """Return the number of the row that has a key; None if none has it, and keep it then.

        :param key: the key
        :param number: of its row
        """
        slots = self._slots
        mask = len(slots) - 1
        hashed = hash(key) & _HASH
        slot = hashed & mask
        while taken := slots[slot]:
            place = (taken & _HASH) - 1
            if taken >> 32 == hashed and self._kept.at(place) == key:
                return self._kept.number(place)
            slot = (slot + 1) & mask
        self._kept.extend((key,), number)
        place = len(self._kept)
        slots[slot] = hashed << 32 | place
        if place * 2 > mask:
            self._grow()
        return None

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
