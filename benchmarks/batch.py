"""What a batch saves: one batch task beside mapped tasks, then the batch alone, at any size.

Run by ``make bench-batch`` or ``python -m benchmarks.batch``. Three parts, each with a new sandbox in a process of
its own: "mapped" has a whole Airflow run the same runs both ways; "submit" and "sizes" have no scheduler.
``--before`` measures the batch of another checkout in turns with this one's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import mapped
from benchmarks.harness import report
from benchmarks.harness.processes import (
    THIS_CHECKOUT,
    Checkout,
    MeasurementFailed,
    environment,
    run_measured,
    working_folder,
)
from benchmarks.harness.report import AtLeast, AtMost, heading, median_of, progress, ratios, row
from benchmarks.harness.sandbox import (
    CASE_CALL,
    CASE_PATH,
    RESULT_CALL,
    RUN_CALL,
    RUN_PATH,
    STATUS_CALL,
    SandboxProcess,
    sandbox_process,
)
from development.terminal import clean_up_when_terminated

OURS, BEFORE, FLOOR = "ours", "before", "bare aiohttp"
_PARTS = ("mapped", "submit", "sizes")
#: By who submits: as many rows as take some seconds.
_SUBMITTED_ROWS = {"requests.Session": 100, "32 threads": 500, FLOOR: 2000, OURS: 2000, BEFORE: 2000}
#: How long the service takes for each call, in seconds.
_LATENCY_SECONDS = 0.05
#: By the time that all rows are submitted no run has ended, so that the triggerer waits for all of them at once.
_RUNS_ENDED_IN_A_SECOND, _SHORTEST_SECONDS = 1000, 10.0
_MAX_CONNECTIONS = 32
_MAX_RATIO_TO_BEFORE = 1.05
_CALLS = {"cases": CASE_CALL, "runs": RUN_CALL, "results": RESULT_CALL, "status calls": STATUS_CALL}
_PHASES = {"check": "check", "submit": "submission", "wait": "polling", "collect": "fetching and writing"}
_PROCESSES = {"submit": "worker that submits", "collect": "worker that fetches", "wait": "triggerer"}
_PACKAGES = ("apache-airflow", "aiohttp", "requests")


@dataclass(frozen=True)
class Submitted:
    """What one way of submitting took.

    :param pairs_per_second: a case and a run each
    :param cpu_ms_per_pair: of the process that submits
    """

    pairs_per_second: float
    cpu_ms_per_pair: float


@dataclass(frozen=True)
class Size:
    """What a batch of one size took.

    :param name: of the checkout
    :param rows: its size
    :param length: how long each run took at the service, in seconds
    :param seconds: by phase
    :param cpu: seconds of CPU by phase
    :param peak: the most memory of each phase's process, in bytes
    :param requests: that the service counted, by route
    :param connections: that the service counted, by process
    """

    name: str
    rows: int
    length: float
    seconds: Mapping[str, float]
    cpu: Mapping[str, float]
    peak: Mapping[str, int]
    requests: Mapping[str, int]
    connections: Mapping[str, int]

    def cpu_ms_per_row(self, phase: str) -> float:
        """Return the CPU time of a phase."""
        return 1000 * self.cpu[phase] / self.rows


def main() -> int:
    """Measure, print the tables, and return 0."""
    parser = report.argument_parser(
        "benchmarks.batch", __doc__ or "", before="measure the batch of this one too"
    )
    parser.add_argument("--only", choices=_PARTS, help="measure one part only")
    parser.add_argument("--runs", type=int, default=1000, help='runs of "mapped" (%(default)s)')
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000], help='rows of "sizes" (10000 100000)'
    )
    parser.add_argument("--repeat", type=int, default=3, help='how often "submit" is measured (%(default)s)')
    arguments = parser.parse_args()
    clean_up_when_terminated()
    begin = time.monotonic()
    parts = [arguments.only] if arguments.only else _PARTS
    checkouts = {OURS: THIS_CHECKOUT} | ({BEFORE: arguments.before} if arguments.before else {})
    printed: list[str] = []
    figures: list[AtMost] = []
    results: dict[str, Any] = {}
    if "mapped" in parts:
        sides = mapped.measure(arguments.runs)
        results["mapped"] = {name: asdict(side) for name, side in sides.items()}
        printed += [*mapped.lines(f"{arguments.runs:,} runs", sides), ""]
        figures += mapped.figures(arguments.runs, sides)
        if arguments.before:
            sides = mapped.measure_earlier(arguments.runs, arguments.before)
            results["mapped, before"] = {name: asdict(side) for name, side in sides.items()}
            printed += [*mapped.lines("BEFORE", sides), ""]
    if "submit" in parts:
        submitted = _submit_all(arguments.repeat, checkouts)
        results["submit"] = {name: list(map(asdict, each)) for name, each in submitted.items()}
        printed += [*_submit_lines(submitted), ""]
        figures += _submit_figures(submitted)
    if "sizes" in parts:
        sizes = [_size(name, checkouts[name], rows) for rows in sorted(arguments.rows) for name in checkouts]
        results["sizes"] = list(map(asdict, sizes))
        printed += [*_size_lines(sizes), ""]
        figures += _size_figures(sizes)
    report.conclude(printed, figures, results, begin=begin, packages=_PACKAGES, file=arguments.json)
    return 0


def _submit_all(repeat: int, checkouts: Mapping[str, Checkout]) -> dict[str, list[Submitted]]:
    """Submit at 50 ms a call, over TLS, each in new processes that take turns."""
    found: dict[str, list[Submitted]] = {}
    for turn in range(repeat):
        for name, rows in _SUBMITTED_ROWS.items():
            if name == BEFORE and BEFORE not in checkouts:
                continue
            progress(f"[{turn + 1}/{repeat}] {name} submits {rows:,} rows")
            found.setdefault(name, []).append(_submitted(name, rows, checkouts.get(name)))
            progress(f"    {found[name][-1].pairs_per_second:.1f} pairs a second")
    return found


def _submitted(name: str, rows: int, checkout: Checkout | None) -> Submitted:
    with working_folder() as folder, sandbox_process(tls=True, pinned=True) as service:
        arguments = _arguments(service, folder, rows, 3600.0)
        for path in (CASE_PATH, RUN_PATH):
            service.delay(path, _LATENCY_SECONDS)
        if checkout:
            found = _run_phase("submit", service, folder, arguments, checkout)
        else:
            found = run_measured(
                ["-m", "benchmarks.candidates.submitters", json.dumps({**arguments, "submitter": name})],
                environment(folder, service.environment),
            )
        runs = service.counts()["runs_per_case"]
    if list(runs.values()) != [1] * rows:
        raise MeasurementFailed(f"{name} has submitted {sum(runs.values())} runs for {rows} rows")
    return Submitted(rows / found["seconds"], 1000 * found["cpu"] / rows)


def _size(name: str, checkout: Checkout, rows: int) -> Size:
    """Run a batch, each phase in a new process."""
    length = max(_SHORTEST_SECONDS, rows / _RUNS_ENDED_IN_A_SECOND)
    with working_folder() as folder, sandbox_process(pinned=True) as service:
        arguments = _arguments(service, folder, rows, length)
        phases: dict[str, dict[str, Any]] = {}
        for phase in ("submit", "wait", "collect"):
            progress(f"{name}, {rows:,} rows: {phase}")
            found = phases[phase] = _run_phase(phase, service, folder, arguments, checkout)
            progress(f"    {found['seconds']:.1f} s")
            # What the task's record would hold for the later processes.
            arguments |= {field: found[field] for field in ("record", "others") if field in found}
        counts = service.counts()
        with (folder / "output" / "results.jsonl").open("rb") as file:
            written = sum(1 for _ in file)
    if (phases["collect"]["outcomes"], written) != ({"succeeded": rows}, rows):
        raise MeasurementFailed(f"of {rows} rows: {phases['collect']['outcomes']}, {written} written")
    seconds, cpu, peak = (
        {phase: found[field] for phase, found in phases.items()} for field in ("seconds", "cpu", "peak")
    )
    seconds["check"] = phases["submit"]["check_seconds"]
    return Size(name, rows, length, seconds, cpu, peak, counts["requests"], counts["connections"])


def _arguments(service: SandboxProcess, folder: Path, rows: int, run_seconds: float) -> dict[str, Any]:
    return {
        "definition": service.define(run_seconds),
        "items": mapped.write_items(folder / "items.jsonl", rows),
        "output": str(folder / "output"),
    }


def _run_phase(
    phase: str, service: SandboxProcess, folder: Path, arguments: Mapping[str, Any], checkout: Checkout
) -> dict[str, Any]:
    module, record = "benchmarks.candidates.batch_process", "record"
    if (checkout.folder / "benchmarks" / "batch_measured.py").exists():
        # Until 0.1.0 took its names, this process and its record were called otherwise.
        module, record = "benchmarks.batch_measured", "known"
    sent = {(record if name == "record" else name): value for name, value in arguments.items()}
    found: dict[str, Any] = run_measured(
        ["-m", module, json.dumps({**sent, "phase": phase})],
        environment(folder, service.environment),
        checkout=checkout,
    )
    return {("record" if name == record else name): value for name, value in found.items()}


def _submit_lines(submitted: Mapping[str, Sequence[Submitted]]) -> list[str]:
    pairs = [median_of(each, "pairs_per_second") for each in submitted.values()]
    cpu = [median_of(each, "cpu_ms_per_pair") for each in submitted.values()]
    units = [name for name in (FLOOR, BEFORE) if name in submitted]
    return [
        f"Submission, {1000 * _LATENCY_SECONDS:.0f} ms of the service for each POST, https. Ours writes each call",
        "down before it is made and after; the others do not.",
        "",
        *heading("", submitted),
        row("rows", [f"{_SUBMITTED_ROWS[name]:,}" for name in submitted]),
        row("pairs a second", [f"{one:.1f}" for one in pairs]),
        *(row(f"  in times of {unit}", ratios(pairs, pairs[[*submitted].index(unit)])) for unit in units),
        row("CPU per pair, ms", [f"{one:.2f}" for one in cpu]),
        *(row(f"  in times of {unit}", ratios(cpu, cpu[[*submitted].index(unit)])) for unit in units),
    ]


def _submit_figures(submitted: Mapping[str, Sequence[Submitted]]) -> list[AtMost]:
    ours = submitted[OURS]
    pairs, cpu = median_of(ours, "pairs_per_second"), median_of(ours, "cpu_ms_per_pair")
    figures: list[AtMost] = [AtLeast("submission at 50 ms a call, pairs a second", pairs, 250.0)]
    if before := submitted.get(BEFORE):
        slower = median_of(before, "pairs_per_second") / pairs
        dearer = cpu / median_of(before, "cpu_ms_per_pair")
        figures.append(AtMost("submission: time per pair, of before", slower, _MAX_RATIO_TO_BEFORE, " x"))
        figures.append(AtMost("submission: CPU per pair, of before", dearer, _MAX_RATIO_TO_BEFORE, " x"))
    return figures


def _size_lines(sizes: Sequence[Size]) -> list[str]:
    printed = [
        "The batch alone, at a service without latency: no scheduler and no API server, but the processes that",
        "Airflow would run, one that submits, the trigger, and one that fetches. Progress is not published.",
        "",
        *heading("", [f"{size.name}, {size.rows:,}" for size in sizes]),
        row("length of the runs, s", [f"{size.length:.0f}" for size in sizes]),
    ]
    for phase, name in _PHASES.items():
        printed.append(row(f"{name}, s", [f"{size.seconds[phase]:.1f}" for size in sizes]))
        if phase in sizes[0].cpu:
            printed.append(row("  CPU, ms a row", [f"{size.cpu_ms_per_row(phase):.3f}" for size in sizes]))
    for phase, name in _PROCESSES.items():
        printed.append(row(f"peak of the {name}, MB", [f"{size.peak[phase] / 1e6:.1f}" for size in sizes]))
        smaller = [_smaller(size, sizes) for size in sizes]
        grown = [_grown(one, size, phase) if one else None for one, size in zip(smaller, sizes, strict=True)]
        printed.append(row("  growth, bytes a row", ["" if one is None else f"{one:,.0f}" for one in grown]))
    for name, route in _CALLS.items():
        requests = [f"{size.requests[route] / size.rows:.2f}" for size in sizes]
        printed.append(row(f"requests a row: {name}", requests))
    most = [max(size.connections.values()) for size in sizes]
    return [*printed, row("connections of a process, at most", most)]


def _size_figures(sizes: Sequence[Size]) -> list[AtMost]:
    figures: list[AtMost] = []
    ours = [size for size in sizes if size.name == OURS]
    for smaller, larger in pairwise(ours):
        between = f"from {smaller.rows:,} to {larger.rows:,} rows, a row"
        # The worker's are two processes.
        worker = max(_grown(smaller, larger, phase) for phase in ("submit", "collect"))
        figures.append(AtMost(f"memory of the worker, {between}", worker, 1000.0, " bytes"))
        triggerer = _grown(smaller, larger, "wait")
        figures.append(AtMost(f"memory of the triggerer, {between}", triggerer, 1500.0, " bytes"))
    for size in ours:
        for name in ("cases", "runs", "results"):
            requests = size.requests[_CALLS[name]] / size.rows
            figures.append(AtMost(f"{size.rows:,} rows: requests a row for {name}", requests, 1.0))
        most = max(size.connections.values())
        figures.append(AtMost(f"{size.rows:,} rows: connections of a process", most, _MAX_CONNECTIONS))
        for before in sizes:
            if (before.name, before.rows) == (BEFORE, size.rows):
                figures += [
                    AtMost(
                        f"{size.rows:,} rows: CPU of {_PHASES[phase]}, of before",
                        size.cpu[phase] / before.cpu[phase],
                        _MAX_RATIO_TO_BEFORE,
                        " x",
                    )
                    for phase in size.cpu
                ]
    return figures


def _smaller(size: Size, sizes: Sequence[Size]) -> Size | None:
    """Return the next smaller one of the same checkout."""
    smaller = [one for one in sizes if one.name == size.name and one.rows < size.rows]
    return max(smaller, key=lambda one: one.rows, default=None)


def _grown(smaller: Size, larger: Size, phase: str) -> float:
    """Return by how many bytes a row the memory of a phase's process grows."""
    return (larger.peak[phase] - smaller.peak[phase]) / (larger.rows - smaller.rows)


if __name__ == "__main__":
    sys.exit(main())
