"""Whose key is whose: of rows that are passed over, that cannot be read, and that have none where each must."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_workflows.batch.input.items import read_items
from airflow_provider_workflows.batch.input.options import InputOptions
from airflow_provider_workflows.batch.input.rows import BadRow, Row
from airflow_provider_workflows.batch.sharding import references

NEW = InputOptions(columns={"day": None}, where=lambda row: row["day"] == "new")
HEADER = "key,first_name,day\n"


def is_bad(rows: Sequence[Row | BadRow]) -> list[int]:
    """Return the numbers of bad rows."""
    return [row.number for row in rows if isinstance(row, BadRow)]


def file_of(folder: Path, content: str, name: str = "rows.csv") -> str:
    """Write a file, and return its path."""
    path = folder / name
    path.write_text(content)
    return str(path)


class TestRowsThatArePassedOver:
    @pytest.mark.parametrize(
        ("keys", "old"),
        [
            (range(8), range(3)),
            (range(1000, 0, -1), range(990)),
            (range(40), range(1, 40, 2)),
            (["", "", "1", "2", "x"], range(2)),
            (["", "1", "2", "1"], [0, 1]),
        ],
        ids=["ascending", "descending", "every second", "no key", "a used key"],
    )
    def test_take_no_key(self, keys: Sequence[object], old: Sequence[int], tmp_path: Path) -> None:
        lines = [f"{key},Ada,{'old' if place in old else 'new'}\n" for place, key in enumerate(keys)]
        path = file_of(tmp_path, HEADER + "".join(lines))

        rows = list(read_items(path, NEW))

        assert is_bad(rows) == []
        assert len(rows) == len(keys) - len(old)
        shards = references(path, 3, options=NEW)
        assert [row for shard in shards for row in read_items(shard, NEW)] == rows

    def test_leave_the_numbers_of_others_as_their_keys(self) -> None:
        cells = [("", "new"), ("", "old"), ("", "new"), ("2", "new"), ("3", "new"), ("1", "new")]
        items = [{"key": key, "first_name": "Ada", "day": day} for key, day in cells]

        rows = list(read_items(items, NEW))

        assert [row.key for row in rows] == ["1", "3", "2", "3", "1"]
        assert [(row.number, row.earlier) for row in rows if isinstance(row, BadRow)] == [(5, 3), (6, 1)]

    @pytest.mark.parametrize("seed", range(20))
    def test_leave_the_rest_as_if_they_were_not_in_the_file(self, seed: int, tmp_path: Path) -> None:
        draw = random.Random(seed)
        rows = draw.randrange(1, 60)
        keys = [draw.choice((number, number, draw.randrange(rows), "7.0")) for number in range(rows)]
        if draw.random() < 0.5:
            keys.reverse()
        days = [draw.choice(("new", "old")) for _ in keys[1:]] + ["new"]
        lines = [
            f"{key},Ada,{day}{draw.choice(['', '', '', ',x'])}\n" for key, day in zip(keys, days, strict=True)
        ]
        kept = [line for line in lines if line.count(",") > 2 or ",new" in line]

        found = list(read_items(file_of(tmp_path, HEADER + "".join(lines)), NEW))
        expected = list(read_items(file_of(tmp_path, HEADER + "".join(kept), "kept.csv"), NEW))

        assert [(type(row), row.key, getattr(row, "problems", ())) for row in found] == [
            (type(row), row.key, getattr(row, "problems", ())) for row in expected
        ]


class TestBadRowsWithoutAReadableKey:
    @pytest.mark.parametrize(
        ("bad", "name"),
        [
            ("2,C,new,x", "rows.csv"),
            (",,", "rows.csv"),
            ('"2\0",C,new', "rows.csv"),
            ("2.0,C,new", "rows.csv"),
            ('{"key": 2, "first_name"', "rows.jsonl"),
            ("null", "rows.jsonl"),
            ('{"key": 2.5, "first_name": "C"}', "rows.jsonl"),
        ],
        ids=["ragged", "separator", "NUL", "float", "broken line", "null", "float of JSON"],
    )
    @pytest.mark.parametrize("others", [5, 60])
    def test_take_no_key_and_stand_under_none(self, bad: str, name: str, others: int, tmp_path: Path) -> None:
        line = "{},Ada,new" if name == "rows.csv" else '{{"key": "{}", "first_name": "Ada"}}'
        lines = [line.format(key) for key in range(others)]
        lines[2] = bad
        header = HEADER if name == "rows.csv" else ""
        path = file_of(tmp_path, header + "\n".join(lines) + "\n", name)
        options = InputOptions(columns={"day": None} if header else None)

        rows = list(read_items(path, options))

        assert is_bad(rows) == [3]
        assert (rows[2].key, rows[2].has_key) == ("", False)
        assert [row.key for row in rows[:2] + rows[3:]] == [str(key) for key in range(others) if key != 2]
        shards = references(path, 2, options=options, on_bad_row="skip")
        assert [row for shard in shards for row in read_items(shard, options)] == rows

    def test_are_alike_in_a_list(self) -> None:
        items: list[Any] = [
            {"key": "3", "first_name": "Ada"},
            None,
            {"last_name": 7},
            {"key": "2", "email": "a@b.pl"},
        ]

        rows = list(read_items(items))

        assert is_bad(rows) == [2, 3]
        assert [row.key for row in rows] == ["3", "", "", "2"]

    def test_whose_number_is_the_key_of_an_earlier_row_do_not_stand_under_it(self) -> None:
        rows = list(read_items([{"key": "2", "first_name": "Ada"}, {"first_name": "Bob"}]))

        assert is_bad(rows) == [2]
        assert [row.key for row in rows] == ["2", ""]

    def test_keep_a_key_that_can_be_read(self) -> None:
        bad, again = read_items([{"key": "7", "email": 1}, {"key": "7", "email": "a@b.pl"}])

        assert [(type(row), row.key) for row in (bad, again)] == [(BadRow, "7"), (BadRow, "7")]


@pytest.mark.parametrize("others", [3, 60])
@pytest.mark.parametrize("columns", [{"Imię": "first_name"}, None], ids=["mapped", "fields"])
def test_a_second_header_line_of_joined_files_is_a_bad_row(
    columns: dict[str, str] | None, others: int, tmp_path: Path
) -> None:
    header = ("Imię" if columns else "first_name") + ",last_name\n"
    path = file_of(tmp_path, f"{header}" + "Ada,last_name\n" * others + header + "Bob,King\n" * others)
    options = InputOptions(columns=columns)

    rows = list(read_items(path, options))

    assert is_bad(rows) == [others + 1]
    assert [row.problems for row in rows if isinstance(row, BadRow)] == [
        (("", "repeats the names of the columns"),)
    ]
    shards = references(path, 2, options=options, on_bad_row="skip")
    assert [row for shard in shards for row in read_items(shard, options)] == rows
