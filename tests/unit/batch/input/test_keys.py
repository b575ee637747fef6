"""No two rows have the same key, in whatever order the keys come, and however they fall in the table."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Sequence

import pytest

from airflow_provider_workflows.batch.input import keys
from airflow_provider_workflows.batch.input.checked_columns import OrdinaryRows
from airflow_provider_workflows.batch.input.keys import DUPLICATE_KEY, DUPLICATE_NUMBER, Clash, Keys
from airflow_provider_workflows.batch.input.rows import Row

NO, KEY, NUMBER = "", DUPLICATE_KEY, DUPLICATE_NUMBER


def together(first: int, own_keys: Sequence[str]) -> OrdinaryRows:
    """Return rows with keys of their own, or without where these are empty."""
    return OrdinaryRows(first, len(own_keys), {"key": own_keys, "first_name": ["Ada"] * len(own_keys)})


def reasons(own_keys: Sequence[str], sizes: Sequence[int], first: int = 1) -> list[str]:
    """Return the reason of each row, having asked for as many rows at a time as ``sizes`` say in turn."""
    return [NO if clash is None else clash.reason for clash in clashes_of(own_keys, sizes, first)]


def clashes_of(own_keys: Sequence[str], sizes: Sequence[int], first: int = 1) -> list[Clash | None]:
    """Return why each row cannot have its key, asked for as ``reasons`` asks."""
    all_keys, place, turn = Keys(first), 0, 0
    found: list[Clash | None] = []
    while place < len(own_keys):
        size = sizes[turn % len(sizes)]
        rows = together(first + place, own_keys[place : place + size])
        if size == 1:
            found.append(all_keys.clash(next(iter(rows))))
        else:
            clashes = all_keys.clashes(rows)
            found += [clashes.get(each) for each in range(len(rows))]
        place, turn = place + size, turn + 1
    return found


@pytest.mark.parametrize("sizes", [(1,), (2,), (100,), (1, 3)], ids=str)
@pytest.mark.parametrize(
    ("own_keys", "expected"),
    [
        (["a", "b", "c", "aa"], [NO, NO, NO, NO]),
        (["a", "b", "b", "c"], [NO, NO, KEY, NO]),
        (["c", "b", "a", "c", "b"], [NO, NO, NO, KEY, KEY]),
        (["b", "aa", "b", "aa"], [NO, NO, KEY, KEY]),
        (["", "", ""], [NO, NO, NO]),
        (["1", "2", "1"], [NO, NO, KEY]),
        (["", "", "x", "2", "02"], [NO, NO, NO, KEY, NO]),
        (["3", "a", ""], [NO, NO, NUMBER]),
        (["a", "", "3", "2", ""], [NO, NO, NO, KEY, NO]),
    ],
    ids=str,
)
def test_a_key_that_an_earlier_row_has_is_refused(
    own_keys: list[str], expected: list[str], sizes: tuple[int, ...]
) -> None:
    assert reasons(own_keys, sizes) == expected


@pytest.mark.parametrize("seed", [0, 1])
def test_many_keys_are_found_as_a_dict_would_find_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_KEYS_WRITTEN_AT_ONCE", 50)
    draw = random.Random(seed)
    own_keys = [f"{number:05}" for number in range(1500)] + [
        f"{draw.randrange(6000):05}" for _ in range(1500)
    ]
    earlier: dict[str, int] = {}
    expected = []
    for number, key in enumerate(own_keys, 1):
        expected.append(Clash(KEY, earlier[key]) if key in earlier else None)
        earlier.setdefault(key, number)

    assert clashes_of(own_keys, (1, 700, 20)) == expected


@pytest.mark.parametrize("size", [1, 2], ids=["one by one", "together"])
def test_a_row_that_was_passed_over_has_no_key(size: int) -> None:
    all_keys = Keys(1)
    for first in (1, 5):
        for number in range(first, first + 2, size):
            asked = together(number, [""] * size)
            found = all_keys.clashes(asked) if size > 1 else all_keys.clash(next(iter(asked)))
            assert not found

    clashes = all_keys.clashes(together(8, ["2", "3", "4", "5", "6", "7", "0", "9" * 5000]))

    assert {place: clash.earlier for place, clash in clashes.items()} == {0: 2, 3: 5, 4: 6}


def test_keys_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "hash", lambda _: 7, raising=False)

    assert reasons(["b", "a", "c", "a", "b"], (1,)) == [NO, NO, NO, KEY, KEY]


def test_the_keys_of_rows_before_a_shard_are_not_known_in_it() -> None:
    assert reasons(["", "5", "12"], (1,), first=11) == [NO, NO, NO]
    assert reasons(["", "11", ""], (2,), first=11) == [NO, KEY, NO]


def test_a_bad_row_s_key_is_its_own_too() -> None:
    all_keys = Keys(1)

    assert all_keys.clash(Row(1, "x", None, {}, None, has_key=True)) is None
    assert all_keys.clashes(together(2, ["w", "x", "y"])) == {1: Clash(KEY, 1)}


@pytest.mark.parametrize("sizes", [(1,), (2,), (1, 3)], ids=str)
@pytest.mark.parametrize(
    ("own_keys", "expected"),
    [
        (["b", "a", "b", "a"], {3: 1, 4: 2}),
        (["b", "b", "b", "a", "c", "c"], {2: 1, 3: 1, 6: 5}),
        (["", "", "x", "2", "1"], {4: 2, 5: 1}),
        (["a", "", "3", "2", ""], {4: 2}),
        (["5", "a", "a", "b", ""], {3: 2, 5: 1}),
    ],
    ids=str,
)
def test_the_earlier_row_is_named_by_its_number(
    own_keys: list[str], expected: dict[int, int], sizes: tuple[int, ...]
) -> None:
    clashes = clashes_of(own_keys, sizes)

    assert {number: clash.earlier for number, clash in enumerate(clashes, 1) if clash} == expected


def test_the_earlier_row_of_a_shard_is_named_by_its_number_in_the_file() -> None:
    assert clashes_of(["", "c", "b", "c", "11"], (1, 2), first=11)[3:] == [Clash(KEY, 12), Clash(KEY, 11)]


@pytest.mark.thorough
@pytest.mark.parametrize(("key", "most_bytes"), [("C{:08}", 2), ("{:08}-C", 2), ("{:x}", 40)])
def test_keys_take_no_memory_while_they_ascend_and_little_else(key: str, most_bytes: int) -> None:
    rows = 100_000
    draw = random.Random(0)
    numbers = range(rows) if most_bytes == 2 else [draw.getrandbits(60) for _ in range(rows)]
    all_keys = Keys(1)
    tracemalloc.start()

    for first in range(0, rows, 1000):
        assert not all_keys.clashes(
            together(first + 1, [key.format(each) for each in numbers[first : first + 1000]])
        )

    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 400_000 + most_bytes * rows
