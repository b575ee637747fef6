"""What a poll costs: our trigger, dbt Cloud's, Databricks', and a bare loop as the floor, side by side.

Run by ``make bench`` or ``python -m benchmarks.polling``. Every measurement is a new process pinned to one
processor, with a new service on the other, over TLS on loopback. Each candidate's ``run()`` is what a triggerer
would run, on a plain asyncio loop; the peers' own log of each poll is kept off, which favours them.

The measurements take turns, so that what else the machine does meets all of them alike. Trust CPU per poll more
than rates: it is the processor's time, not the clock's. ``--before`` measures our trigger of another checkout in
the same turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from benchmarks.candidates.pollers import (
    DATABRICKS,
    DBT,
    ENDING,
    FLOOR,
    FLOOR_CONNECTIONS,
    IDLE,
    PEER_MODULES,
    SATURATED,
    SEPARATE,
    SPREAD,
    PollCost,
    PollMeasurement,
    connections,
)
from benchmarks.harness import report
from benchmarks.harness.poll_service import CERTIFICATE_FILE, COUNTERS_FILE
from benchmarks.harness.processes import (
    BEFORE,
    OURS,
    THIS_CHECKOUT,
    Checkout,
    MeasurementFailed,
    environment,
    run_measured,
    service_process,
    working_folder,
)
from benchmarks.harness.report import MAX_RATIO_TO_BEFORE, AtMost, heading, median_of, progress, ratios, row
from benchmarks.parts import poll_schedules

Results = Mapping[tuple[str, int, str], Sequence[PollCost]]
"""What was found in each repetition, by scenario, number of runs and candidate."""

_COLUMNS = (FLOOR, OURS, BEFORE, SEPARATE, DBT, DATABRICKS)
_INTERVAL_SECONDS = 5.0
_TIMEOUT_SECONDS = 90.0
_PACKAGES = (
    "apache-airflow",
    "aiohttp",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-databricks",
)
_DURATIONS = ((10.0, "10 s"), (60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (28800.0, "8 h"))
#: Each row of the table: its name, what it shows, and how.
_ROWS = (
    ("polls per second", "polls_per_second", ",.0f"),
    ("part of a processor that is used", "busy", ".0%"),
    ("first sweep, s", "first_sweep", ".2f"),
    ("connections opened for the first sweep", "connections_first", ",.0f"),
    ("connections opened per poll after it", "connections_per_poll", ".2f"),
    ("longest stall of the event loop, s", "longest_stall", ".2f"),
    ("connection lookups", "lookups", ",.0f"),
)


def repeated(*, quick: bool) -> Iterator[PollMeasurement]:
    """Yield what is measured in each repetition; a quick run is for trying things out, not for figures."""
    for runs in (1000,) if quick else (1000, 5000):
        for candidate in (FLOOR, OURS, BEFORE, DBT, DATABRICKS):
            yield PollMeasurement(candidate, runs)
    if not quick:
        for candidate in _COLUMNS:
            yield PollMeasurement(candidate, 1000, _INTERVAL_SECONDS, window=_INTERVAL_SECONDS)


def measured_once(*, quick: bool) -> Iterator[PollMeasurement]:
    """Yield what one measurement is enough for: it hardly varies, or is of a thousand runs in itself."""
    for runs in (1000,) if quick else (1000, 5000):
        yield PollMeasurement(IDLE, runs)
    if not quick:
        yield PollMeasurement(OURS, 1000, -1.0, shortest=1.0, longest=12.0)


def main() -> int:
    """Measure, print the table, and return 0."""
    parser = report.argument_parser(
        "benchmarks.polling", __doc__ or "", before="measure the trigger of this one too", repeat=3
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round with 1,000 runs: under a minute"
    )
    arguments = parser.parse_args()
    missing = [name for name, module in PEER_MODULES.items() if not report.is_installed(module)]
    left_out = [*missing] if arguments.before else [*missing, BEFORE]
    results: dict[tuple[str, int, str], list[PollCost]] = {}
    begin = time.monotonic()
    todo = [*measured_once(quick=arguments.quick)]
    for _ in range(1 if arguments.quick else arguments.repeat):
        todo += repeated(quick=arguments.quick)
    todo = [measurement for measurement in todo if measurement.candidate not in left_out]
    for number, one in enumerate(todo, 1):
        progress(f"[{number}/{len(todo)}] {one.candidate}: {one.runs:,} runs, {one.scenario}")
        try:
            cost = measure(one, arguments.before or THIS_CHECKOUT)
        except MeasurementFailed as error:
            progress(f"    left out: {error}")
            continue
        progress(f"    {cost.cpu_ms_per_poll:.3f} ms per poll")
        results.setdefault((one.scenario, one.runs, one.candidate), []).append(cost)
    entries = [
        {"scenario": scenario, "runs": runs, "candidate": candidate, "costs": list(map(asdict, costs))}
        for (scenario, runs, candidate), costs in results.items()
    ]
    report.conclude(
        lines(results),
        figures(results),
        entries,
        begin=begin,
        packages=_PACKAGES,
        missing=missing,
        file=arguments.json,
    )
    return 0


def measure(measurement: PollMeasurement, earlier: Checkout) -> PollCost:
    """Return what a measurement found.

    :param earlier: where ``BEFORE`` is
    :raises MeasurementFailed: with the end of what the process printed
    """
    arguments, checkout, module = asdict(measurement), THIS_CHECKOUT, "benchmarks.candidates.polling_process"
    if measurement.candidate == BEFORE:
        arguments["candidate"], checkout = OURS, earlier
        if (earlier.folder / "benchmarks" / "measured.py").exists():
            # Until 0.1.0 took its names, this process and two of its fields were called otherwise.
            module = "benchmarks.measured"
            arguments["waiting"] = arguments.pop("runs")
    with working_folder() as folder:
        variables = environment(
            folder,
            {
                "AIRFLOW__SECRETS__BACKEND": f"{module}.CountingBackend",
                "SSL_CERT_FILE": str(folder / CERTIFICATE_FILE),
            },
        )
        with service_process(["-m", "benchmarks.harness.poll_service", str(folder)], variables) as port:
            cost = run_measured(
                ["-m", module, json.dumps(arguments), str(port), str(folder / COUNTERS_FILE)],
                variables | connections(port),
                checkout=checkout,
                seconds=_TIMEOUT_SECONDS,
            )
    if "look_ups" in cost:
        cost["lookups"] = cost.pop("look_ups")
    return PollCost(**cost)


def lines(results: Results) -> list[str]:
    """Return the tables."""
    printed: list[str] = []
    for scenario, runs in dict.fromkeys((key[0], key[1]) for key in results):
        columns = [name for name in _COLUMNS if (scenario, runs, name) in results]
        if columns and scenario != ENDING:
            printed += [*_scenario(results, scenario, runs, columns), ""]
    return [*printed, *_lateness(results), ""]


def _scenario(results: Results, scenario: str, runs: int, columns: Sequence[str]) -> list[str]:
    how = (
        f"each polled every {_INTERVAL_SECONDS:.0f} s" if scenario == SPREAD else "each polled again at once"
    )
    costs = [results[scenario, runs, name] for name in columns]
    cpu = [median_of(one, "cpu_ms_per_poll") for one in costs]
    each = [[cost.cpu_ms_per_poll for cost in one] for one in costs]
    printed = [*heading(f"{runs:,} runs, {how}", columns)]
    printed.append(row("CPU per poll, ms", [f"{one:.3f}" for one in cpu]))
    units = [name for name in (FLOOR, BEFORE, OURS) if name in columns]
    printed += [row(f"  in times of {unit}", ratios(cpu, cpu[columns.index(unit)])) for unit in units]
    printed.append(row("  from, to", [f"{min(one):.3f}-{max(one):.3f}" for one in each]))
    for name, attribute, form in _ROWS:
        printed.append(row(name, [format(median_of(one, attribute), form) for one in costs]))
    if scenario == SATURATED and (idle := results.get((SATURATED, runs, IDLE))):
        airflow = median_of(idle, "kilobytes")
        own = [f"{median_of(one, 'kilobytes') - airflow:,.1f}" for one in costs]
        printed.append(row(f"memory per task beyond Airflow's {airflow:.1f}, KB", own))
    return printed


def figures(results: Results) -> list[AtMost]:
    """Return the figures to reach with what was measured, as far as it was."""
    found: list[AtMost] = []
    for (scenario, runs, name), ours in results.items():
        if name != OURS or scenario == ENDING:
            continue
        where = f"{runs:,} runs, {scenario}"
        bounds = {FLOOR: 1.3, DBT: 1 / 8, DATABRICKS: 1 / 2} if scenario == SATURATED else {SEPARATE: 1 / 2}
        for other, bound in {**bounds, BEFORE: MAX_RATIO_TO_BEFORE}.items():
            if others := results.get((scenario, runs, other)):
                ratio = median_of(ours, "cpu_ms_per_poll") / median_of(others, "cpu_ms_per_poll")
                found.append(AtMost(f"{where}: CPU per poll, of {other}", ratio, bound, " x"))
        most = max(one.connections_first for one in ours)
        found.append(AtMost(f"{where}: connections", most, FLOOR_CONNECTIONS))
        new = max(one.connections_per_poll for one in ours)
        found.append(AtMost(f"{where}: new connections per poll", new, 0.0))
        found.append(AtMost(f"{where}: connection lookups", max(one.lookups for one in ours), 1))
        if idle := results.get((SATURATED, runs, IDLE)):
            own = median_of(ours, "kilobytes") - median_of(idle, "kilobytes")
            found.append(AtMost(f"{where}: memory per waiting task", own, 15.0, " KB"))
    return found


def _lateness(results: Results) -> list[str]:
    rules = {
        OURS: poll_schedules.OURS,
        f"{DBT} 60 s": poll_schedules.DBT,
        f"{DATABRICKS} 30 s": poll_schedules.DATABRICKS,
    }
    printed = heading("Default poll schedules, CALCULATED: a run of about", rules)
    for length, name in _DURATIONS:
        runs = [poll_schedules.noticed(rule, 0.9 * length, 1.1 * length) for rule in rules.values()]
        printed.append(row(f"{name}: polls", [f"{run.polls:.0f}" for run in runs]))
        printed.append(row("  end noticed late by, s on average", [f"{run.late:.1f}" for run in runs]))
        printed.append(row("  at most, of the run's length", [f"{run.part:.0%}" for run in runs]))
    for (scenario, number, candidate), costs in results.items():
        if scenario == ENDING:
            printed += ["", *_measured_lateness(number, candidate, costs)]
    return printed


def _measured_lateness(runs: int, name: str, costs: Sequence[PollCost]) -> list[str]:
    late = [late for cost in costs for _, late in cost.late]
    lengths = [length for cost in costs for length, _ in cost.late]
    same = poll_schedules.noticed(poll_schedules.OURS, min(lengths), max(lengths))
    return [
        f"MEASURED, {runs:,} runs of {min(lengths):.0f} to {max(lengths):.0f} s, {name} by default schedule",
        f"  end noticed late by {statistics.mean(late):.2f} s on average, {max(late):.2f} s at most",
        f"  (the calculation says {same.late:.2f} and {same.latest:.2f})",
    ]


if __name__ == "__main__":
    sys.exit(main())
