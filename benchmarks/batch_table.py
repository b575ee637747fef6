"""From what was measured of the batch to the tables that are printed, and the figures to reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.batch_airflow import (
    API_SERVER,
    BATCH,
    MAPPED,
    RUN_SECONDS,
    SCHEDULER,
    TRIGGERER,
    WORKERS,
    Side,
)
from benchmarks.batch_alone import FLOOR, LATENCY_SECONDS, OURS, SUBMITTED_ROWS, Size, Submitted
from benchmarks.batch_service import CASE_CALL, RESULT_CALL, RUN_CALL, STATUS_CALL
from benchmarks.table import Figure

_CONNECTIONS = 32
_CALLS = {"cases": CASE_CALL, "runs": RUN_CALL, "results": RESULT_CALL, "status calls": STATUS_CALL}
_PHASES = {"check": "check", "submit": "submission", "wait": "waiting", "collect": "fetching and writing"}
_PROCESSES = {"submit": "worker that submits", "collect": "worker that fetches", "wait": "triggerer"}


class AtMost(Figure):
    """A figure that is to be reached: ``bound`` is the most that it may be."""

    limit = "at most"

    def __str__(self) -> str:
        verdict = "reached" if self.reached else "MISSED"
        return f"  {verdict}  {self.name}: {self.value:,.4g}{self.unit}, {self.limit} {self.bound:,.4g}{self.unit}"


class AtLeast(AtMost):
    """A figure that is to be reached: ``bound`` is the least that it may be."""

    limit = "at least"

    @property
    def reached(self) -> bool:
        """Whether it is high enough."""
        return self.value >= self.bound


@dataclass(frozen=True)
class Results:
    """All that was measured.

    :param runs: of ``mapped``
    """

    runs: int
    mapped: Mapping[str, Side]
    submit: Mapping[str, Submitted]
    sizes: Sequence[Size]


def lines(results: Results) -> list[str]:
    """Return the tables, and which figures are reached."""
    printed: list[str] = []
    if results.mapped:
        printed += [*_mapped(results), ""]
    if results.submit:
        printed += [*_submit(results.submit), ""]
    if results.sizes:
        printed += [*_sizes(results.sizes), ""]
    return [*printed, "Figures to reach", *map(str, figures(results))]


def figures(results: Results) -> list[Figure]:
    """Return the figures to reach with what was measured, as far as it was."""
    found: list[Figure] = []
    if results.mapped:
        batch, mapped = results.mapped[BATCH], results.mapped[MAPPED]
        ratio = mapped.own_seconds / batch.own_seconds
        found.append(AtLeast(f"{results.runs:,} runs: Airflow's own time, mapped / batch", ratio, 20.0, " x"))
    if ours := results.submit.get(OURS):
        found.append(AtLeast("submission at 50 ms a call, pairs a second", ours.pairs_per_second, 250.0))
    for smaller, larger in pairwise(results.sizes):
        between = f"from {smaller.rows:,} to {larger.rows:,} rows, a row"
        worker, triggerer = _growth(smaller, larger)
        found.append(AtMost(f"memory of the worker, {between}", worker, 1000.0, " bytes"))
        found.append(AtMost(f"memory of the triggerer, {between}", triggerer, 1500.0, " bytes"))
    for size in results.sizes:
        for name in ("cases", "runs", "results"):
            calls = size.requests[_CALLS[name]] / size.rows
            found.append(AtMost(f"{size.rows:,} rows: requests a row for {name}", calls, 1.0))
        found.append(
            AtMost(
                f"{size.rows:,} rows: connections of a process", max(size.connections.values()), _CONNECTIONS
            )
        )
    return found


def _mapped(results: Results) -> list[str]:
    batch, mapped = results.mapped[BATCH], results.mapped[MAPPED]
    printed = [
        f"{results.runs:,} runs of {RUN_SECONDS:.0f} s on the same Airflow, one way after the other: PostgreSQL,",
        "LocalExecutor, one triggerer. Batch: one RunWorkflowBatchOperator. Mapped: a task that reads the rows,",
        "then CreateCaseOperator, RunWorkflowOperator (deferrable, waits for the end) and",
        "GetWorkflowResultOperator, each with .expand().",
        "",
        _row("", (BATCH, MAPPED, "mapped / batch")),
    ]
    printed.append("-" * len(printed[-1]))

    def add(name: str, one: float, other: float, form: str = ",.1f") -> None:
        ratio = f"{other / one:,.1f}" if one else ""
        printed.append(_row(name, (format(one, form), format(other, form), ratio)))

    add("wall time, s", batch.seconds, mapped.seconds)
    add("  without the runs' own length", batch.own_seconds, mapped.own_seconds)
    add("CPU, s", sum(batch.cpu.values()), sum(mapped.cpu.values()))
    for component in (SCHEDULER, WORKERS, TRIGGERER, API_SERVER):
        add(f"  {component}", batch.cpu[component], mapped.cpu[component])
    add("rows written to the metadata database", batch.rows_written, mapped.rows_written, ",")
    add("requests at the service", sum(batch.requests.values()), sum(mapped.requests.values()), ",")
    for route in sorted(batch.requests.keys() | mapped.requests.keys()):
        add(f"  {route}", batch.requests.get(route, 0), mapped.requests.get(route, 0), ",")
    add("connections at the service", batch.connections, mapped.connections, ",")
    add("task instances", sum(batch.instances.values()), sum(mapped.instances.values()), ",")
    add("  that succeeded", batch.instances.get("success", 0), mapped.instances.get("success", 0), ",")
    add("  that took more than one try", batch.tries, mapped.tries, ",")
    return printed


def _submit(submit: Mapping[str, Submitted]) -> list[str]:
    printed = [
        f"Submission, {1000 * LATENCY_SECONDS:.0f} ms of the service's for each POST, https. Ours writes each call",
        "down before it is made and after; the others do not.",
        "",
        _row("", submit),
    ]
    printed.append("-" * len(printed[-1]))
    printed.append(_row("rows", [f"{SUBMITTED_ROWS[name]:,}" for name in submit]))
    printed.append(_row("pairs a second", [f"{one.pairs_per_second:.1f}" for one in submit.values()]))
    rates = [f"{one.pairs_per_second / submit[FLOOR].pairs_per_second:.2f}" for one in submit.values()]
    printed.append(_row(f"  in times of {FLOOR}", rates))
    printed.append(_row("CPU per pair, ms", [f"{one.cpu_ms_per_pair:.2f}" for one in submit.values()]))
    return printed


def _sizes(sizes: Sequence[Size]) -> list[str]:
    printed = [
        "The batch alone, at a service without latency: no scheduler and no API server, but the processes that",
        "Airflow would run, one that submits, the trigger, and one that fetches. Progress is not published.",
        "",
        _row("", [f"{size.rows:,} rows" for size in sizes]),
    ]
    printed.append("-" * len(printed[-1]))
    printed.append(_row("length of the runs, s", [f"{size.length:.0f}" for size in sizes]))
    for phase, name in _PHASES.items():
        printed.append(_row(f"{name}, s", [f"{size.seconds[phase]:.1f}" for size in sizes]))
        if phase in sizes[0].cpu:
            printed.append(_row("  CPU, ms a row", [f"{_ms_a_row(size, phase):.3f}" for size in sizes]))
    for phase, name in (
        ("submit", "worker that submits"),
        ("collect", "worker that fetches"),
        ("wait", "triggerer"),
    ):
        printed.append(_row(f"peak of the {name}, MB", [f"{size.peak[phase] / 1e6:.1f}" for size in sizes]))
        grown = [f"{_grown(smaller, larger, phase):,.0f}" for smaller, larger in pairwise(sizes)]
        printed.append(_row("  growth, bytes a row", ["", *grown]))
    for name, route in _CALLS.items():
        printed.append(
            _row(f"requests a row: {name}", [f"{size.requests[route] / size.rows:.2f}" for size in sizes])
        )
    printed.append(
        _row("connections of a process, at most", [f"{max(size.connections.values())}" for size in sizes])
    )
    return printed


def _growth(smaller: Size, larger: Size) -> tuple[float, float]:
    """Return by how many bytes a row the worker (its larger growth of two) and the triggerer grow."""
    worker = max(_grown(smaller, larger, phase) for phase in ("submit", "collect"))
    return worker, _grown(smaller, larger, "wait")


def _grown(smaller: Size, larger: Size, phase: str) -> float:
    return (larger.peak[phase] - smaller.peak[phase]) / (larger.rows - smaller.rows)


def _ms_a_row(size: Size, phase: str) -> float:
    return 1000 * size.cpu[phase] / size.rows


def _row(name: str, cells: Iterable[object]) -> str:
    return name.ljust(46) + "".join(str(cell).rjust(18) for cell in cells)
