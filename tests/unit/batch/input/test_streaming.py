"""Files of each format are read as a stream: memory does not grow with the file."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest

from airflow_provider_workflows.batch.input.items import read_items

ROWS = 20_000
ADDRESS = "x" * 1000
#: A row has a thousand bytes, so all of them have twice as many.
MOST_BYTES = 10_000_000


def csv_of(rows: list[dict[str, str]]) -> bytes:
    lines = (f"{row['key']},{row['company_address']}\n" for row in rows)
    return "".join(["key,company_address\n", *lines]).encode()


def lines_of(rows: list[dict[str, str]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def parquet_of(rows: list[dict[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows), sink, row_group_size=1000)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def feather_of(rows: list[dict[str, str]]) -> bytes:
    sink = pa.BufferOutputStream()
    feather.write_feather(pa.Table.from_pylist(rows), sink, compression="uncompressed", chunksize=1000)
    content: bytes = sink.getvalue().to_pybytes()
    return content


CONTENTS: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "rows.csv": csv_of,
    "rows.csv.gz": lambda rows: gzip.compress(csv_of(rows)),
    "rows.csv.bz2": lambda rows: bz2.compress(csv_of(rows)),
    # With the usual preset, what decompresses takes eight megabytes of its own.
    "rows.csv.xz": lambda rows: lzma.compress(csv_of(rows), preset=0),
    "rows.jsonl": lines_of,
    "rows.jsonl.gz": lambda rows: gzip.compress(lines_of(rows)),
    "rows.json": lambda rows: json.dumps(rows).encode(),
    "rows.parquet": parquet_of,
    "rows.arrow": feather_of,
}


@pytest.mark.costly(5)
@pytest.mark.thorough
@pytest.mark.parametrize("name", CONTENTS)
def test_memory_does_not_grow_with_a_file(name: str, tmp_path: Path) -> None:
    rows = [{"key": f"k{number:06}", "company_address": f"{number} {ADDRESS}"} for number in range(ROWS)]
    path = tmp_path / name
    path.write_bytes(CONTENTS[name](rows))
    # What is imported and compiled is there at the first reading.
    next(read_items(str(path)))
    before = pa.total_allocated_bytes()
    tracemalloc.start()

    # Arrow's memory is not Python's.
    of_arrow = [pa.total_allocated_bytes() - before for _ in read_items(str(path))]

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(of_arrow) == ROWS
    assert peak + max(of_arrow) < MOST_BYTES
