"""What a batch takes of time and memory, by its size: each phase in a process of its own, without a scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.harness.batch_phases import phase_arguments, run_phase
from benchmarks.harness.processes import BEFORE, OURS, Checkout, MeasurementFailed, working_folder
from benchmarks.harness.report import MAX_RATIO_TO_BEFORE, AtMost, heading, progress, row
from benchmarks.harness.sandbox import CASE_CALL, RESULT_CALL, RUN_CALL, STATUS_CALL, sandbox_process

#: By the time that all rows are submitted no run has ended, so that the triggerer waits for all of them at once.
_RUNS_ENDED_IN_A_SECOND, _SHORTEST_SECONDS = 1000, 10.0
_MAX_CONNECTIONS = 32
_CALLS = {"cases": CASE_CALL, "runs": RUN_CALL, "results": RESULT_CALL, "status calls": STATUS_CALL}
_PHASES = {"check": "check", "submit": "submission", "wait": "polling", "collect": "fetching and writing"}
_PROCESSES = {"submit": "worker that submits", "collect": "worker that fetches", "wait": "triggerer"}


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


def measure(rows: Sequence[int], checkouts: Mapping[str, Checkout]) -> list[Size]:
    """Run a batch of each size in each checkout.

    :param rows: the sizes
    :param checkouts: by their names
    """
    return [_size(name, checkout, size) for size in sorted(rows) for name, checkout in checkouts.items()]


def _size(name: str, checkout: Checkout, rows: int) -> Size:
    """Run a batch, each phase in a new process."""
    length = max(_SHORTEST_SECONDS, rows / _RUNS_ENDED_IN_A_SECOND)
    with working_folder() as folder, sandbox_process(pinned=True) as service:
        arguments = phase_arguments(service, folder, rows, length)
        phases: dict[str, dict[str, Any]] = {}
        for phase in ("submit", "wait", "collect"):
            progress(f"{name}, {rows:,} rows: {phase}")
            found = phases[phase] = run_phase(phase, service, folder, arguments, checkout)
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


def lines(sizes: Sequence[Size]) -> list[str]:
    """Return the table."""
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


def figures(sizes: Sequence[Size]) -> list[AtMost]:
    """Return the figures to reach."""
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
                        MAX_RATIO_TO_BEFORE,
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
