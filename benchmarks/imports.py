"""What importing the operators costs: ours, dbt Cloud's, Databricks' and Airbyte's, side by side.

Run by ``make bench-imports`` or ``python -m benchmarks.imports``. Every DAG file pays this each time it is parsed,
and every task when it starts. Measured is what comes on top of ``import airflow.sdk``, in new processes that take
turns; the first turn is not counted. ``--before`` measures the operators of another checkout in the same turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.harness import report
from benchmarks.harness.processes import (
    BEFORE,
    OURS,
    THIS_CHECKOUT,
    Checkout,
    environment,
    run_measured,
    working_folder,
)
from benchmarks.harness.report import AtMost, row

RUN_ONLY = "ours, run only"
_OPERATORS = "airflow_provider_workflows.operators."
_ALL_OPERATORS = [_OPERATORS + name for name in ("case", "parameters", "run", "result", "batch")]
_MODULES = {
    OURS: _ALL_OPERATORS,
    BEFORE: _ALL_OPERATORS,
    RUN_ONLY: [_OPERATORS + "run"],
    "dbt Cloud": ["airflow.providers.dbt.cloud.operators.dbt"],
    "Databricks": ["airflow.providers.databricks.operators.databricks"],
    "Airbyte": ["airflow.providers.airbyte.operators.airbyte"],
}
_PACKAGES = ("dbt-cloud", "databricks", "airbyte")
#: Importing the operators is to cost at most half of what it cost when ``--before`` is the first 0.1.0 (b0ec4d6).
_MAX_RATIO_TO_FIRST = 0.5
_PROGRAM = """
import importlib, json, sys, time
import airflow.sdk
before, begin, cpu = len(sys.modules), time.perf_counter(), time.process_time()
for name in sys.argv[1:]:
    importlib.import_module(name)
milliseconds, cpu = 1000 * (time.perf_counter() - begin), 1000 * (time.process_time() - cpu)
print(json.dumps({"modules": len(sys.modules) - before, "milliseconds": milliseconds, "cpu_milliseconds": cpu}))
"""


@dataclass(frozen=True)
class ImportCost:
    """What one process took, on top of ``import airflow.sdk``.

    :param modules: that were imported
    :param milliseconds: by the clock
    :param cpu_milliseconds: of the processor
    """

    modules: int
    milliseconds: float
    cpu_milliseconds: float


Results = Mapping[str, Sequence[ImportCost]]
_ROWS = (
    ("modules", "modules", ",.0f"),
    ("CPU, ms", "cpu_milliseconds", ",.0f"),
    ("time, ms", "milliseconds", ",.0f"),
)


def main() -> int:
    """Measure, print the table, and return 0."""
    parser = report.argument_parser(
        "benchmarks.imports", __doc__ or "", before="import the operators of this one too", repeat=7
    )
    arguments = parser.parse_args()
    begin = time.monotonic()
    missing = [name for name, modules in _MODULES.items() if not report.is_installed(modules[0])]
    left_out = missing if arguments.before else [*missing, BEFORE]
    names = [name for name in _MODULES if name not in left_out]
    results: dict[str, list[ImportCost]] = {name: [] for name in names}
    with working_folder() as folder:
        variables = environment(folder, {})
        for turn in range(arguments.repeat + 1):
            report.progress(f"[{turn}/{arguments.repeat}]")
            for name in names:
                cost = _measure(name, arguments.before if name == BEFORE else THIS_CHECKOUT, variables)
                # The first has to write Airflow's configuration and to read everything from the disk.
                results[name] += [cost] * (turn > 0)
    report.conclude(
        [*_lines(results), ""],
        _figures(results),
        {name: list(map(asdict, costs)) for name, costs in results.items()},
        begin=begin,
        packages=("apache-airflow", *(f"apache-airflow-providers-{name}" for name in _PACKAGES)),
        missing=missing,
        file=arguments.json,
    )
    return 0


def _measure(name: str, checkout: Checkout, variables: Mapping[str, str]) -> ImportCost:
    return ImportCost(**run_measured(["-c", _PROGRAM, *_MODULES[name]], variables, checkout=checkout))


def _lines(results: Results) -> list[str]:
    printed = report.heading("Importing the operators, after airflow.sdk", results)
    for name, attribute, form in _ROWS:
        values = [report.median_of(costs, attribute) for costs in results.values()]
        printed.append(row(name, [format(value, form) for value in values]))
        units = [unit for unit in (OURS, BEFORE) if unit in results]
        printed += [
            row(f"  in times of {unit}", report.ratios(values, values[[*results].index(unit)]))
            for unit in units
        ]
    return printed


def _figures(results: Results) -> list[AtMost]:
    if BEFORE not in results:
        return []
    return [
        AtMost(
            f"importing the operators: {name}, of before",
            report.median_of(results[OURS], attribute) / report.median_of(results[BEFORE], attribute),
            _MAX_RATIO_TO_FIRST,
            " x",
        )
        for name, attribute, _ in _ROWS[:2]
    ]


if __name__ == "__main__":
    sys.exit(main())
