"""What reading and checking a table costs: ours beside pandas and polars, for each format, in one run.

Run by ``make bench-tables`` or ``python -m benchmarks.tables``. Each reading is a process of its own, so that its
peak memory is its own. Ours yields checked rows with a digest of each, as they are written to the manifest; pandas
and polars read all columns as text, and check nothing.
"""

from __future__ import annotations

import csv
import gzip
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import report
from benchmarks.harness.processes import (
    BEFORE,
    OURS,
    THIS_CHECKOUT,
    Checkout,
    MeasurementFailed,
    environment,
    run_measured,
    working_folder,
)
from benchmarks.harness.report import AtLeast, AtMost, row

MANIFEST, PANDAS, POLARS = "ours, manifest", "pandas", "polars"
#: CSV is to be read and checked in at most this many times of what pandas takes to read it.
MAX_TIMES_OF_PANDAS = 2.0
#: Whatever the size of the table.
MAX_MEGABYTES = 100.0
#: A million rows of CSV in 15 seconds of the processor.
MIN_ROWS_PER_SECOND = 1_000_000 / 15
COLUMNS = ("key", "first_name", "last_name", "email", "personal_number", "phone_country_code", "phone_number")
_PART_ROWS = 50_000

#: An earlier checkout reads the rows one by one. Airflow loads all plugins when a process first reads a file.
_READ = """
from airflow_provider_workflows.batch.input import items
from airflow_provider_workflows.storage import storage_path
read = getattr(items, "read_together", items.read_items)
with storage_path("items", sys.argv[1]).open("rb") as file:
    file.read(1)
"""
_OURS = f"""
{_READ}
from airflow_provider_workflows.batch.row_digests import Common, RowDigests
IMPORTED()
rows, digests = 0, RowDigests("salt", Common("definition", None))
for row in read(sys.argv[1]):
    if hasattr(row, "key"):
        digests.of(row)
        rows += 1
    else:
        digests.of_rows(row)
        rows += len(row)
"""
_MANIFEST = f"""
import tempfile
{_READ}
from airflow_provider_workflows.batch.input_check import write_manifest
from airflow_provider_workflows.batch.row_digests import Common
from airflow_provider_workflows.storage import ObjectStoragePath
IMPORTED()
with tempfile.TemporaryDirectory() as folder:
    manifest = write_manifest(
        ObjectStoragePath(folder), read(sys.argv[1]), common=Common("definition", None), skip_bad_rows=False
    )
rows = manifest.rows
"""
_PANDAS = """
import pandas
IMPORTED()
rows = len(pandas.%s)
"""
_POLARS = """
import polars
IMPORTED()
rows = len(polars.%s)
"""
_PROGRAM = """
import json, sys, time
def IMPORTED():
    global begin, cpu, memory
    memory, begin, cpu = peak_bytes(), time.perf_counter(), time.process_time()
from benchmarks.harness.processes import peak_bytes
%s
seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
times = {"seconds": seconds, "cpu_seconds": cpu}
print(json.dumps({"rows": rows, **times, "bytes": peak_bytes(), "bytes_before": memory}))
"""
_PATH = "(sys.argv[1]"
_TEXT = "dtype=str, keep_default_na=False"
#: How each format is written, and read by the others.
_READERS: Mapping[str, tuple[str, str]] = {
    "csv": (f"read_csv{_PATH}, {_TEXT})", f"read_csv{_PATH}, infer_schema=False)"),
    "csv.gz": (f"read_csv{_PATH}, {_TEXT})", f"read_csv{_PATH}, infer_schema=False)"),
    "jsonl": (f"read_json{_PATH}, lines=True, dtype=False)", f"read_ndjson{_PATH})"),
    "parquet": (f"read_parquet{_PATH})", f"read_parquet{_PATH})"),
    "arrow": (f"read_feather{_PATH})", f"read_ipc{_PATH})"),
    "xlsx": (f"read_excel{_PATH}, {_TEXT})", f"read_excel{_PATH}, engine='openpyxl', infer_schema_length=0)"),
}
#: Of a workbook as many of the rows are read as one: openpyxl, by which the others read it, is slow.
_ROWS_FOR_ONE_IN_A_WORKBOOK = 10


@dataclass(frozen=True)
class ReadingCost:
    """What one process took to read a table.

    :param rows: that were read
    :param seconds: for that, without the imports
    :param cpu_seconds: of the processor, in all threads
    :param bytes: of memory at its peak
    :param bytes_before: likewise, when all was imported and nothing read
    """

    rows: int
    seconds: float
    cpu_seconds: float
    bytes: int
    bytes_before: int

    @property
    def rows_per_second(self) -> float:
        """Rows read in a second of the processor: what else runs on the machine does not count."""
        return self.rows / self.cpu_seconds

    @property
    def megabytes(self) -> float:
        """What reading took of memory, beyond what was imported."""
        return (self.bytes - self.bytes_before) / 1e6


def main() -> int:
    """Measure, print the table, and return 0."""
    parser = report.argument_parser(
        "benchmarks.tables", __doc__ or "", before="read with this one too", repeat=3
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=1_000_000,
        help="rows of the table, a tenth of them in a workbook (%(default)s)",
    )
    parser.add_argument("--formats", nargs="+", choices=_READERS, default=[*_READERS], help="(all of them)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    results: dict[str, dict[str, list[ReadingCost]]] = {}
    with working_folder() as folder:
        variables = environment(folder, {})
        for kind in arguments.formats:
            file = folder / f"cases.{kind}"
            rows = arguments.rows
            if kind == "xlsx":
                rows = max(1, rows // _ROWS_FOR_ONE_IN_A_WORKBOOK)
            report.progress(f"{kind}: {rows:,} rows")
            write_table(file, kind, rows)
            costs = results[kind] = {}
            for _ in range(arguments.repeat):
                for name, program, checkout in _programs(kind, arguments.before):
                    cost = _measure(program, file, checkout, variables)
                    if cost.rows != rows:
                        raise MeasurementFailed(f"{name} has read {cost.rows:,} rows of {kind}")
                    costs.setdefault(name, []).append(cost)
            file.unlink()
    report.conclude(
        [line for kind, costs in results.items() for line in (*_lines(kind, costs), "")],
        _figures(results),
        {
            kind: {name: list(map(asdict, each)) for name, each in costs.items()}
            for kind, costs in results.items()
        },
        begin=begin,
        packages=("pandas", "polars", "pyarrow"),
        file=arguments.json,
    )
    return 0


def write_table(file: Path, kind: str, rows: int) -> None:
    """Write a table of cases, the same each time.

    :param file: where
    :param kind: its format, a key of the formats
    :param rows: how many
    """
    if kind in ("csv", "csv.gz"):
        opened: Callable[..., Any] = gzip.open if kind == "csv.gz" else open
        with opened(file, "wt", encoding="utf-8", newline="") as text:
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            writer.writerows(_cases(rows))
        return
    if kind == "xlsx":
        from openpyxl import Workbook  # type: ignore[import-untyped]  # noqa: PLC0415  (as below)

        workbook = Workbook(write_only=True)
        sheet = workbook.create_sheet("cases")
        sheet.append(COLUMNS)
        for case in _cases(rows):
            sheet.append(case)
        workbook.save(file)
        return
    import pyarrow as pa  # noqa: PLC0415  (the processes that are measured read this module's neighbours alone)
    from pyarrow import parquet  # noqa: PLC0415

    if kind == "jsonl":
        import json  # noqa: PLC0415

        with file.open("w", encoding="utf-8") as text:
            text.writelines(
                f"{json.dumps(dict(zip(COLUMNS, case, strict=True)), ensure_ascii=False)}\n"
                for case in _cases(rows)
            )
        return
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with (
        parquet.ParquetWriter(file, schema) if kind == "parquet" else pa.ipc.new_file(str(file), schema)
    ) as writer:
        cases = _cases(rows)
        for first in range(0, rows, _PART_ROWS):
            part = [next(cases) for _ in range(min(_PART_ROWS, rows - first))]
            columns = [list(column) for column in zip(*part, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))


def _cases(rows: int) -> Iterator[tuple[str, ...]]:
    draw = random.Random(18)  # noqa: S311  (the same table each time)
    first, last = ("Anna", "Łukasz", "Zoë", "Jan", "Maria"), ("Nowak", "Kowalska", "O'Neil", "Świątek", "Lee")
    for number in range(1, rows + 1):
        yield (
            f"C{number:08}",
            draw.choice(first),
            draw.choice(last),
            f"person{number}@example.com",
            f"{draw.randrange(10**11):011}",
            "48",
            f"{draw.randrange(500_000_000, 800_000_000)}",
        )


def _programs(kind: str, before: Checkout | None) -> Iterator[tuple[str, str, Checkout]]:
    pandas, polars = _READERS[kind]
    yield OURS, _OURS, THIS_CHECKOUT
    yield MANIFEST, _MANIFEST, THIS_CHECKOUT
    if before is not None:
        yield BEFORE, _OURS, before
    yield PANDAS, _PANDAS % pandas, THIS_CHECKOUT
    yield POLARS, _POLARS % polars, THIS_CHECKOUT


def _measure(program: str, file: Path, checkout: Checkout, variables: Mapping[str, str]) -> ReadingCost:
    return ReadingCost(**run_measured(["-c", _PROGRAM % program, str(file)], variables, checkout=checkout))


def _lines(kind: str, costs: Mapping[str, list[ReadingCost]]) -> list[str]:
    seconds = [report.median_of(each, "seconds") for each in costs.values()]
    cpu = [report.median_of(each, "cpu_seconds") for each in costs.values()]
    rates = [report.median_of(each, "rows_per_second") for each in costs.values()]
    memory = [report.median_of(each, "megabytes") for each in costs.values()]
    return [
        *report.heading(f"Reading {kind}", costs),
        row("seconds", [format(value, ",.1f") for value in seconds]),
        row("CPU, seconds", [format(value, ",.1f") for value in cpu]),
        row("  in times of pandas", report.ratios(cpu, cpu[[*costs].index(PANDAS)])),
        row("rows in a second of the CPU", [format(value, ",.0f") for value in rates]),
        row("memory, MB", [format(value, ",.0f") for value in memory]),
    ]


def _figures(results: Mapping[str, Mapping[str, list[ReadingCost]]]) -> list[AtMost]:
    figures = [
        AtMost(f"memory to read {kind}", report.median_of(costs[OURS], "megabytes"), MAX_MEGABYTES, " MB")
        for kind, costs in results.items()
    ]
    if "csv" in results:
        ours, pandas = (report.median_of(results["csv"][name], "cpu_seconds") for name in (OURS, PANDAS))
        rate = report.median_of(results["csv"][MANIFEST], "rows_per_second")
        figures += [
            AtMost("reading and checking csv, of pandas", ours / pandas, MAX_TIMES_OF_PANDAS, " x"),
            AtLeast("rows of csv in a second of the CPU, written to the manifest", rate, MIN_ROWS_PER_SECOND),
        ]
    return figures


if __name__ == "__main__":
    sys.exit(main())
