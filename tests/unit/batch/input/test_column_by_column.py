"""A table that is read and checked column by column gives what it gives row by row: rows, lines, words, digests."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.batch.input import checked_columns, csv_lines, csv_rows, rows
from airflow_provider_workflows.batch.input.cell_columns import ReadCells, together
from airflow_provider_workflows.batch.input.checked_columns import Checked, OrdinaryRows, each_checked
from airflow_provider_workflows.batch.input.items import Items, read_items, read_together
from airflow_provider_workflows.batch.input.options import AS_IT_IS, InputOptions
from airflow_provider_workflows.batch.input_check import recheck, write_manifest
from airflow_provider_workflows.batch.row_digests import Common
from airflow_provider_workflows.storage import ObjectStoragePath

from .random_tables import random_columns, random_rows, random_table

COMMON = Common("definition", {"level": 1})
HEADER = "key,first_name,email,personal_number,phone_country_code,phone_number\n"


def whole(items: Items, options: InputOptions, folder: Path) -> dict[str, Any]:
    """Return all that a reading gives."""
    noted: list[str] = []
    read: list[Any] = []

    def taken(checked: Iterator[Checked]) -> Iterator[Checked]:
        for each in checked:
            read.extend((row, row.line, getattr(row, "cells", None)) for row in each_checked([each]))
            yield each

    state = ObjectStoragePath(str(folder))
    found: dict[str, Any] = {"rows": read, "noted": noted}
    try:
        found["manifest"] = write_manifest(
            state,
            taken(read_together(items, options, note=noted.append)),
            common=COMMON,
            skip_bad_rows=True,
            hash_secret="a secret" if options.bad_row_values else None,
            salt="salt",
        )
        found["lines"] = (folder / "manifest.jsonl").read_text()
        found["again"] = recheck(state, read_together(items, options), common=COMMON, skip_bad_rows=True)
    except InvalidInput as error:
        found["error"] = str(error)
    return found


def row_by_row(items: Items, options: InputOptions, folder: Path) -> dict[str, Any]:
    """Return the same of a reading in which each row is checked by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "columns_of_block", lambda *_: None)
        patch.setattr(checked_columns, "ordinary_columns", lambda *_, **__: None)
        patch.setattr(rows, "ordinary_row", lambda *_: None)
        patch.setattr("airflow_provider_workflows.batch.input.items.together", iter)
        return whole(items, options, folder)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a table of a few rows be many blocks."""
    monkeypatch.setattr(csv_lines, "BLOCK_CHARACTERS", 700)
    monkeypatch.setattr(csv_rows, "BLOCK_CHARACTERS", 1500)
    monkeypatch.setattr(csv_rows, "_LEAST_CHARACTERS", 100)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(2, 14))]
)
@pytest.mark.usefixtures("small_blocks")
def test_random_tables_give_what_they_give_row_by_row(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    for number in range(3 if seed < 2 else 12):
        content, options = random_table(draw)
        path = tmp_path / f"{number}.csv"
        path.write_bytes(content)

        found = whole(str(path), options, tmp_path / f"{number}")

        assert found == row_by_row(str(path), options, tmp_path / f"{number}-by-row"), (content, options)


@pytest.mark.costly(3)
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(2, 6))]
)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_random_columns_of_a_typed_file_give_what_they_give_row_by_row(
    kind: str, seed: int, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    for number in range(3 if seed < 2 else 12):
        columns, options = random_columns(draw)
        table = pa.table({name: pa.array(cells) for name, cells in columns.items()})
        path = tmp_path / f"{number}.{kind}"
        if kind == "parquet":
            parquet.write_table(table, path)
        else:
            feather.write_feather(table, str(path))

        found = whole(str(path), options, tmp_path / f"{number}")

        assert found == row_by_row(str(path), options, tmp_path / f"{number}-by-row"), (columns, options)


@pytest.mark.costly(3)
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(2, 6))]
)
@pytest.mark.parametrize("is_file", [False, True])
def test_random_rows_give_what_they_give_row_by_row(*, is_file: bool, seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    for number in range(3 if seed < 2 else 12):
        items, options = random_rows(draw)
        path = tmp_path / f"{number}.jsonl"
        if is_file:
            blank = draw.choice(("", "\n"))
            path.write_text("".join(f"{json.dumps(row)}\n{blank if row is None else ''}" for row in items))
        given = str(path) if is_file else items

        found = whole(given, options, tmp_path / f"{number}")

        assert found == row_by_row(given, options, tmp_path / f"{number}-by-row"), (items, options)


@pytest.mark.parametrize("first_row", [1, 2, 41, 42, 60, 95])
@pytest.mark.parametrize("number", [1, 5, 30])
@pytest.mark.usefixtures("small_blocks")
def test_a_shard_has_the_rows_of_its_numbers(first_row: int, number: int, tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    lines = [f"C{each:03},Ada,ada{each}@example.com,90010112345,48,600700800\n" for each in range(1, 101)]
    lines[40] = 'C041,"Ada\nMaria",,,,\n'
    lines[41] = "C042,NULL,,,,\n\n"
    path.write_text(HEADER + "".join(lines))
    every = [(row, row.line) for row in read_items(str(path))]

    shard = read_items({"items": str(path), "first_row": first_row, "rows": min(number, 101 - first_row)})

    assert [(row, row.line) for row in shard] == every[first_row - 1 : first_row - 1 + number]


def test_rows_before_one_that_cannot_be_read_come_before_the_error() -> None:
    def broken() -> Iterator[ReadCells]:
        for _ in range(20):
            yield None, {"first_name": "Ada"}
        raise InvalidInput("the file is damaged")

    rows = together(broken())

    assert len(next(rows)[1]) == 20  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="damaged"):
        next(rows)


def test_ordinary_rows_stay_together_and_others_stand_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    lines = [f"C{number:03},Ada,ada@example.com,90010112345,48,600700800\n" for number in range(100)]
    lines[40] = "C040,NULL,,,,\n"
    path.write_text(HEADER + "".join(lines))

    found = [
        (len(each), each.number, each.line) if isinstance(each, OrdinaryRows) else type(each).__name__
        for each in read_together(str(path), AS_IT_IS)
    ]

    assert found == [(40, 1, 2), "BadRow", (59, 42, 43)]
