"""From what was measured to the table that is printed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import poll_schedules
from benchmarks.candidates import APART, DATABRICKS, DBT, FLOOR, FLOOR_CONNECTIONS, IDLE, OURS
from benchmarks.plan import ENDS, PACED, SATURATED, Found

Results = Mapping[tuple[str, int, str], Sequence[Found]]
"""What was found in each repetition, by scenario, number of waiting runs and candidate."""

_WIDTHS = (46, 17)
_DURATIONS = ((10.0, "10 s"), (60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (28800.0, "8 h"))


@dataclass(frozen=True)
class Figure:
    """A figure that is to be reached.

    :param name: what it is about
    :param value: what was measured
    :param bound: what it may be at most
    :param unit: of both
    """

    name: str
    value: float
    bound: float
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Whether it is within its bound."""
        return self.value <= self.bound

    def __str__(self) -> str:
        verdict = "reached" if self.reached else "MISSED"
        return f"  {verdict}  {self.name}: {self.value:.3g}{self.unit}, at most {self.bound:.3g}{self.unit}"


def median(founds: Sequence[Found], value: Callable[[Found], float]) -> float:
    """Return the median of one of the values of some repetitions."""
    return statistics.median(map(value, founds))


def lines(results: Results, candidates: Sequence[str]) -> list[str]:
    """Return the table, and which figures are reached."""
    printed: list[str] = []
    for scenario, waiting in dict.fromkeys((key[0], key[1]) for key in results):
        if scenario in (SATURATED, PACED):
            columns = [name for name in candidates if (scenario, waiting, name) in results]
            printed += _scenario(
                scenario, waiting, {name: results[scenario, waiting, name] for name in columns}
            )
            printed += _memory(results, waiting, columns) if scenario == SATURATED else []
            printed.append("")
    printed += [*_lateness(results), ""]
    printed += ["Figures to reach", *map(str, figures(results))]
    return printed


def figures(results: Results) -> list[Figure]:
    """Return the figures to reach with what was measured, as far as it was."""
    found: list[Figure] = []
    for (scenario, waiting, name), ours in results.items():
        if name != OURS or scenario == ENDS:
            continue
        where = f"{waiting:,} waiting, {scenario}"
        bounds = {FLOOR: 1.3, DBT: 1 / 8, DATABRICKS: 1 / 2} if scenario == SATURATED else {APART: 1 / 2}
        for other, bound in bounds.items():
            if others := results.get((scenario, waiting, other)):
                ratio = median(ours, _cpu) / median(others, _cpu)
                found.append(Figure(f"{where}: CPU per poll of {other}'s", ratio, bound, " x"))
        found.append(
            Figure(f"{where}: connections", max(one.connections_first for one in ours), FLOOR_CONNECTIONS)
        )
        new = max(one.connections_per_poll for one in ours)
        found.append(Figure(f"{where}: new connections per poll", new, 0.0))
        found.append(Figure(f"{where}: connection lookups", max(one.lookups for one in ours), 1))
        if idle := results.get((SATURATED, waiting, IDLE)):
            own = median(ours, _kilobytes) - median(idle, _kilobytes)
            found.append(Figure(f"{where}: memory per waiting task", own, 15.0, " KB"))
    return found


def _scenario(scenario: str, waiting: int, columns: Mapping[str, Sequence[Found]]) -> list[str]:
    how = "each polled every 5 s" if scenario == PACED else "each polled again at once"
    rows: list[tuple[str, Callable[[Found], float], str]] = [
        ("CPU per poll, ms", _cpu, ".3f"),
        ("polls per second", lambda found: found.polls_per_second, ",.0f"),
        ("part of a processor that is used", lambda found: found.busy, ".0%"),
        ("first sweep, s", lambda found: found.first_sweep, ".2f"),
        ("connections opened for the first sweep", lambda found: found.connections_first, ",.0f"),
        ("connections opened per poll after it", lambda found: found.connections_per_poll, ".2f"),
        ("longest stall of the event loop, s", lambda found: found.longest_stall, ".2f"),
        ("connection lookups", lambda found: found.lookups, ",.0f"),
    ]
    printed = [_row(f"{waiting:,} waiting, {how}", columns)]
    printed.append("-" * len(printed[0]))
    for name, value, form in rows[:1]:
        printed.append(_row(name, [format(median(founds, value), form) for founds in columns.values()]))
    for other in (FLOOR, OURS):
        if other in columns:
            unit = median(columns[other], _cpu)
            ratios = [f"{median(founds, _cpu) / unit:.2f}" for founds in columns.values()]
            printed.append(_row(f"  in times of {other}", ratios))
    spread = [f"{min(map(_cpu, founds)):.3f}-{max(map(_cpu, founds)):.3f}" for founds in columns.values()]
    printed.append(_row("  from, to", spread))
    for name, value, form in rows[1:]:
        printed.append(_row(name, [format(median(founds, value), form) for founds in columns.values()]))
    return printed


def _memory(results: Results, waiting: int, columns: Sequence[str]) -> list[str]:
    idle = results.get((SATURATED, waiting, IDLE))
    if idle is None:
        return []
    airflow = median(idle, _kilobytes)
    own = [f"{median(results[SATURATED, waiting, name], _kilobytes) - airflow:,.1f}" for name in columns]
    return [_row(f"memory per task beyond Airflow's {airflow:.1f}, KB", own)]


def _lateness(results: Results) -> list[str]:
    asked = {
        OURS: poll_schedules.OURS,
        f"{DBT} 60 s": poll_schedules.DBT,
        f"{DATABRICKS} 30 s": poll_schedules.DATABRICKS,
    }
    printed = [_row("Default poll_schedules, CALCULATED: a run of about", asked)]
    printed.append("-" * len(printed[0]))
    for length, name in _DURATIONS:
        runs = [poll_schedules.noticed(rule, 0.9 * length, 1.1 * length) for rule in asked.values()]
        printed.append(_row(f"{name}: polls", [f"{run.polls:.0f}" for run in runs]))
        printed.append(_row("  end noticed late by, s on average", [f"{run.late:.1f}" for run in runs]))
        printed.append(_row("  at most, of the run's length", [f"{run.part:.0%}" for run in runs]))
    for (scenario, waiting, name), founds in results.items():
        if scenario == ENDS:
            printed += ["", *_measured_lateness(waiting, name, founds)]
    return printed


def _measured_lateness(waiting: int, name: str, founds: Sequence[Found]) -> list[str]:
    late = [late for found in founds for _, late in found.late]
    lengths = [length for found in founds for length, _ in found.late]
    same = poll_schedules.noticed(poll_schedules.OURS, min(lengths), max(lengths))
    return [
        f"MEASURED, {waiting:,} runs of {min(lengths):.0f} to {max(lengths):.0f} s, {name} by default schedule",
        f"  end noticed late by {statistics.mean(late):.2f} s on average, {max(late):.2f} s at most",
        f"  (the calculation says {same.late:.2f} and {same.latest:.2f})",
    ]


def _row(name: str, cells: Sequence[str] | Mapping[str, object]) -> str:
    first, other = _WIDTHS
    return name.ljust(first) + "".join(str(cell).rjust(other) for cell in cells)


def _cpu(found: Found) -> float:
    return found.cpu_ms_per_poll


def _kilobytes(found: Found) -> float:
    return found.kilobytes
