"""How fast a batch submits its rows, beside sessions of ``requests`` and a bare loop on aiohttp."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness.batch_phases import phase_arguments, run_phase
from benchmarks.harness.processes import (
    BEFORE,
    OURS,
    Checkout,
    MeasurementFailed,
    environment,
    run_measured,
    working_folder,
)
from benchmarks.harness.report import (
    MAX_RATIO_TO_BEFORE,
    AtLeast,
    AtMost,
    heading,
    median_of,
    progress,
    ratios,
    row,
)
from benchmarks.harness.sandbox import CASE_PATH, RUN_PATH, sandbox_process

FLOOR = "bare aiohttp"
#: By who submits: as many rows as take some seconds.
_SUBMITTED_ROWS = {"requests.Session": 100, "32 threads": 500, FLOOR: 2000, OURS: 2000, BEFORE: 2000}
#: How long the service takes for each call, in seconds.
_LATENCY_SECONDS = 0.05


@dataclass(frozen=True)
class Submitted:
    """What one way of submitting took.

    :param pairs_per_second: a case and a run each
    :param cpu_ms_per_pair: of the process that submits
    """

    pairs_per_second: float
    cpu_ms_per_pair: float


def measure(repeat: int, checkouts: Mapping[str, Checkout]) -> dict[str, list[Submitted]]:
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
        arguments = phase_arguments(service, folder, rows, 3600.0)
        for path in (CASE_PATH, RUN_PATH):
            service.delay(path, _LATENCY_SECONDS)
        if checkout:
            found = run_phase("submit", service, folder, arguments, checkout)
        else:
            found = run_measured(
                ["-m", "benchmarks.candidates.submitters", json.dumps({**arguments, "submitter": name})],
                environment(folder, service.environment),
            )
        runs = service.counts()["runs_per_case"]
    if list(runs.values()) != [1] * rows:
        raise MeasurementFailed(f"{name} has submitted {sum(runs.values())} runs for {rows} rows")
    return Submitted(rows / found["seconds"], 1000 * found["cpu"] / rows)


def lines(submitted: Mapping[str, Sequence[Submitted]]) -> list[str]:
    """Return the table."""
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


def figures(submitted: Mapping[str, Sequence[Submitted]]) -> list[AtMost]:
    """Return the figures to reach."""
    ours = submitted[OURS]
    pairs, cpu = median_of(ours, "pairs_per_second"), median_of(ours, "cpu_ms_per_pair")
    figures: list[AtMost] = [AtLeast("submission at 50 ms a call, pairs a second", pairs, 250.0)]
    if before := submitted.get(BEFORE):
        slower = median_of(before, "pairs_per_second") / pairs
        dearer = cpu / median_of(before, "cpu_ms_per_pair")
        figures.append(AtMost("submission: time per pair, of before", slower, MAX_RATIO_TO_BEFORE, " x"))
        figures.append(AtMost("submission: CPU per pair, of before", dearer, MAX_RATIO_TO_BEFORE, " x"))
    return figures
